"""YAML is read by the rules of its version 1.2, and refused without telling a value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from exporter.yamltext import YamlMistake, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0123", "0123"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("2025-01-01", "2025-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("244591", 244591),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e5", 100000.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("'7'", "7"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """Only plain decimals are numbers, only true and false are booleans; the rest is text."""
    found = load_yaml(f"key: {text}")["key"]
    assert (found, type(found)) == (value, type(value))


def test_merge_keys_may_be_overridden() -> None:
    """What is merged in is no duplicate of what overrides it."""
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, x: 3}"
    assert load_yaml(text)["c"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: duplicate key 'a'"),
        ("a: {b: 1, b: 2}", "line 1, column 11: duplicate key 'b'"),
        ("1: a", "line 1, column 1: a key must be text; quote it"),
        ("? [a]\n: b", "line 1, column 3: a key must be text; quote it"),
        ("a:\n  - b: c\n d: e", "line 3, column 2: does not fit here; check the indentation and the quotes"),
        ("a:\n\tb: c", "line 2, column 1: a tab; indent with blanks"),
        ("a: @geheim", "line 1, column 4: a text that begins with this character needs quotes"),
        ("a: 'geheim", "line 1, column 11: a quote is not closed, here or above"),
        ("a: 1\ngeheim\n", "line 3, column 1: a colon is missing, here or above"),
        ("a: *geheim", "line 1, column 4: undefined alias; quote a text that begins with '*'"),
        ("a: !geheim x", "line 1, column 4: unknown tag; quote a text that begins with '!'"),
        ("a: !g!eheim x", "line 1, column 4: unknown tag; quote a text that begins with '!'"),
        (
            "a: !!python/object:os.system x",
            "line 1, column 4: unknown tag; quote a text that begins with '!'",
        ),
        ("a: !!int geheim", "a number is too long, or a value is not what its tag says"),
        ("a: !!bool geheim", "a number is too long, or a value is not what its tag says"),
        (f"a: {'9' * 5000}", "a number is too long, or a value is not what its tag says"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document; there may be one only"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x00", "character 3: not text in UTF-8, or a control character"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, mistake: str) -> None:
    """Each mistake is told in these words."""
    with pytest.raises(YamlMistake) as told:
        load_yaml(text)
    assert str(told.value) == mistake


@given(some.binary(max_size=200) | some.text("ab:-[]{}&*!|>'\"%@`#,? \n\t\\0.x<", max_size=60))
def test_no_text_breaks_the_reader(text: Any) -> None:  # noqa: ANN401 - whatever is in a file
    """Any text is read or refused."""
    try:
        load_yaml(text)
    except YamlMistake:
        return
