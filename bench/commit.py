"""The way of finished tasks into the ledger, beside bare inserts of the same rows into the same table.

Whatever is not the ledger's own work is the same on both sides:

* the limit is ``executemany`` of ready tuples: the very rows that the ledger has just written, every column,
  in the order in which they came, into a table of the same schema, with its key and its index;
* the ledger's own code opens that file, too, so the pragmas are the same: WAL, and an fsync at each commit;
* both commit 2,000 rows at once, so both wait for the disk equally often;
* both do it in one process, in turn, in rounds of a tenth of a second or a few, so that whatever else the
  machine does slows both; the first round, which compiles statements and fills caches, does not count;
* what is handed over is made before and frozen, for the rows of the limit cost Python's garbage collector
  nothing either; what the ledger makes of it is collected as ever.

A round of ours lasts from handing over the board's transitions until the future of every one is done. What
is to be reached is the rate by the clock on the wall, for that is how fast tasks can end. The rate by CPU
time is told beside, because a slow disk keeps both sides waiting equally long, and so hides what we add.
"""

import gc
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from bench.boards import ended
from bench.figures import Figure, Part, at_least, ratios
from bench.isolated import measure
from exporter.clock import SystemClock
from exporter.model import Transition
from exporter.store import schema
from exporter.store.ledger import Change, Ledger, LedgerSettings
from exporter.store.sqlite import FILE, engine

Row = tuple[object, ...]

_ROUNDS = 6
_TASKS = 20_000
_GROUP = 2_000
"""What the ledger commits at once at the most."""
_READ = f"SELECT * FROM {schema.runs.name}"  # noqa: S608 - a constant
_INSERT = f"INSERT INTO {schema.runs.name} VALUES ({', '.join('?' * len(schema.runs.columns))})"  # noqa: S608 - a constant


@dataclass
class Stopwatch:
    """How long each round took, in seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def round(self) -> Iterator[None]:
        """Time one."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def rates(self) -> dict[str, float]:
        """Tasks a second in the middle one of the rounds that count."""
        return {"wall": _TASKS / median(self.wall[1:]), "cpu": _TASKS / median(self.cpu[1:])}


def both() -> dict[str, dict[str, float]]:
    """Tasks a second, ours and bare, by the wall and by CPU time."""
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as bare:
        return uvloop.run(_both(Path(ours), Path(bare)))


async def _both(here: Path, there: Path) -> dict[str, dict[str, float]]:
    ours, bare = Stopwatch(), Stopwatch()
    ledger = Ledger.open(LedgerSettings(path=here), SystemClock())
    ledger.declare("epm", ["import"])
    await ledger.start()
    with closing(_create(there / FILE)) as connection:
        for first in range(0, _ROUNDS * _TASKS, _TASKS):
            over = [ended(run, seconds=60 + run % 100) for run in range(first, first + _TASKS)]
            await _record(ledger, over, ours)
            _insert(connection, _written(here / FILE, over), bare)
        await ledger.close()
        if _rows(here / FILE) != _rows(there / FILE):
            raise RuntimeError("both sides are to write the same rows")
    return {"ours": ours.rates(), "bare": bare.rates()}


async def _record(ledger: Ledger, ended: Sequence[Transition], stopwatch: Stopwatch) -> None:
    changes = [Change(transitions=[one]) for one in ended]
    gc.freeze()
    with stopwatch.round():
        for stored in [ledger.record(change) for change in changes]:
            await stored


def _create(file: Path) -> sqlite3.Connection:
    """The driver's own connection to a file with our tables."""
    made = engine(file)
    with made.begin() as connection:
        schema.create(connection)
    driver = made.raw_connection().driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("the limit is measured with the driver of the standard library")
    return driver


def _insert(connection: sqlite3.Connection, rows: Sequence[Row], stopwatch: Stopwatch) -> None:
    with stopwatch.round():
        for first in range(0, len(rows), _GROUP):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, rows[first : first + _GROUP])
            connection.execute("COMMIT")


def _written(file: Path, ended: Sequence[Transition]) -> Sequence[Row]:
    """The rows of these runs as they were written, in the order in which they came."""
    by_id = {row[1]: row for row in _rows(file)}
    return [by_id[one.task.id] for one in ended]


def _rows(file: Path) -> Sequence[Row]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(_READ).fetchall()


def run(runs: int) -> Sequence[Figure]:
    """Measure both in turn."""
    found = [measure("commit:both") for _ in range(runs)]
    values = {
        (whose, clock): [one[whose][clock] for one in found]
        for whose in ("ours", "bare")
        for clock in ("wall", "cpu")
    }
    return [
        at_least(
            "finished tasks a second, of the bare inserts",
            ratios(values["ours", "wall"], values["bare", "wall"]),
            "x",
            0.5,
        ),
        Figure(
            what="finished tasks per second of CPU, of the bare inserts",
            values=ratios(values["ours", "cpu"], values["bare", "cpu"]),
            unit="x",
        ),
        Figure(what="ours", values=values["ours", "wall"], unit="/s"),
        Figure(what="ours, per second of CPU", values=values["ours", "cpu"], unit="/s"),
        Figure(what="bare executemany (the limit)", values=values["bare", "wall"], unit="/s"),
        Figure(what="bare executemany, per second of CPU", values=values["bare", "cpu"], unit="/s"),
    ]


PART = Part(title="The commit path, 20,000 finished tasks", run=run)
