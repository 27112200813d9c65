"""What the tests of the ledger are told about: tasks, their transitions, and a disk that is full."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.clock import Moment
from exporter.model import Status, Task, Transition
from exporter.store.entry import Entry
from exporter.store.ledger import Ledger, LedgerSettings
from exporter.store.totals import FINISHED, Totals

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class FakeClock:
    """A clock that the test sets."""

    wall: datetime = START
    mono: float = 1000.0

    def now(self) -> datetime:
        """Tell the date."""
        return self.wall

    def monotonic(self) -> float:
        """Tell the seconds."""
        return self.mono

    def moment(self) -> Moment:
        """Tell both."""
        return Moment(self.wall, self.mono)


def settings(path: Path | None, **more: object) -> LedgerSettings:
    """Settings with which no test waits long."""
    values: dict[str, object] = {"path": path, "backoff": (0.01, 0.02)} | more
    return LedgerSettings(**values)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(path: Path | None, **more: object) -> AsyncIterator[Ledger]:
    """A ledger that runs, and has declared the source "epm"."""
    ledger = Ledger.open(settings(path, **more), FakeClock())
    try:
        ledger.declare("epm", ["import"])
        await ledger.start()
        yield ledger
    finally:
        await ledger.close()


def transition(
    status: Status,
    previous: Status | None = Status.RUNNING,
    *,
    task_id: str = "1",
    run: str = "#0",
    source: str = "epm",
    opens: bool | None = None,
    counts: bool | None = None,
    duration: timedelta | None = None,
    queued: timedelta | None = None,
    **task: object,
) -> Transition:
    """A transition of the task "1"; unless told, first sights open and ends count."""
    values: dict[str, object] = {"id": task_id, "status": status, "operation": "import"} | task
    return Transition(
        source=source,
        task=Task(**values),  # type: ignore[arg-type]
        run=run,
        previous=previous,
        at=START,
        opens=previous is None if opens is None else opens,
        counts=status.is_final if counts is None else counts,
        duration=duration,
        queued=queued,
    )


def entry(of: Transition) -> Entry:
    """The board's row after a transition."""
    now = Moment(of.at, 1000.0)
    ended = now if of.task.status.is_final else None
    return Entry(task=of.task, run=of.run, first_seen=now, since=now, moved=now, ended=ended)


def value(ledger: Ledger, name: str, *labels: str) -> int | None:
    """What a counter shows; None if there is no such series."""
    series = ledger.totals.counters[name].get(labels)
    return None if series is None else series.value


def finished(ledger: Ledger) -> dict[str, int]:
    """How many tasks finished, by status, without the zeros."""
    counts: dict[str, int] = {}
    for (_, _, status), series in ledger.totals.counters[FINISHED].items():
        if series.value:
            counts[status] = counts.get(status, 0) + series.value
    return counts


def numbers(totals: Totals) -> dict[object, object]:
    """Everything that was counted, to compare; births included, exemplars not."""
    found: dict[object, object] = {}
    for name, counters in totals.counters.items():
        found |= {(name, labels): (s.birth, s.value) for labels, s in counters.items()}
    for name, histograms in totals.histograms.items():
        for labels, h in histograms.items():
            found[name, labels] = (h.birth, h.bounds, tuple(h.counts), h.sum_us)
    return found | {"latest": dict(totals.latest), "durations": dict(totals.durations)}


def query(directory: Path, sql: str) -> list[tuple[Any, ...]]:
    """What another program reads in the ledger's file."""
    with closing(sqlite3.connect(directory / "ledger.sqlite3")) as connection:
        return connection.execute(sql).fetchall()


def births(totals: Totals) -> list[int]:
    """The births of all series, in order."""
    counters = [series.birth for by_labels in totals.counters.values() for series in by_labels.values()]
    histograms = [series.birth for by_labels in totals.histograms.values() for series in by_labels.values()]
    return sorted(counters + histograms)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow: the kernel refuses every write beyond the first page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def until_failed(ledger: Ledger) -> None:
    """Wait for one more commit to fail."""
    before = ledger.errors
    while ledger.errors == before:
        await asyncio.sleep(0.001)
