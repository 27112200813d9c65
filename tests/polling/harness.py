"""A poller around an API that a test writes the script for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from exporter.apis.base import Listing, NoOptions, Pace
from exporter.clock import Clock, SystemClock
from exporter.errors import SourceError, TaskNotFound
from exporter.model import Task
from exporter.polling.poller import Poller
from exporter.polling.schedule import Bounds
from exporter.polling.settings import PollSettings
from exporter.store.board import Board
from exporter.store.entry import BoardRules
from exporter.store.ledger import Ledger, LedgerSettings

FAST = PollSettings(
    bounds=Bounds(least=0.005, most=0.02), list_interval=0.01, lost_after=0.1, max_backoff=0.05
)


class FakeApi:
    """Tells what the test put into it; an exception in place of a task is raised."""

    Options = NoOptions
    pace = Pace()
    lists = False

    def __init__(self) -> None:
        self.tasks: dict[str, Task | Exception] = {}
        self.asked: Counter[str] = Counter()
        self.down: SourceError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.together = 0
        self.most_together = 0

    async def fetch(self, task_id: str) -> Task:
        """Tell one task."""
        self.asked[task_id] += 1
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.together -= 1
        if self.down is not None:
            raise self.down
        told = self.tasks.get(task_id) or TaskNotFound(task_id)
        if isinstance(told, Exception):
            raise told
        return told

    def put(self, *tasks: Task) -> None:
        """Have these tasks from now on."""
        self.tasks.update((task.id, task) for task in tasks)


class ListingApi(FakeApi):
    """Lists all its tasks, too."""

    lists = True

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Task] = []
        self.unlisted: set[str] = set()
        self.since: list[datetime] = []
        self.complete = True
        self.server_off = timedelta(0)
        """How far the server's clock is off."""

    async def list(self, since: datetime) -> Listing:
        """List what there is, and the runs of before."""
        self.since.append(since)
        if self.down is not None:
            raise self.down
        current = [t for t in self.tasks.values() if isinstance(t, Task) and t.id not in self.unlisted]
        return Listing(
            (*self.history, *current), as_of=datetime.now(UTC) + self.server_off, complete=self.complete
        )


class JumpyClock(SystemClock):
    """A machine's clock that somebody sets while we run."""

    def __init__(self) -> None:
        self.off = timedelta(0)

    def now(self) -> datetime:
        """The date, as far off as it was set."""
        return super().now() + self.off


@dataclass
class Numbers:
    """Keeps what a poller reports."""

    lags: list[float] = field(default_factory=list)
    successes: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def polled(self, lag: float) -> None:
        """A poll begins."""
        self.lags.append(lag)

    def succeeded(self, at: datetime) -> None:
        """The source answered."""
        assert at.tzinfo is not None
        self.successes += 1

    def failed(self, error: SourceError) -> None:
        """The source let us down."""
        self.errors[error.reason] += 1


@dataclass
class Rig:
    """A running poller and everything around it."""

    poller: Poller
    board: Board
    ledger: Ledger
    numbers: Numbers

    def counter(self, metric: str, *labels: str) -> int:
        """A committed total."""
        series = self.ledger.totals.counters[metric].get(labels)
        return series.value if series is not None else 0

    def finished(self, status: str, operation: str = "") -> int:
        """How many ends of this kind were counted."""
        return self.counter("asynctask_finished_total", "s", operation, status)


@asynccontextmanager
async def polling(
    api: Any,  # noqa: ANN401 - any of the fakes
    settings: LedgerSettings | None = None,
    clock: Clock | None = None,
    **more: Any,  # noqa: ANN401 - PollSettings to differ
) -> AsyncIterator[Rig]:
    """Run a poller for one source until the block is left, as if killed."""
    clock = clock or SystemClock()
    ledger = Ledger.open(settings or LedgerSettings(path=None), clock)
    state = ledger.declare("s", [])
    await ledger.start()
    board = Board("s", BoardRules())
    numbers = Numbers()
    poller = Poller(
        api=api,
        board=board,
        ledger=ledger,
        state=state,
        settings=replace(FAST, **more),
        observer=numbers,
        clock=clock,
        dice=Random(1),
        hide=lambda words: words.replace("hush", "<secret>"),
    )
    running = asyncio.create_task(poller.run())
    try:
        yield Rig(poller, board, ledger, numbers)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ledger.close()


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition; fail when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
