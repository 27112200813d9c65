"""The schema, the reference and the example tell the same as the models."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.config import load, parse, schema
from exporter.config.document import Config
from exporter.config.reference import MARK, TITLES, rewrite

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
REFERENCE = ROOT / "docs/configuration.md"


def fields(told: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every field of a schema: section, key, and what is told about it."""
    for name, section in {"Config": told, **told["$defs"]}.items():
        for key, field in section["properties"].items():
            yield name, key, field


FIELDS = [pytest.param(key, field, id=f"{section}.{key}") for section, key, field in fields(schema())]


@pytest.mark.parametrize(("key", "field"), FIELDS)
def test_every_field_is_in_the_example(key: str, field: Mapping[str, Any]) -> None:
    """Whoever looks for an option finds it in the example."""
    assert re.search(rf"\b{key}:", EXAMPLE.read_text()), field


@pytest.mark.parametrize(("key", "field"), FIELDS)
def test_every_field_is_described(key: str, field: Mapping[str, Any]) -> None:
    """Each field has a description, its own or that of the section it holds."""
    section = schema()["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
    assert field.get("description") or section.get("description"), key


def test_the_example_is_valid() -> None:
    """What we show works."""
    assert [source.api for source in load(EXAMPLE).sources] == ["epmware", "dataarts", "pulp"]


EXAMPLE_LINES = EXAMPLE.read_text().splitlines(keepends=True)
DEFAULTS = [index for index, line in enumerate(EXAMPLE_LINES) if re.search(r"\w+: .* # default(;|$)", line)]


@pytest.mark.parametrize("index", DEFAULTS, ids=lambda index: EXAMPLE_LINES[index].split(":")[0].strip())
def test_what_the_example_calls_default_is_the_default(index: int) -> None:
    """A value with the comment "default" is the one that holds without its line."""
    without = "".join(EXAMPLE_LINES[:index] + EXAMPLE_LINES[index + 1 :])
    assert parse(without, ROOT) == load(EXAMPLE)


def test_the_example_tells_defaults() -> None:
    """The test above has something to try."""
    assert len(DEFAULTS) > 15


def test_the_schema_is_json() -> None:
    """``--config.schema`` can be printed, and names its dialect."""
    assert json.loads(json.dumps(schema()))["$schema"].endswith("2020-12/schema")


def test_every_section_is_in_the_reference() -> None:
    """No section of the schema is left out of the reference."""
    assert set(schema()["$defs"]) | {Config.__name__} <= {model.__name__ for model in TITLES}


def test_the_reference_is_up_to_date() -> None:
    """The committed reference is what the models say now."""
    text = REFERENCE.read_text("utf-8")
    assert MARK in text
    assert text == rewrite(text), "run: python -m exporter.config.reference docs/configuration.md"
