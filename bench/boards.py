"""A board full of unfinished tasks, as EPMware tells them."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

from exporter.clock import Moment, SystemClock
from exporter.metrics.exposition import Snapshot, snapshot
from exporter.metrics.own import ExporterStats, SourceStats
from exporter.metrics.tasks import SourceView
from exporter.model import Status, Task, Transition
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.totals import HISTOGRAMS, Totals

CLOCK = SystemClock()
_answers = count(1)


def task(task_id: int, began: datetime, status: Status = Status.RUNNING) -> Task:
    """A task that has moved since anything else was told."""
    answer = next(_answers)
    return Task(
        id=str(task_id),
        status=status,
        word="R",
        operation="import",
        progress=answer % 97 / 100,
        started_at=began,
        finished_at=None if status is Status.RUNNING else datetime.now(began.tzinfo),
        message="Processing records...",
        processed=answer,
        expected=1_000_000,
    )


def tell(board: Board, ids: Iterable[int]) -> None:
    """Let these tasks begin, or move on."""
    now = CLOCK.moment()
    for task_id in ids:
        known = board.get(str(task_id))
        began = known.task.started_at if known is not None else None
        began = began or now.wall - timedelta(seconds=10 + task_id % 3000)
        board.apply(task(task_id, began), sighting(now))


def sighting(now: Moment) -> Sighting:
    """Somebody asked for it, just now."""
    return Sighting(at=now, asked=now.mono, wanted=True)


def ended(task_id: int, seconds: float) -> Transition:
    """The end of a task that took so long."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    over = Task(
        id=str(task_id),
        status=Status.SUCCESS,
        operation="import",
        started_at=began,
        finished_at=began + timedelta(seconds=seconds),
    )
    news = Board("epm", BoardRules()).apply(over, sighting(Moment(began, 0.0)))
    if news is None:
        raise RuntimeError("an end that was asked for is news")
    return news


def filled(tasks: int) -> Board:
    """A board with so many running tasks."""
    board = Board("epm", BoardRules())
    tell(board, range(tasks))
    return board


def scraped(board: Board) -> Snapshot:
    """What a scrape takes from the event loop; every task has series of its own."""
    view = SourceView(name="epm", api="epmware", board=board, max_task_series=1_000_000)
    totals = Totals(bounds=dict.fromkeys(HISTOGRAMS, (1.0, 60.0, 3600.0)))
    totals.durations["epm", "import"] = deque(float(600 + second) for second in range(50))
    stats = [SourceStats("epm", "epmware")]
    return snapshot([view], totals, stats, ExporterStats(), released=0, now=CLOCK.moment())
