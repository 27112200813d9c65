"""What was counted, once and for good: runs, totals and the board's rows, in one SQL database."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime

from exporter.clock import Clock
from exporter.store.change import Change, LedgerSettings, Scraper, SourceState
from exporter.store.totals import Totals

__all__ = ["Change", "Ledger", "LedgerSettings", "Scraper", "SourceState"]


class Ledger:
    """The ledger of all sources."""

    totals: Totals
    pending: int
    """Changes that are not committed yet."""
    errors: int
    """Commits that failed."""

    @classmethod
    def open(cls, settings: LedgerSettings, clock: Clock) -> "Ledger":
        """Open the ledger, or create it; call it before the event loop runs.

        Raises:
            StorageError: the file is in use, newer, broken or unwritable; it was left as it is.
        """
        raise NotImplementedError

    def declare(self, source: str, operations: Iterable[str]) -> SourceState:
        """Create every series of a source that can be known, at zero; return what is known of it."""
        raise NotImplementedError

    async def start(self) -> None:
        """Begin to commit what is recorded."""
        raise NotImplementedError

    async def close(self) -> None:
        """Commit what is queued, for at most 1.5 seconds, and let go of the file."""
        raise NotImplementedError

    def record(self, change: Change) -> asyncio.Future[None]:
        """Queue a change; the future is done when it is committed."""
        raise NotImplementedError

    async def counted(self, source: str, ids: Collection[str]) -> dict[str, set[str]]:
        """Look up the runs of these ids that ended and are in the ledger."""
        raise NotImplementedError

    def scrapers(self) -> tuple[int, list[Scraper]]:
        """Tell the highest released birth, and every scraper that is known."""
        raise NotImplementedError

    async def prune(self, now: datetime) -> int:
        """Delete the runs that can never be counted again; return how many."""
        raise NotImplementedError
