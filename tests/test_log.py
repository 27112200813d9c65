"""Log lines look as Prometheus' exporters write them."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
import structlog

from exporter import log
from exporter.secret import Secret

Lines = Callable[..., io.StringIO]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Configures logging into a text, and puts everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configure(level: str = "debug", log_format: str = "logfmt") -> io.StringIO:
        stream = io.StringIO()
        log.configure(level, log_format, stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_time_level_source_message_and_the_rest(lines: Lines) -> None:
    """The line of the project's convention, in its order, with quotes only where they are needed."""
    stream = lines()
    structlog.get_logger().info("Listening on", address="[::]:9926", version="1.0 (main)")
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=INFO source=test_log\.py:\d+ "
        r'msg="Listening on" address=\[::\]:9926 version="1\.0 \(main\)"\n',
        stream.getvalue(),
    )


def test_json_has_the_same_keys(lines: Lines) -> None:
    """With the JSON format each line is one object, values of JSON kept."""
    stream = lines(log_format="json")
    structlog.get_logger().warning("slow", seconds=1.5, ok=False, url=Secret("geheim"))
    line = json.loads(stream.getvalue())
    assert list(line)[:4] == ["time", "level", "source", "msg"]
    assert (line["level"], line["msg"], line["seconds"], line["ok"]) == ("WARN", "slow", 1.5, False)
    assert line["url"] == "<secret>"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARN", "ERROR", "ERROR"]),
        ("info", ["INFO", "WARN", "ERROR", "ERROR"]),
        ("warn", ["WARN", "ERROR", "ERROR"]),
        ("error", ["ERROR", "ERROR"]),
    ],
)
@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("aiohttp.server")])
def test_levels_are_exactly_four(lines: Lines, logger: logging.Logger, level: str, shown: list[str]) -> None:
    """Each level shows itself and what is graver, ours and the libraries', in Prometheus' words."""
    stream = lines(level)
    for method in (logger.debug, logger.info, logger.warning, logger.error, logger.critical):
        method("x")
    assert re.findall(r"level=(\w+)", stream.getvalue()) == shown


def test_lines_of_libraries_look_the_same(lines: Lines) -> None:
    """A line logged with the standard library has the same form, its arguments filled in."""
    stream = lines()
    logging.getLogger("sqlalchemy.pool").warning("pool of %d", 5)
    assert re.search(r'level=WARN source=test_log\.py:\d+ msg="pool of 5"\n', stream.getvalue())


def test_nothing_can_forge_a_line(lines: Lines) -> None:
    """Line breaks, quotes and terminal escapes of a foreign message stay inside its value."""
    stream = lines()
    structlog.get_logger().info("x", message='a\nlevel=ERROR msg="b"\x1b[31m\u2028')
    assert stream.getvalue().count("\n") == 1
    assert r'message="a\nlevel=ERROR msg=\"b\"\x1b[31m\u2028"' in stream.getvalue()


def test_a_traceback_stays_on_its_line(lines: Lines) -> None:
    """An exception is told with its traceback, escaped, in one line."""
    stream = lines()
    try:
        int("boom")
    except ValueError:
        structlog.get_logger().exception("crashed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: invalid literal" in stream.getvalue()


def test_the_source_of_a_task_does_not_hide_the_place_in_the_code(lines: Lines) -> None:
    """Both meanings of ``source`` are in the line, under two names."""
    stream = lines()
    structlog.get_logger().info("x", source="epm-prod")
    assert re.search(r"source=test_log\.py:\d+ msg=x source_name=epm-prod\n", stream.getvalue())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("", '""'),
        ("a=b", '"a=b"'),
        ("a\\b", "a\\b"),
        ("ü", "ü"),
        (ValueError("no"), "no"),
        (ValueError(), "ValueError"),
        (Secret("geheim"), "<secret>"),
    ],
)
def test_values_are_written_plainly(lines: Lines, value: object, shown: str) -> None:
    """Each kind of value has one form."""
    stream = lines()
    structlog.get_logger().info("x", value=value)
    assert stream.getvalue().endswith(f" value={shown}\n")


def test_configuring_again_replaces_the_first(lines: Lines) -> None:
    """After a second call each line is written once, to the second stream."""
    first, second = lines(), lines()
    logging.getLogger("x").error("once")
    assert (first.getvalue(), second.getvalue().count("once")) == ("", 1)


@pytest.mark.parametrize(("level", "log_format"), [("warning", "logfmt"), ("info", "xml")])
def test_other_levels_and_formats_are_refused(level: str, log_format: str) -> None:
    """A wrong word is told with the right ones."""
    with pytest.raises(ValueError, match="debug, info, warn, error, and format logfmt or json"):
        log.configure(level, log_format)


def test_a_trouble_is_news_when_it_changes() -> None:
    """The same trouble again is no news; another one is, and so is its end, once."""
    changes = log.Changes()
    told = [changes.is_new("a", trouble) for trouble in ("down", "down", "denied", "down")]
    assert told == [True, False, True, True]
    assert [changes.is_over("a"), changes.is_over("a")] == [True, False]
    assert changes.is_new("a", "down")


def test_subjects_do_not_disturb_one_another() -> None:
    """Each subject has its own trouble."""
    changes = log.Changes()
    assert [changes.is_new("a", "down"), changes.is_new("b", "down")] == [True, True]
    assert [changes.is_over("a"), changes.is_new("b", "down")] == [True, False]
