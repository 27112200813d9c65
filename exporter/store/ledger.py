"""What was counted, once and for good: runs, totals and the board's rows, in one SQL database.

Changes are queued and committed in groups by one writer thread: whatever came while a group was
being committed makes up the next one. The totals move on the event loop after the commit, so that
the metrics show nothing that is not stored. What cannot be stored now is kept in order and tried
again; the loop never waits for it. Only when much has come together do polls wait for `Ledger.has_room`, and
whoever can come again later is told that the ledger `is_full`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from exporter.clock import Clock
from exporter.errors import StorageError
from exporter.store.change import Change, LedgerSettings, Scraper, SourceState
from exporter.store.schema import set_meta
from exporter.store.storage import Storage, Unstorable
from exporter.store.totals import Delta, Totals

__all__ = ["Change", "Ledger", "LedgerSettings", "Scraper", "SourceState"]

T = TypeVar("T")
Declared = dict[str, tuple[SourceState, Delta]]
Queued = tuple[Change, "asyncio.Future[None]"]
_log = structlog.get_logger()
_SPACING = 0.005
"""Seconds from one commit's begin to the next: what bounds the number of fsyncs under load."""
_GROUP = 2000
"""How many changes go into one commit at the most."""
_FAREWELL = 1.5
"""Seconds that `Ledger.close` gives to what is queued."""
_PRUNE_EVERY = 3600.0
_MICROSECOND = timedelta(microseconds=1)
_PATIENCE = 5.0
"""Seconds that `Ledger.check` gives to what waits."""


