"""Listing a source's tasks, where its API lists, so that they need not be asked for one by one."""

from datetime import datetime, timedelta

from exporter.apis.base import Listing, Lists
from exporter.clock import Moment
from exporter.model import Status, Task
from exporter.polling.intake import Intake, checked
from exporter.polling.settings import PollSettings
from exporter.polling.watchlist import Watchlist
from exporter.store.ledger import SourceState

_SKEW_ALLOWANCE = timedelta(minutes=15)
_DATE_RESOLUTION = timedelta(seconds=1)
_LONGEST_JUMP = timedelta(days=1)
"""How far our clock may have been set between two processes; a watermark that lies further back than that
before the first start was told by a server whose own clock was wrong."""


class Lister:
    """Takes in one listing after the other, each from where the one before it reached."""

    def __init__(
        self, api: Lists, intake: Intake, watchlist: Watchlist, state: SourceState, settings: PollSettings
    ) -> None:
        self.covered: set[str] = set()
        """The ids that the last listing told everything about."""
        self._api = api
        self._intake = intake
        self._watchlist = watchlist
        self._first_start = state.first_start
        self._watermark = state.watermark
        self._overlap = settings.overlap
        self._threshold: datetime | None = None
        self._settled: set[tuple[str, str, Status]] = set()

    async def list(self, asked: Moment) -> Listing:
        """List once and take in what was told.

        Raises:
            SourceError: the listing failed; nothing has changed.
        """
        listing = await self._api.list(self._since(asked.wall))
        if self._threshold is None:
            self._threshold = self._draw_line(listing, asked.wall)
        await self._take(listing, asked)
        self.covered = {task.id for task in listing.tasks} if listing.complete else set()
        return listing

    def _since(self, now: datetime) -> datetime:
        """From when on ended tasks are listed, by the server's clock as far as it is known."""
        if self._watermark is None:
            return min(self._first_start, now) - _SKEW_ALLOWANCE
        return self._watermark - self._overlap

    def _draw_line(self, listing: Listing, asked: datetime) -> datetime:
        """Decide, once per process, which ended tasks are news: those since the last listing before it.

        All in the server's time, which the listing's date tells, so that neither a skewed clock nor
        one that is set while we run moves the line. A first start in the future was one with a clock
        that was put right since; and a server that lost the date for a while makes no old end news.
        """
        now = listing.as_of or asked
        first = min(self._first_start + (now - asked), now) - _DATE_RESOLUTION
        if self._watermark is None:
            return first
        reached = min(max(self._watermark - self._overlap, first), self._watermark)
        return max(reached, first - _LONGEST_JUMP)

    async def _take(self, listing: Listing, asked: Moment) -> None:
        board = self._intake.board
        # All are checked before the first is taken in, so that what it tells is recorded.
        tasks = [checked(task) for task in listing.tasks if _mark(task) not in self._settled]
        unsure = {task.id for task in tasks if task.status.is_final or task.id not in board}
        counted = await self._intake.counted(unsure)
        first = self._watermark is None
        news = [
            transition
            for task in tasks
            if (
                transition := self._intake.listed(
                    task,
                    asked.mono,
                    self._watchlist.get(task.id),
                    since=self._threshold,
                    first_listing=first,
                    counted=counted.get(task.id, ()),
                )
            )
        ]
        self._watermark = listing.as_of or asked.wall
        self._intake.record(news, reached=self._watermark)
        self._settled = {_mark(task) for task in listing.tasks if task.status.is_final}


def _mark(task: Task) -> tuple[str, str, Status]:
    return task.id, task.run, task.status
