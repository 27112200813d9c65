"""The way of finished tasks into the ledger, beside bare inserts of the same rows into the same table."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

from bench.figures import Figure, Part, at_least, ratios
from bench.isolated import measure
from exporter.clock import Moment, SystemClock
from exporter.model import Status, Task, Transition
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.ledger import Change, Ledger, LedgerSettings
from exporter.store.schema import runs as table

_TASKS = 20_000
_GROUP = 2_000
"""What the ledger commits at once at the most."""
_START = datetime(2026, 1, 1, tzinfo=UTC)


def ours() -> float:
    """Finished tasks a second, from the transition to the future that says it is committed."""
    with tempfile.TemporaryDirectory() as directory:
        return uvloop.run(_ours(Path(directory)))


async def _ours(directory: Path) -> float:
    ledger = Ledger.open(LedgerSettings(path=directory), SystemClock())
    ledger.declare("epm", ["import"])
    await ledger.start()
    changes = [Change(transitions=[_ended(number)]) for number in range(_TASKS)]
    began = time.perf_counter()
    await asyncio.gather(*(ledger.record(change) for change in changes))
    took = time.perf_counter() - began
    await ledger.close()
    return _TASKS / took


def _ended(number: int) -> Transition:
    task = Task(
        id=str(number),
        status=Status.SUCCESS,
        operation="import",
        started_at=_START,
        finished_at=_START + timedelta(seconds=60 + number % 100),
    )
    now = Moment(_START, 0.0)
    news = Board("epm", BoardRules()).apply(task, Sighting(at=now, asked=0.0, wanted=True))
    if news is None:
        raise RuntimeError("an end that was asked for is news")
    return news


def bare() -> float:
    """Rows a second by executemany in transactions of the same size, with the same pragmas."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        uvloop.run(_create(path))
        with closing(sqlite3.connect(path / "ledger.sqlite3", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            return _insert(connection)


async def _create(directory: Path) -> None:
    await Ledger.open(LedgerSettings(path=directory), SystemClock()).close()


def _insert(connection: sqlite3.Connection) -> float:
    columns = (
        "source",
        "task_id",
        "run",
        "opened",
        "counted",
        "status",
        "operation",
        "finished_at",
        "duration",
    )
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - constants
    finished = int(_START.timestamp() * 1_000_000)
    rows = [
        ("epm", str(number), "#0", 0, 1, "success", "import", finished, 60_000_000)
        for number in range(_TASKS)
    ]
    began = time.perf_counter()
    for first in range(0, _TASKS, _GROUP):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows[first : first + _GROUP])
        connection.execute("COMMIT")
    return _TASKS / (time.perf_counter() - began)


def run(runs: int) -> Sequence[Figure]:
    """Measure both in turn."""
    found, limit = [], []
    for _ in range(runs):
        limit.append(measure("commit:bare"))
        found.append(measure("commit:ours"))
    return [
        at_least("finished tasks a second, of the bare inserts", ratios(found, limit), "x", 0.5),
        Figure(what="ours", values=found, unit="/s"),
        Figure(what="bare executemany (the limit)", values=limit, unit="/s"),
    ]


PART = Part(title="The commit path, 20,000 finished tasks", run=run)
