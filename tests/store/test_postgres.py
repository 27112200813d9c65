"""The ledger's SQL in a real PostgreSQL: one schema and one way of counting for both databases."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, Engine, create_engine

from exporter.model import Status, Transition, WatchedId
from exporter.store import counting, outbox, rebucket, retention, schema, series, state
from exporter.store.change import Change
from exporter.store.tally import Tally, Vocabulary
from exporter.store.totals import DISCOVERED, DURATION, FINISHED, QUEUE_DURATION, Totals
from tests.store.given import START, entry, transition
from tests_real.postgres import SUPERUSER, postgres

BOUNDS = {DURATION: (1.0, 10.0, 60.0), QUEUE_DURATION: (1.0,)}
OTHER_BOUNDS = {DURATION: (5.0, 20.0), QUEUE_DURATION: (1.0,)}
E, R, S = Status.ERROR, Status.RUNNING, Status.SUCCESS


@dataclass
class Database:
    """What `Storage` does with SQLite, done with another database."""

    engine: Engine
    known: Vocabulary = field(default_factory=Vocabulary)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that fails rather than see what another one writes meanwhile."""
        with self.engine.begin() as connection:
            yield connection

    def commit(self, change: Change, operations: Sequence[str] = ()) -> None:
        """Write a change."""
        with self.transaction() as connection:
            bounds = {name: rebucket.in_micros(seconds) for name, seconds in BOUNDS.items()}
            tally = Tally(bounds, 50, self.known)
            tally.declare("epm", operations)
            counting.fill_outbox(connection, counting.count(connection, change.transitions, tally))
            state.write(connection, [change])
            series.move(connection, tally)
        self.known.learn(tally.delta.births)

    def totals(self, bounds: dict[str, tuple[float, ...]]) -> Totals:
        """Read what was counted, as the next process would: with buckets of its own."""
        with self.transaction() as connection:
            rebucket.fit(connection, bounds)
            return series.read(connection, bounds)


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty ledger in a server of its own."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o711)  # PostgreSQL's user must get through to its own folder.
        with postgres(Path(place)) as host:
            _create(host)
            address = f"postgresql+psycopg://{SUPERUSER}@/ledger?host={host}"
            engine = create_engine(address, paramstyle="format", isolation_level="SERIALIZABLE")
            with engine.begin() as connection:
                schema.create(connection)
                rebucket.fit(connection, BOUNDS)
            yield Database(engine)
            engine.dispose()


def _create(host: Path) -> None:
    """Create a database that sorts text as people do, not by the characters' numbers."""
    engine = create_engine(f"postgresql+psycopg://{SUPERUSER}@/postgres?host={host}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        collation = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
        connection.exec_driver_sql(f"CREATE DATABASE ledger {collation}")
    engine.dispose()


def ends() -> list[Transition]:
    """A thousand runs that end: in two sources, several of an id, with names that people sort otherwise."""
    names = "aAbBżZ#_"
    return [
        transition(
            E if n % 4 == 0 else S,
            None,
            task_id=str(n % 600),
            run=f"{names[n % 8]}{n}",
            source=("epm", "pulp")[n % 3 == 0],
            duration=timedelta(seconds=n % 80),
            finished_at=START + timedelta(seconds=n),
        )
        for n in range(1000)
    ]


def test_each_run_counts_once_and_survives_other_buckets_and_pruning(database: Database) -> None:
    """Told again in another mixture, they move nothing; counts and sums are the same by other bounds."""
    begun = [transition(R, None, task_id=str(n)) for n in range(600)]
    board = [("epm", entry(one)) for one in begun]
    database.commit(Change(transitions=begun, entries=board, watch=[("epm", WatchedId(id="1"))]), ["import"])
    told = ends()
    for some in (told[::3], told, told[::-7], begun):
        database.commit(Change(transitions=some, removed=[("epm", "3", "#0")]))
    before, after = database.totals(BOUNDS), database.totals(OTHER_BOUNDS)
    for totals in (before, after):
        finished = {labels: one.value for labels, one in totals.counters[FINISHED].items() if one.value}
        assert sum(finished.values()) == 1000
        assert sum(one.value for one in totals.counters[DISCOVERED].values()) == 1600
        histograms = totals.histograms[DURATION].values()
        assert sum(one.sum_us for one in histograms) == sum(n % 80 for n in range(1000)) * 1_000_000
        assert sum(sum(one.counts) for one in histograms) == 1000
    small = sum(one.counts[0] for one in after.histograms[DURATION].values())
    assert small == sum(n % 80 <= 5 for n in range(1000))
    with database.transaction() as connection:
        assert len(state.read_source(connection, "epm", START).entries) == 599
        old = [n for n in range(1000) if n % 3 and n < 998 - 500 and n % 600 != 1]
        assert retention.prune(connection, START + timedelta(days=1), timedelta(seconds=500)) == len(old)
        outbox.admit(connection, ["pager"])


def test_a_run_that_is_named_at_its_end_frees_the_name_it_had(database: Database) -> None:
    """A run that began without a name, ended with one, and began again is two runs."""
    for step in (transition(R, None), transition(S, run="x"), transition(R, None)):
        database.commit(Change(transitions=[step]))
    counters = database.totals(BOUNDS).counters
    assert sum(one.value for one in counters[DISCOVERED].values()) == 2
    assert sum(one.value for one in counters[FINISHED].values()) == 1
