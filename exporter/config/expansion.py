"""Puts environment variables into the values of the configuration: ``$NAME``, ``${NAME}``, ``$$`` for ``$``.

What a variable holds is put into the values that YAML has told, and never read as YAML again: it cannot add
keys. Keys stay as they are.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from exporter.config.mistakes import place_of
from exporter.config.section import Place
from exporter.errors import ConfigError

_DOLLAR = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\}|(?P<open>\{))", re.ASCII
)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", re.ASCII)


def expand(raw: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[dict[str, Any], frozenset[Place]]:
    """Put the variables of *environment* into all values; return a copy, and the places that had any.

    A ``$`` before anything that begins no name stays as it is, so that patterns may end in one.

    Raises:
        ConfigError: variables are not set; one line each, with the place.
    """
    expansion = _Expansion(environment)
    expanded = {key: expansion.value(value, (key,)) for key, value in raw.items()}
    if expansion.mistakes:
        raise ConfigError(expansion.mistakes)
    return expanded, frozenset(expansion.places)


def fitted(raw: dict[str, Any], error: ValidationError, expanded: frozenset[Place]) -> frozenset[Place]:
    """Read texts of variables as numbers and truth values where the *error* says that these belong there.

    Returns:
        The places that were changed in *raw*; none when the mistakes are others.
    """
    changed = set()
    for detail in error.errors(include_url=False):
        read, place = _READERS.get(detail["type"]), detail["loc"]
        if read is not None and place in expanded and (value := read(detail["input"])) is not None:
            _put(raw, place, value)
            changed.add(place)
    return frozenset(changed)


class _Expansion:
    """One pass over a configuration."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.mistakes: list[str] = []
        self.places: set[Place] = set()
        self._environment = environment

    def value(self, value: Any, place: Place) -> Any:  # noqa: ANN401 - whatever YAML holds
        """Expand a value and all that is in it."""
        if isinstance(value, dict):
            return {key: self.value(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*place, index)) for index, inner in enumerate(value)]
        return self._text(value, place) if isinstance(value, str) else value

    def _text(self, text: str, place: Place) -> str:
        expanded = _DOLLAR.sub(lambda found: self._replacement(found, place), text)
        if expanded != text:
            self.places.add(place)
        return expanded

    def _replacement(self, found: re.Match[str], place: Place) -> str:
        if found["escaped"]:
            return "$"
        if found["open"]:
            return self._refuse(place, "'${' begins no '${NAME}'")
        name = found["name"] or found["braced"]
        if name not in self._environment:
            return self._refuse(place, f"environment variable {name} is not set")
        return self._environment[name]

    def _refuse(self, place: Place, words: str) -> str:
        self.mistakes.append(f"{place_of(place)}: {words}; write $$ for a plain $")
        return ""


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


_READERS: Mapping[str, Callable[[str], object]] = {
    "int_type": _integer,
    "float_type": _number,
    "bool_type": _truth,
}
"""By pydantic's name for the mistake of text where such a value belongs."""


def _put(raw: dict[str, Any], place: Place, value: object) -> None:
    inner: Any = raw
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
