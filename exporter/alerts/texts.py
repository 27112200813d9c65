"""Makes texts that came from elsewhere fit for a page: short, clean, and without credentials. Pure."""

import re

from exporter.apis.reading import redacted

LINES = 20
BYTES = 2048
MESSAGE_BYTES = 1024
_WINDOW = 64 * 1024
"""Characters from the end of a log that are looked at."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
"""What colours a terminal: CSI and OSC sequences of ECMA-48, and the short ones."""


def message(text: str) -> str:
    """A message for a page: its beginning, if it is long."""
    clean = "\n".join(_lines(text)).strip()
    return _shortened(clean, MESSAGE_BYTES)


def tail(log: str) -> str:
    """The last lines of a log for a page: at most 20 of them and 2 KiB."""
    kept = "\n".join(_lines(_end_of(log))).rstrip().split("\n")[-LINES:]
    while len(kept) > 1 and len("\n".join(kept).encode()) > BYTES:
        del kept[0]
    return _last_bytes("\n".join(kept), BYTES)


def one_line(text: str) -> str:
    """A text that somebody typed, on one line."""
    return _shortened(" ".join(" ".join(_lines(text)).split()), MESSAGE_BYTES)


def printable(text: str) -> str:
    """A whole text without credentials and without what a terminal or a browser would obey."""
    return "\n".join(_lines(text))


def _lines(text: str) -> list[str]:
    """The text's lines, redacted before anything is cut, so that no half of a secret stays."""
    plain = redacted(_ESCAPES.sub("", text))
    return ["".join(map(_visible, line)).rstrip() for line in plain.splitlines()]


def _visible(character: str) -> str:
    return character if character.isprintable() or character == "\t" else " "


def _end_of(log: str) -> str:
    """The end of a long log, from the beginning of a line on where it has lines."""
    if len(log) <= _WINDOW:
        return log
    _, newline, whole_lines = log[-_WINDOW:].partition("\n")
    return whole_lines if newline else log[-_WINDOW:].partition(" ")[2]


def _shortened(text: str, size: int) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= size else data[: size - 3].decode("utf-8", "ignore") + "..."


def _last_bytes(text: str, size: int) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= size else "..." + data[3 - size :].decode("utf-8", "ignore")