class Ledger:
    """The ledger of all sources; every method but `open` belongs to the event loop's thread."""

    def __init__(self, storage: Storage, settings: LedgerSettings, clock: Clock) -> None:
        """Take over an open database; `open` does both."""
        self.totals: Totals = storage.totals
        self.errors = 0
        """Commits that failed."""
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._released, self._scrapers = storage.released, dict(storage.scrapers)
        self._queue: deque[Queued] = deque()
        self._waiting = 0
        """The sizes of what is in the queue."""
        self._overflow_told = False
        self._group = _GROUP
        self._trouble = ""
        self._failures = 0
        self._last_commit = float("-inf")
        self._wake, self._closing, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def open(cls, settings: LedgerSettings, clock: Clock) -> "Ledger":
        """Open the ledger, or create it; call it before the event loop runs.

        Raises:
            StorageError: the file is in use, newer, broken or unwritable; it was left as it is.
        """
        return cls(Storage(settings), settings, clock)

    @property
    def pending(self) -> int:
        """Changes that are not committed yet."""
        return len(self._queue)

    def declare(self, source: str, operations: Iterable[str]) -> SourceState:
        """Create every series of a source that can be known, at zero; return what is known of it.

        Those are the series of *operations*, of the empty operation, and of all that turned up
        before. It waits for the commit that is under way, if any.

        Raises:
            StorageError: it cannot be written.
        """
        declared = self._thread.submit(self._declare_all, {source: operations}).result()
        return self._moved(declared)[source]

    async def declare_in_turn(self, operations: Mapping[str, Iterable[str]]) -> Mapping[str, SourceState]:
        """As `declare`, for several sources, without the event loop having to wait.

        Their series are in the totals from the moment that this returns: who serves the sources before the
        next ``await`` lets no scrape take these series for served that it was not served.

        Raises:
            StorageError: it cannot be written.
        """
        return self._moved(await self._in_thread(partial(self._declare_all, operations)))

    async def start(self) -> None:
        """Begin to commit what is recorded, and to prune every hour."""
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._prune_hourly())]

    async def run(self) -> None:
        """Wait until it is closed; raises what nobody foresaw, and what nothing can be committed after.

        Whoever goes on without it counts nothing any more; a new process finds again what was not committed.
        """
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def close(self) -> None:
        """Commit what is queued, for at most 1.5 seconds, and let go of the file.

        The futures of what could not be committed fail with a StorageError. Closing twice is fine.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        for task in self._tasks[1:]:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FAREWELL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._refuse(self._queue, StorageError("the ledger was closed before this was stored"))
        self._queue.clear()
        self._thread.submit(self._storage.close)
        self._thread.shutdown()

    def record(self, change: Change) -> asyncio.Future[None]:
        """Queue a change; the future is done when it is committed.

        The future fails with a StorageError only when the change can never be stored, or the
        ledger was closed before; nobody has to look at it.
        """
        stored = asyncio.get_running_loop().create_future()
        if self._closing.is_set():
            self._refuse([(change, stored)], StorageError("the ledger is closed"))
            return stored
        self._queue.append((change, stored))
        self._waiting += change.size
        if self._waiting >= self._settings.room:
            self._room.clear()
        self._wake.set()
        return stored

    async def has_room(self) -> None:
        """Wait while too much waits to be stored already.

        Whoever asks for news waits here first: memory is finite, and what is not asked for now is told later.
        News that is here already may be recorded at any time.
        """
        await self._room.wait()

    @property
    def is_full(self) -> bool:
        """Whether too much waits to be stored already; whoever can come again later is not to bring more."""
        return not self._room.is_set()

    async def counted(self, source: str, ids: Collection[str]) -> dict[str, set[str]]:
        """Look up the runs of these ids that ended and are in the ledger, or on their way into it.

        Raises:
            StorageError: it cannot be read.
        """
        wanted = set(ids)
        queued = [
            (transition.task.id, transition.run)
            for change, _ in self._queue
            for transition in change.transitions
            if transition.source == source and transition.task.id in wanted
            if transition.task.status.is_final
        ]
        found = await self._in_thread(partial(self._storage.ended, source, wanted))
        for task_id, run in queued:
            found.setdefault(task_id, set()).add(run)
        return found

    @property
    def retention(self) -> timedelta:
        """How long runs are remembered; may be changed at any time."""
        return self._storage.retention

    @retention.setter
    def retention(self, retention: timedelta) -> None:
        self._storage.retention = retention

    def oldest(self, source: str, now: datetime) -> datetime:
        """What ended before this time is history: whether it was counted may have been forgotten."""
        kept, forgotten = now - self._storage.retention, self._storage.forgotten.get(source)
        return kept if forgotten is None else max(kept, forgotten + _MICROSECOND)

    async def check(self, patience: float = _PATIENCE) -> None:
        """See that it takes what waits, and one note more.

        Raises:
            StorageError: it does not within so many seconds.
        """
        try:
            async with asyncio.timeout(patience):
                await self.record(Change())
            now = self._clock.now().isoformat()
            await self.transact(lambda connection: set_meta(connection, "checked_at", now))
        except TimeoutError:
            raise StorageError("the ledger cannot be written now; reload again when it can") from None

    def scrapers(self) -> tuple[int, list[Scraper]]:
        """Tell the highest released birth, and every scraper that is known."""
        return self._released, list(self._scrapers.values())

    async def prune(self, now: datetime) -> int:
        """Delete the runs that can never be counted again; return how many.

        Which these are is told in `exporter.store.retention`: the poller must count no end before
        `oldest`, for a run that was pruned would be counted again.

        Raises:
            StorageError: it cannot be written.
        """
        pruned = 0
        while some := await self._in_thread(partial(self._storage.prune, now)):
            pruned += some
        return pruned

    def on_news(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each commit that may have put something into the outbox."""
        self._listeners.append(listener)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in a transaction of its own, in the thread that commits.

        Raises:
            StorageError: it cannot be done now, or (Unstorable) ever.
        """
        return await self._in_thread(partial(self._storage.transact, work))

    def _declare_all(self, operations: Mapping[str, Iterable[str]]) -> Declared:
        """In the thread that commits."""
        now = self._clock.now()
        return {source: self._storage.declare(source, tuple(own), now) for source, own in operations.items()}

    def _moved(self, declared: Declared) -> dict[str, SourceState]:
        for _, delta in declared.values():
            self.totals.move(delta)
        return {source: state for source, (state, _) in declared.items()}

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _write(self) -> None:
        while group := await self._next_group():
            changes = [change for change, _ in group]
            try:
                delta = await self._in_thread(partial(self._storage.commit, changes))
            except Unstorable as error:
                self._isolate(group, error)
            except StorageError as error:
                if self._closing.is_set():
                    return
                self._tell_overflow()
                await self._back_off(error)
            else:
                self._committed(group, delta)

    async def _next_group(self) -> list[Queued]:
        """Wait for changes; they stay queued until they are committed. Empty when it is over."""
        while not self._queue and not self._closing.is_set():
            self._wake.clear()
            await self._wake.wait()
        if not self._closing.is_set():
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, self._last_commit + _SPACING - now))
        self._last_commit = asyncio.get_running_loop().time()
        return list(islice(self._queue, self._group))

    def _committed(self, group: Sequence[Queued], delta: Delta) -> None:
        self.totals.move(delta)
        if self._trouble:
            _log.info("the ledger is written again", pending=self.pending)
        self._trouble, self._failures = "", 0
        self._group = min(self._group * 2, _GROUP)
        self._let_go(group)
        for change, stored in group:
            for scraper in change.scrapers:
                self._scrapers[scraper.key] = scraper
            if change.released is not None:
                self._released = change.released
            if not stored.done():
                stored.set_result(None)
        if any(change.transitions for change, _ in group):
            for listener in self._listeners:
                listener()

    def _isolate(self, group: Sequence[Queued], error: Unstorable) -> None:
        """Find the one change that can never be stored by halving the group, and let it go."""
        if len(group) > 1:
            self._group = len(group) // 2
            return
        self.errors += 1
        _log.error("a change cannot be stored and is dropped", error=str(error), tasks=_tasks_in(group[0][0]))
        self._refuse(group, error)
        self._let_go(group)

    def _let_go(self, group: Sequence[Queued]) -> None:
        """Take the first changes off the queue."""
        for change, _ in group:
            self._queue.popleft()
            self._waiting -= change.size
        if self._waiting < self._settings.room:
            self._room.set()
            self._overflow_told = False

    def _tell_overflow(self) -> None:
        """Log that polls wait, too; while commits succeed they wait for a moment only."""
        if self.is_full and not self._overflow_told:
            self._overflow_told = True
            _log.error("too much waits to be stored, nothing more is asked for", pending=self.pending)

    async def _back_off(self, error: StorageError) -> None:
        self.errors += 1
        first, longest = self._settings.backoff
        delay = min(first * 2**self._failures, longest)
        self._failures += 1
        if str(error) != self._trouble:
            self._trouble = str(error)
            _log.error("the ledger cannot be written, will retry", error=str(error), pending=self.pending)
        with suppress(TimeoutError):
            # Not wait_for, which may swallow a cancellation that comes together with the end (before 3.12).
            async with asyncio.timeout(delay):
                await self._closing.wait()

    def _refuse(self, group: Iterable[Queued], error: StorageError) -> None:
        for _, stored in group:
            if not stored.done():
                stored.set_exception(error)
                stored.exception()  # Looked at: asyncio need not complain if nobody else does.

    async def _prune_hourly(self) -> None:
        while True:
            await asyncio.sleep(_PRUNE_EVERY)
            try:
                pruned = await self.prune(self._clock.now())
            except StorageError as error:
                _log.error("old runs cannot be pruned", error=str(error))
            else:
                _log.info("old runs pruned", runs=pruned)


def _tasks_in(change: Change) -> list[str]:
    """The ids in a change, for the log."""
    ids = [transition.task.id for transition in change.transitions]
    return [*dict.fromkeys(ids + [entry.task.id for _, entry in change.entries])][:10]
