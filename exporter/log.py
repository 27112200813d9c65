"""How log lines look: logfmt or JSON on stderr, as Prometheus and its exporters write them.

    time=2025-09-09T00:58:02.557Z level=INFO source=app.py:95 msg="Listening on" address=[::]:9926

``source`` is the place in the code; what a caller passes as ``source`` is written as ``source_name``. Lines
of libraries that use the standard library's logging look the same. Nothing is set up before ``configure``.
"""

import json
import logging
import sys
from collections.abc import Hashable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.processors import CallsiteParameter, CallsiteParameterAdder, format_exc_info
from structlog.stdlib import LoggerFactory, ProcessorFormatter
from structlog.typing import Processor

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS = ("logfmt", "json")

_HANDLER = "asynctask-exporter"
_INTERNAL = frozenset({"filename", "lineno", "event", "_record", "_from_structlog"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def configure(level: str = "info", log_format: str = "logfmt", stream: TextIO | None = None) -> None:
    """Send all log lines of *level* and above to *stream*, by default stderr; may be called again.

    Args:
        level: one of ``LEVELS``.
        log_format: one of ``FORMATS``.
        stream: where to write.

    Raises:
        ValueError: level or format is not one of those.
    """
    if level not in LEVELS or log_format not in FORMATS:
        raise ValueError(f"log level must be one of {', '.join(LEVELS)}, and format {' or '.join(FORMATS)}")
    place = CallsiteParameterAdder(
        [CallsiteParameter.FILENAME, CallsiteParameter.LINENO], additional_ignores=["exporter.log"]
    )
    common: list[Processor] = [place, format_exc_info]
    _replace_handler(_handler(stream or sys.stderr, log_format, common), LEVELS[level])
    structlog.configure(
        processors=[*common, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _handler(stream: TextIO, log_format: str, foreign: list[Processor]) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER)
    write = _write_json if log_format == "json" else _write_logfmt
    handler.setFormatter(ProcessorFormatter(processors=[_shape, write], foreign_pre_chain=foreign))
    return handler


def _replace_handler(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


def _shape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Bring a line into the order time, level, source, msg, and then what the caller told."""
    record: logging.LogRecord = event["_record"]
    written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    told = {key: value for key, value in event.items() if key not in _INTERNAL}
    if "source" in told:
        told = {("source_name" if key == "source" else key): value for key, value in told.items()}
    return {
        "time": written.replace("+00:00", "Z"),
        "level": _level_name(record.levelno),
        "source": f"{event['filename']}:{event['lineno']}",
        "msg": event["event"],
    } | told


def _level_name(level: int) -> str:
    return next((name for name, least in reversed(list(LEVELS.items())) if level >= least), "debug").upper()


def _write_json(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    return json.dumps(event, default=_plain, ensure_ascii=False)


def _write_logfmt(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    return " ".join(f"{quoted(key)}={quoted(_plain(value))}" for key, value in event.items())


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, BaseException):
        return str(value) or type(value).__name__
    return str(value)


def quoted(text: str) -> str:
    """The text as a logfmt value: in quotes only where it needs them, control characters escaped."""
    if text and text.isprintable() and not any(mark in text for mark in ' ="'):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


class Changes:
    """Tells what is news about a subject: a trouble is logged when it changes, not at each poll."""

    def __init__(self) -> None:
        self._troubles: dict[Hashable, str] = {}

    def is_new(self, subject: Hashable, trouble: str) -> bool:
        """Note a subject's trouble; true where it had none, or another one."""
        previous = self._troubles.get(subject)
        self._troubles[subject] = trouble
        return trouble != previous

    def is_over(self, subject: Hashable) -> bool:
        """Note that a subject has no trouble; true where it had one."""
        return self._troubles.pop(subject, None) is not None
