"""How one source is polled, and who keeps the numbers about it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from exporter.errors import SourceError
from exporter.polling.schedule import Bounds


class Observer(Protocol):
    """Who keeps the numbers about a source's polls."""

    def polled(self, lag: float) -> None:
        """A poll begins, so many seconds after it was due."""

    def succeeded(self, at: datetime) -> None:
        """The source answered."""

    def failed(self, error: SourceError) -> None:
        """The source let us down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSettings:
    """How one source is polled; times in seconds unless they say otherwise."""

    bounds: Bounds = field(default_factory=Bounds)
    list_interval: float = 15.0
    lost_after: float = 600.0
    """How long an id that the API does not know is asked for again."""
    max_backoff: float = 300.0
    concurrency: int = 4
    max_watched: int = 100_000
    overlap: timedelta = timedelta(seconds=60)
    """How far a listing reaches back behind the one before it."""
