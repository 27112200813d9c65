"""Tells a validation error as one line per mistake: the place, what is wrong, and the cure."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from inspect import isclass
from typing import Any, get_args

from pydantic import ValidationError

from exporter.config.section import Section

_FEW = 6
_WORDS = {
    "missing": "is required",
    "string_type": "must be text; quote it",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "literal_error": "must be one of {expected}",
}


def describe(error: ValidationError, model: type[Section]) -> list[str]:
    """Tell each mistake in a section as ``sources[0].polling.timeout: must be ...``, without its value."""
    return [
        f"{place_of(detail['loc'])}: {_text(detail, model)}" if detail["loc"] else _text(detail, model)
        for detail in error.errors(include_url=False, include_input=False)
    ]


def hint(key: str, known: Iterable[str]) -> str:
    """The end of the sentence "unknown key": the nearest known key, or all of them where they are few."""
    known = list(known)
    if near := get_close_matches(key, known, n=1):
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= _FEW else ""


def place_of(location: Iterable[str | int]) -> str:
    """Write a place as ``sources[0].polling.timeout``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location if step != "[key]")
    return "".join(steps).removeprefix(".")


def _text(detail: Mapping[str, Any], model: type[Section]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        *section, key = detail["loc"]
        return f"unknown key{_cure(str(key), _section_at(model, section))}"
    if kind == "value_error":
        return str(context["error"])
    return _WORDS[kind].format(**context) if kind in _WORDS else str(detail["msg"])


def _cure(key: str, section: type[Section]) -> str:
    return f"; {section.cures[key]}" if key in section.cures else hint(key, section.model_fields)


def _section_at(model: type[Section], location: Iterable[str | int]) -> type[Section]:
    for step in location:
        if step in model.model_fields:
            model = _section_in(model.model_fields[str(step)].annotation) or model
    return model


def _section_in(annotation: object) -> type[Section] | None:
    """The section that a field's type holds, be it optional or in a list."""
    if isclass(annotation) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
