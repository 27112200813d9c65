"""Looks for the files that a configuration names: they are read on use, and missed then only."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter.config.document import Config
from exporter.config.mistakes import place_of
from exporter.config.section import Place, Section


def unreadable(config: Config) -> Iterator[str]:
    """Tell each file that cannot be read now, with its place; `defaults` are merged into the sources."""
    yield from _unreadable(config.sources, ("sources",))
    yield from _unreadable(config.alerting, ("alerting",))


def _unreadable(value: object, place: Place) -> Iterator[str]:
    if isinstance(value, Path):
        if reason := _reason(value):
            yield f"{place_of(place)}: cannot read {value}: {reason}"
    else:
        for step, part in _parts(value):
            yield from _unreadable(part, (*place, step))


def _parts(value: object) -> Iterator[tuple[str | int, object]]:
    """What a value is made of, each with its step from there."""
    if isinstance(value, Section):
        yield from value
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from enumerate(value)


def _reason(path: Path) -> str:
    """Why a file cannot be read; "" if it can. It is not opened, for it may be a pipe."""
    try:
        path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if path.is_dir():
        return "Is a directory"
    return "" if os.access(path, os.R_OK) else "Permission denied"
