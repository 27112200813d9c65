"""Reads YAML as its second edition meant it: ``no`` is text, ``0123`` keeps its zero, no key comes twice.

The scalars are those of the YAML 1.2 core schema, decimal numbers only. PyYAML by itself follows YAML 1.1,
where an unquoted task id ``0123`` is the number 83 and ``12:30:00`` is 45000.
"""

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
# By a word of PyYAML's, which names its own parts and no cure; the first that fits. An alias or a tag may be
# a password that begins with "*" or "!".
_CURES = {
    "another document": "a second document; there may be one only",
    "alias": "undefined alias; quote a text that begins with '*'",
    "tag": "unknown tag; quote a text that begins with '!'",
    r"'\t'": "a tab; indent with blanks",
    "token": "a text that begins with this character needs quotes",
    "<block end>": "does not fit here; check the indentation and the quotes",
    "values": "a colon does not fit here; check the indentation, and quote a text that holds ': '",
    "expected ':'": "a colon is missing, here or above",
    "unexpected": "a quote is not closed, here or above",
}


class YamlMistake(ValueError):
    """The text is not the YAML that we read; the message tells line and column, never a value."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and without duplicate keys."""

    yaml_constructors = {  # noqa: RUF012 - PyYAML's own way
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
    }
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - as PyYAML has it
        """Compose a mapping whose keys are text and differ; merge keys are resolved later."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in {_TAG + "str", _TAG + "merge"}:
                raise YamlMistake(_at(key.start_mark, "a key must be text; quote it"))
            if key.value in seen:
                raise YamlMistake(_at(key.start_mark, f"duplicate key {key.value!r}"))
            seen.add(key.value)
        return node


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(f"^(?:{_pattern})$"), _first)


def load_yaml(text: str | bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """Read one YAML document into mappings, lists, text, numbers, booleans and None.

    Raises:
        YamlMistake: it is not YAML, not UTF-8, or has a key twice.
    """
    try:
        # A subclass of SafeLoader builds plain data only.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        raise YamlMistake(_at(error.problem_mark, _problem(error))) from None
    except yaml.reader.ReaderError as error:
        raise YamlMistake(f"character {error.position}: not text in UTF-8, or a control character") from None
    except RecursionError:
        raise YamlMistake("nested too deeply") from None
    except (ValueError, KeyError) as error:
        if isinstance(error, YamlMistake):
            raise
        raise YamlMistake("a number is too long, or a value is not what its tag says") from None


def _at(mark: Any, problem: str) -> str:  # noqa: ANN401 - PyYAML's marks are untyped
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    return next((cure for sign, cure in _CURES.items() if sign in problem), problem)
