"""The loop that asks one source about its tasks."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random

import structlog

from exporter.apis.base import Lists, TaskApi
from exporter.clock import Clock, Moment
from exporter.errors import ExporterError, Malformed, SourceError, StorageError, TaskNotFound
from exporter.model import Status, Task, WatchedId
from exporter.polling.habits import Habits
from exporter.polling.intake import Intake, checked
from exporter.polling.listing import Lister
from exporter.polling.schedule import Bounds, Schedule, backoff, interval, jittered
from exporter.polling.settings import Observer, PollSettings
from exporter.polling.troubles import Rest, Troubles, asked_to_wait
from exporter.polling.watchlist import Watchlist
from exporter.store.board import Board
from exporter.store.entry import Entry, age, run_age
from exporter.store.ledger import Change, Ledger, SourceState

REGISTERED = "registration"
"""The origin of ids that were handed over by POST; they are forgotten once they have ended."""
_LISTING = ""
"""What a listing is called among the task ids that requests are about."""
_HOUSEKEEPING = 5.0
_DOZE = 3600.0


class TooManyWatched(ExporterError):
    """More ids than ``max_watched_tasks`` allows."""


class Poller:
    """Polls one source: by a listing where its API lists, and one id after the other where not.

    A source that fails is left alone for ever longer, with a single request at a time to see
    whether it is back; other sources do not notice. An error may hold an answer, for the API module may be
    a stranger's: *hide* blots out of it what the source was told in confidence.
    """

    def __init__(
        self,
        *,
        api: TaskApi,
        board: Board,
        ledger: Ledger,
        state: SourceState,
        settings: PollSettings,
        observer: Observer,
        clock: Clock,
        dice: Random,
        hide: Callable[[str], str],
    ) -> None:
        self.board = board
        self.settings = settings
        self.last_error = ""
        self._api = api
        self._ledger = ledger
        self._state = state
        self._observer = observer
        self._clock = clock
        self._dice = dice
        self._hide = hide
        self._log = structlog.get_logger().bind(source=board.source)
        self._intake = Intake(board, ledger, clock)
        self._watchlist = Watchlist()
        self._watchlist.add(REGISTERED, state.watched)
        self._schedule = Schedule()
        self._habits = Habits(settings.bounds)
        self._in_flight: set[str] = set()
        self._unknown_since: dict[str, float] = {}
        self._spelled: dict[str, str] = {}
        """What the API calls an unfinished task that was asked for by another spelling of its id."""
        self._failing_since = 0.0
        self._troubles = Troubles()
        self._rest = Rest(clock, Bounds(least=settings.bounds.least, most=settings.max_backoff))
        self._wake = asyncio.Event()
        lists = isinstance(api, Lists) and api.lists
        self._lister = Lister(api, self._intake, self._watchlist, state, settings) if lists else None  # type: ignore[arg-type]

    @property
    def watched(self) -> int:
        """How many tasks are being watched: unfinished, or asked for and not seen yet."""
        pending = sum(task_id not in self.board for task_id in self._schedule)
        return sum(1 for _ in self.board.unfinished()) + pending

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._resume()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.settings.concurrency):
                group.create_task(self._work())
            if self._lister is not None:
                group.create_task(self._list_on(self._lister))
            group.create_task(self._keep_house())

    async def watch(self, origin: str, ids: Sequence[WatchedId]) -> None:
        """Let *origin* ask for just these ids from now on."""
        room = self.settings.max_watched
        if len(ids) > room:
            self._log.warning(
                "More ids than max_watched_tasks; the rest is left out", ids=len(ids), limit=room
            )
        new, gone = self._watchlist.replace(origin, ids[:room])
        for task_id in gone:
            self._stop(task_id)
        await self._begin(new)

    def drop_unwanted(self) -> None:
        """Let go of what an earlier process was asked for, and this one is not; what may be listed stays.

        Call it when everyone who may ask has told what they ask for.
        """
        if self._lister is None:
            wanted = set(self._spelled.values())
            unfinished = [entry.task.id for entry in self.board.unfinished()]
            for task_id in unfinished:
                if task_id not in self._watchlist and task_id not in wanted:
                    self._stop(task_id)

    async def register(self, ids: Sequence[WatchedId]) -> list[str]:
        """Watch ids until they end; return those that are new, once they are stored for good.

        Raises:
            TooManyWatched: there is no room for them; none of them is taken.
            StorageError: too much waits to be stored already; none of them is taken.
        """
        if self._ledger.is_full:  # Whoever tries again and again must not fill the memory.
            raise StorageError("too much waits to be stored, nothing more is asked for")
        unseen = [one for one in ids if one.id not in self._watchlist and one.id not in self.board]
        counted = await self._intake.counted([one.id for one in unseen])
        new = [one for one in unseen if one.id not in counted]
        if self.watched + len(new) > self.settings.max_watched:
            raise TooManyWatched(
                f"{self.settings.max_watched} tasks are watched already; see max_watched_tasks"
            )
        # Those that a file names too may leave it before they end; and whoever asks again may have given up
        # the first time, before anything was stored or planned.
        wanted = [one for one in ids if one.id not in counted and self._is_open(one.id)]
        self._watchlist.add(REGISTERED, wanted)
        awaited = [kept for one in ids if (kept := self._watchlist.get(one.id)) is not None]
        await self._ledger.record(Change(watch=[(self.board.source, kept) for kept in awaited]))
        await self._begin(awaited)
        return [one.id for one in new]

    async def _resume(self) -> None:
        """Go on where an earlier process stopped."""
        self.board.restore(self._state.entries, self._clock.moment())
        await self._begin(self._state.watched)
        if self._lister is None:
            for entry in self.board.unfinished():
                self._plan(entry.task.id, 0.0)

    async def _begin(self, new: Iterable[WatchedId]) -> None:
        """Ask for newly watched ids, except for those whose end is known."""
        unseen = [watched.id for watched in new if watched.id not in self.board]
        counted = await self._intake.counted(unseen)
        for task_id in unseen:
            if task_id in counted:
                self._forget(task_id)
            elif task_id not in self.board and not self._is_busy(task_id):
                self._plan(task_id, 0.0)

    def _stop(self, task_id: str) -> None:
        """Nobody asks for this id any more; one that is listed anyway stays."""
        spelled = self._spelled.get(task_id, task_id)
        self._forget(task_id)
        if spelled in self._watchlist or (self._lister is not None and spelled in self._lister.covered):
            return
        self._forget(spelled)
        self.board.drop(spelled)

    def _is_open(self, task_id: str) -> bool:
        """Whether the board knows no end of this id."""
        entry = self.board.get(task_id)
        return entry is None or not entry.task.status.is_final

    def _is_wanted(self, task_id: str) -> bool:
        """Whether anybody (still) asks for this id."""
        return task_id in self._watchlist or task_id in self.board

    def _is_busy(self, task_id: str) -> bool:
        """Whether this id is asked for just now, or will be."""
        return task_id in self._schedule or task_id in self._in_flight

    def _plan(self, task_id: str, wait: float) -> None:
        self._schedule.put(task_id, self._clock.monotonic() + wait)
        self._wake.set()

    def _jittered(self, wait: float) -> float:
        return jittered(wait, self._dice)

    # One id after the other.

    async def _work(self) -> None:
        while True:
            task_id, due = await self._next()
            self._begin_poll(due)
            self._in_flight.add(task_id)
            try:
                await self._poll(task_id)
            finally:
                self._in_flight.discard(task_id)
                self._end_poll()

    def _begin_poll(self, due: float) -> None:
        """Note how late a poll begins; the rest that a failing source is given is not lateness."""
        self._observer.polled(max(0.0, self._clock.monotonic() - max(due, self._rest.until)))
        self._rest.begin()

    def _end_poll(self) -> None:
        self._rest.end()
        self._wake.set()

    async def _next(self) -> tuple[str, float]:
        while True:
            await self._ledger.has_room()
            rest = self._rest.left()
            now = self._clock.monotonic()
            if rest <= 0 and (popped := self._schedule.pop(now)) is not None:
                return popped
            due = self._schedule.next_due()
            await self._doze(max(rest, _DOZE if due is None else due - now))

    async def _doze(self, seconds: float) -> None:
        """Wait so long, or until something changes."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _poll(self, task_id: str) -> None:
        asked = self._clock.monotonic()
        try:
            task = checked(await self._api.fetch(task_id))
        except TaskNotFound as error:
            self._answered(task_id)
            self._not_found(task_id, error)
        except SourceError as error:
            self._retry(task_id, error)
        except Exception as error:  # noqa: BLE001 - the edge of a poll: an API module's bug ends no loop
            self._retry(task_id, _bug(error))
        else:
            self._answered(task_id)
            await self._take(task_id, task, asked)

    async def _take(self, task_id: str, task: Task, asked: float) -> None:
        """Take in an answer. The API's own spelling of the id is the one that counts."""
        self._unknown_since.pop(task_id, None)
        renamed = task.id != task_id and task.id not in self.board
        counted = (await self._intake.counted([task.id])).get(task.id, ()) if renamed else ()
        if not self._is_wanted(task_id):
            return  # Nobody asks for it any more, since this poll began.
        self._intake.asked_for(task, asked, self._watchlist.get(task_id), counted)
        entry = self.board.get(task.id)
        if entry is None or entry.task.status.is_final:
            self._forget(task_id)
        else:
            if task.id != task_id:
                self._spelled[task_id] = task.id
            self._plan(task_id, self._jittered(self._wait(entry)))

    def _wait(self, entry: Entry) -> float:
        """As long as a task of this age deserves, and as its operation's past durations advise."""
        now, bounds = self._clock.moment(), self.settings.bounds
        if entry.running is None or entry.task.status is not Status.RUNNING:
            return interval(age(entry, now).total_seconds(), bounds)
        durations = self._ledger.totals.durations.get((self.board.source, entry.task.operation), ())
        return self._habits.wait(entry.task.operation, run_age(entry, now).total_seconds(), durations)

    def _not_found(self, task_id: str, error: TaskNotFound) -> None:
        """Ask again for a while: an id may be registered before its API knows it."""
        if not self._is_wanted(task_id):
            return
        now = self._clock.monotonic()
        since = self._unknown_since.setdefault(task_id, now)
        if now - since >= self.settings.lost_after:
            self._lose(task_id, error)
        else:
            least = self.settings.bounds.least
            self._plan(task_id, self._jittered(self.settings.bounds.clamp(least + (now - since) / 2)))

    def _lose(self, task_id: str, error: TaskNotFound) -> None:
        """Give up an id that its API has not known for too long."""
        reason = "not_found" if self.board.drop(task_id) is None else "vanished"
        self._log.warning("Lost a task", task=task_id, reason=reason, err=self._hide(str(error)))
        self._intake.record(lost=reason)
        self._forget(task_id)

    def _retry(self, task_id: str, error: SourceError) -> None:
        """Ask again later; a task that is refused on its own is asked for ever less often."""
        self._failed(task_id, error)
        if not self._is_wanted(task_id):
            self._forget(task_id)
            return
        bounds = Bounds(least=self.settings.bounds.least, most=self.settings.max_backoff)
        wait = self._jittered(backoff(self._troubles.tries(task_id), bounds))
        self._plan(task_id, max(wait, asked_to_wait(error)))

    def _forget(self, task_id: str) -> None:
        """An id needs no more polls: it has ended, is lost, or nobody asks for it any more."""
        self._schedule.remove(task_id)
        self._unknown_since.pop(task_id, None)
        self._spelled.pop(task_id, None)
        self._recovered(task_id)
        if self._watchlist.discard(REGISTERED, task_id):
            self._ledger.record(Change(unwatch=[(self.board.source, task_id)]))

    # Listing.

    async def _list_on(self, lister: Lister) -> None:
        due = self._clock.monotonic()
        while True:
            await self._ledger.has_room()
            rest = self._rest.left()
            if rest > 0:
                await self._doze(rest)
                continue
            self._begin_poll(due)
            try:
                await self._list(lister)
            finally:
                self._end_poll()
            wait = self._list_wait()
            due = self._clock.monotonic() + wait
            await asyncio.sleep(wait)

    async def _list(self, lister: Lister) -> None:
        asked = self._clock.moment()
        try:
            listing = await lister.list(asked)
        except SourceError as error:
            self._not_listed(lister, asked, error)
        except Exception as error:  # noqa: BLE001 - the edge of a poll: an API module's bug ends no loop
            self._not_listed(lister, asked, _bug(error))
        else:
            self._answered(_LISTING)
            self._fill_gaps(lister, asked.mono)
            for task in filter(self._is_told, listing.tasks):
                self._forget(task.id)

    def _is_told(self, task: Task) -> bool:
        """Whether a listed task needs no more polls, nor its registration.

        What ended before it was watched is not on the board until it was asked for by its id.
        """
        ended = task.status.is_final and task.id in self.board
        return ended and (task.id in self._watchlist or not self._is_open(task.id))

    def _not_listed(self, lister: Lister, asked: Moment, error: SourceError) -> None:
        """Ask by id for what no listing has told yet: it may be only listings that are refused."""
        self._failed(_LISTING, error)
        self._fill_gaps(lister, asked.mono)

    def _list_wait(self) -> float:
        """As often as the youngest unfinished task deserves, and at least every ``list_interval``."""
        now = self._clock.moment()
        ages = [age(entry, now).total_seconds() for entry in self.board.unfinished()]
        wait = interval(min(ages), self.settings.bounds) if ages else self.settings.list_interval
        return self._jittered(min(wait, self.settings.list_interval))

    def _fill_gaps(self, lister: Lister, asked: float) -> None:
        """Ask by id for what the listing does not tell: tasks that it ought to tell of, or never does."""
        for task_id in filter(self.board.__contains__, lister.covered):
            self._schedule.remove(task_id)
            self._unknown_since.pop(task_id, None)
        for entry in self.board.unfinished():
            task_id = entry.task.id
            busy = self._is_busy(task_id)
            if task_id not in lister.covered and not busy and entry.first_seen.mono <= asked:
                self._plan(task_id, 0.0)

    # What answers and failures change.

    def _answered(self, subject: str) -> None:
        self._observer.succeeded(self._clock.now())
        if self._rest.failures:
            self._excuse(self._clock.monotonic() - self._failing_since)
        self._rest.answered()
        self.last_error = ""
        self._recovered(subject)

    def _excuse(self, seconds: float) -> None:
        """An outage does not count as time in which the API did not know an id."""
        self._unknown_since = {task_id: since + seconds for task_id, since in self._unknown_since.items()}

    def _failed(self, subject: str, error: SourceError) -> None:
        self._observer.failed(error)
        if not self._rest.failures:
            self._failing_since = self._clock.monotonic()
        self._rest.failed(error)
        self.last_error = self._hide(str(error))
        if self._troubles.failed(subject, error):
            self._log.warning("Trouble with a source", reason=error.reason, err=self.last_error)

    def _recovered(self, subject: str) -> None:
        for reason in self._troubles.over(subject):
            self._log.info("A trouble with a source is over", reason=reason)

    async def _keep_house(self) -> None:
        """Take ended tasks off the board in time, and store progress behind the polls."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING)
            self.board.sweep(self._clock.moment())
            self._intake.record()


def _bug(error: Exception) -> SourceError:
    return Malformed(f"the API module failed: {type(error).__name__}: {error}")
