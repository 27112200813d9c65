"""The database side of the ledger: one connection, used by one thread at a time."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError

from exporter.errors import StorageError
from exporter.store import counting, rebucket, retention, series, sqlite, state
from exporter.store.change import Change, LedgerSettings, Scraper, SourceState
from exporter.store.tally import Tally, Vocabulary
from exporter.store.totals import DURATION, QUEUE_DURATION, Delta, Totals

T = TypeVar("T")


class Unstorable(StorageError):
    """Something in these changes can never be stored, however often it is tried."""


class Storage:
    """The open database."""

    totals: Totals
    """What was in it when it was opened."""
    released: int
    scrapers: Mapping[str, Scraper]
    retention: timedelta
    """How long runs are remembered; may be changed."""
    forgotten: Mapping[str, datetime]
    """The latest end that was pruned of each source."""

    def __init__(self, settings: LedgerSettings) -> None:
        """Open it, or create it.

        Raises:
            StorageError: it is in use, newer, broken or unwritable; it was left as it is.
        """
        bounds = {DURATION: settings.duration_buckets, QUEUE_DURATION: settings.queue_buckets}
        path = settings.path
        self._settings = settings
        self.retention = settings.retention
        self._bounds = {name: rebucket.in_micros(seconds) for name, seconds in bounds.items()}
        self._known = Vocabulary()
        self._lock = None if path is None else sqlite.prepare(path)
        self._engine = sqlite.engine(None if path is None else path / sqlite.FILE)
        try:
            self._load(bounds)
        except DBAPIError as error:
            self.close()
            raise StorageError(
                f"{path}: cannot be opened ({error.orig}); see that there is room and nothing else uses it"
            ) from None

    def commit(self, changes: Sequence[Change]) -> Delta:
        """Write changes in one transaction; return what they moved.

        Raises:
            Unstorable: at least one of them can never be written.
            StorageError: it may work later.
        """
        with self._transaction() as connection:
            tally = self._tally()
            transitions = chain.from_iterable(change.transitions for change in changes)
            news = counting.count(connection, transitions, tally)
            for change in changes:
                for source, reason in change.lost:
                    tally.lose(source, reason)
            counting.fill_outbox(connection, news)
            state.write(connection, changes)
            series.move(connection, tally)
        self._known.learn(tally.delta.births)
        return tally.delta

    def declare(self, source: str, operations: Iterable[str], now: datetime) -> tuple[SourceState, Delta]:
        """Read what is known of a source, and create its series; return both.

        Raises:
            StorageError: it cannot be written.
        """
        with self._transaction() as connection:
            tally = self._tally()
            tally.declare(source, sorted({"", *operations, *self._known.operations.get(source, ())}))
            series.move(connection, tally)
            told = state.read_source(connection, source, now)
        self._known.learn(tally.delta.births)
        return told, tally.delta

    def ended(self, source: str, ids: Collection[str]) -> dict[str, set[str]]:
        """Read the runs of these ids that ended.

        Raises:
            StorageError: it cannot be read.
        """
        with self._transaction() as connection:
            return counting.read_ended(connection, source, ids)

    def prune(self, now: datetime) -> int:
        """Delete a chunk of what is too old; return how many runs that were.

        Raises:
            StorageError: it cannot be written.
        """
        with self._transaction() as connection:
            state.forget_scrapers(connection, now - self.retention)
            pruned = retention.prune(connection, now, self.retention)
            forgotten = retention.forgotten(connection)
        self.forgotten = forgotten
        return pruned

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in a transaction of its own.

        Raises:
            StorageError: it cannot be done now, or (Unstorable) ever.
        """
        with self._transaction() as connection:
            return work(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _load(self, bounds: Mapping[str, tuple[float, ...]]) -> None:
        with self._engine.begin() as connection:
            sqlite.set_up(connection)
            rebucket.fit(connection, bounds)
            self.totals = series.read(connection, bounds)
            self.released, self.scrapers = state.read_scrapers(connection)
            self.forgotten = retention.forgotten(connection)
        for name, by_labels in (self.totals.counters | self.totals.histograms).items():
            self._known.learn({(name, labels): one.birth for labels, one in by_labels.items()})

    def _tally(self) -> Tally:
        return Tally(self._bounds, self._settings.max_error_codes, self._known)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction whose errors tell whether another attempt makes sense."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (OperationalError, InternalError) as error:
            raise StorageError(str(error.orig)) from error
        except DatabaseError as error:
            if type(error) is DatabaseError:  # The file is broken; the subclasses blame the data.
                raise StorageError(str(error.orig)) from error
            raise Unstorable(str(error.orig)) from error
        except (OSError, MemoryError) as error:
            raise StorageError(str(error)) from error
        except Exception as error:
            raise Unstorable(str(error)) from error
