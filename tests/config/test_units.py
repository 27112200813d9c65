"""Durations and sizes are read and written as Prometheus does."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from exporter.config.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("7d", 604800),
        ("1w", 604800),
        ("1y", 31536000),
        ("1d12h", 129600),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    """Each unit of Prometheus is known."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "-5m", "+5m", "5 m", " 5m", "1.5h", "5M", "30m1h", "1h1h", "m", "٣s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    """Signs, blanks, fractions, other orders and other digits are refused, each in the same words."""
    with pytest.raises(ValueError, match="is not a duration such as '30s' or '5m'"):
        parse_duration(text)


def test_a_duration_of_more_than_a_hundred_years_is_refused() -> None:
    """No duration can overflow the dates that it is added to."""
    with pytest.raises(ValueError, match="longer than a hundred years"):
        parse_duration("99y100w")


@given(some.integers(min_value=0, max_value=10**12))
def test_a_written_duration_reads_as_the_same(milliseconds: int) -> None:
    """Writing loses nothing down to the millisecond."""
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("16MiB", 16 << 20), ("16MB", 16 << 20), ("1GB", 1 << 30), ("2KiB", 2048)],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    """Units are powers of 1024, with or without the ``i``."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "16", "16 MB", "-1MB", "1.5MB", "16mb", "MB", "16iB4"])
def test_anything_else_is_no_size(text: str) -> None:
    """A unit is needed; signs, blanks and fractions are refused."""
    with pytest.raises(ValueError, match="is not a size such as '16MiB'"):
        parse_size(text)


@given(some.integers(min_value=0, max_value=10**15))
def test_a_written_size_reads_as_the_same(size: int) -> None:
    """Writing loses no byte."""
    assert parse_size(format_size(size)) == size
