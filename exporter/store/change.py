"""What is handed to the ledger, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from exporter.model import Transition, WatchedId
from exporter.store.entry import Entry

DURATION_BUCKETS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds, for tasks that take from moments to a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """What the operator decided about the ledger."""

    path: Path | None
    """The directory of the file; None keeps everything in memory only."""
    duration_buckets: tuple[float, ...] = DURATION_BUCKETS
    queue_buckets: tuple[float, ...] = DURATION_BUCKETS
    max_error_codes: int = 50
    """How many error codes of one source get a series of their own; the rest is ``other``."""
    retention: timedelta = timedelta(days=90)
    backoff: tuple[float, float] = (0.5, 30.0)
    """Seconds between attempts to store what could not be stored: the first, and the longest."""
    room: int = 50_000
    """How many transitions, rows of the board and the like, some kB each, may wait to be stored before those
    who bring more of them wait as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraper:
    """A Prometheus that scrapes, and the highest birth that it has been served."""

    key: str
    seen: int
    last: datetime
    interval: float
    """Seconds between its scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What goes into the ledger together or not at all.

    A transition and its task's entry belong in one change. Within a change *removed* comes before
    *entries*, and *unwatch* before *watch*.
    """

    transitions: Sequence[Transition] = ()
    entries: Sequence[tuple[str, Entry]] = ()
    """The board's rows to keep, with their source."""
    removed: Sequence[tuple[str, str, str]] = ()
    """Source, task id and run of rows that were taken off the board."""
    listed: Mapping[str, datetime] = field(default_factory=dict)
    """The new watermark by source."""
    lost: Sequence[tuple[str, str]] = ()
    """Source and reason of ids that their API does not know (any more)."""
    watch: Sequence[tuple[str, WatchedId]] = ()
    unwatch: Sequence[tuple[str, str]] = ()
    scrapers: Sequence[Scraper] = ()
    released: int | None = None
    """The highest birth whose series may show its count."""

    @property
    def size(self) -> int:
        """How much memory it takes, in rows: its own, and those of what is large or comes in numbers."""
        return 1 + len(self.transitions) + len(self.entries) + len(self.watch)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What the ledger knows about a source from earlier processes."""

    first_start: datetime
    """When it was declared for the first time ever, by the wall clock of this machine."""
    watermark: datetime | None
    """When its last successful listing began, by the server's clock."""
    entries: list[Entry]
    """The rows of its board; hand them to ``Board.restore``."""
    watched: list[WatchedId]
