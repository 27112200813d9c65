"""One run of a task on the board, how it came before our eyes, and what can be told of its times.

Pure: no clock, no I/O.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from re import Pattern

from exporter.clock import Moment
from exporter.model import Status, Task, WatchedId

Key = tuple[str, str]
"""A task id and a run of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRule:
    """Tells the kind of work from a task's name."""

    match: Pattern[str]
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRules:
    """What the operator decided about the tasks of one source."""

    keep: timedelta = timedelta(minutes=15)
    """How long a finished task stays, from the first scrape that showed its end."""
    keep_failed: timedelta = timedelta(hours=1)
    stalled_after: timedelta = timedelta(minutes=15)
    deadline: timedelta | None = None
    operation_rules: Sequence[OperationRule] = ()
    max_finished: int = 10_000
    """How many ended tasks stay at the most while no scrape comes to see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How a task came before our eyes."""

    at: Moment
    asked: float
    """When the request began, on the monotonic clock: an answer may be older than what we know."""
    wanted: bool = False
    """Somebody asked to watch this very id."""
    since: datetime | None = None
    """A task never seen before that ended earlier than this (server's clock) is history."""
    oldest: datetime | None = None
    """What ended earlier than this may be gone from the ledger, so nobody can ask for it any more."""
    first_listing: bool = False
    """Nothing was ever listed before, so ended tasks without times are history too."""
    counted: Collection[str] = ()
    """The runs of this id that are in the ledger already."""
    watched: WatchedId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run of a task on the board."""

    task: Task
    run: str
    first_seen: Moment
    since: Moment
    """When it was first seen in its present status."""
    moved: Moment
    """When its progress or status was last seen to change."""
    running: Moment | None = None
    """When it was first seen running."""
    ended: Moment | None = None
    """When it was first seen ended."""
    shown: Moment | None = None
    """The first scrape that showed its end."""


def age(entry: Entry, now: Moment) -> timedelta:
    """How long a task has been under way, or waiting, since it could have started; never negative."""
    begun = entry.task.started_at or entry.task.ready_at or entry.task.created_at
    if begun is None:
        return entry.first_seen.until(now)
    return max(timedelta(0), now.wall - begun)


def run_age(entry: Entry, now: Moment) -> timedelta:
    """How long a running task has run, by its API or since it was first seen running; never negative."""
    if entry.task.started_at is not None:
        return max(timedelta(0), now.wall - entry.task.started_at)
    return (entry.running or entry.first_seen).until(now)


def entered(entry: Entry) -> datetime:
    """When a task entered its status: by its API where that tells, otherwise when we saw it.

    A task that is scheduled for later enters its waiting when its time comes, so that nobody takes
    it for stuck.
    """
    task = entry.task
    if task.status is Status.RUNNING and task.started_at is not None:
        return task.started_at
    if task.status is Status.PENDING:
        times = [at for at in (task.created_at, task.ready_at) if at is not None]
        return max(times, default=entry.since.wall)
    return entry.since.wall


def duration(entry: Entry) -> timedelta | None:
    """How long an ended run took: by its API's times, its API's word, or our own eyes.

    None where nobody can tell: times that contradict each other, or an end without a beginning.
    """
    task = entry.task
    if task.started_at is not None and task.finished_at is not None:
        took = task.finished_at - task.started_at
        return took if took >= timedelta(0) else None
    if task.duration is not None:
        return task.duration
    if entry.ended is None or entry.ended == entry.first_seen:
        return None
    if task.finished_at is not None and entry.running is None:
        return None  # It ended without ever starting, as what is cancelled while it waits.
    if task.started_at is not None and entry.ended.wall >= task.started_at:
        return entry.ended.wall - task.started_at
    return (entry.running or entry.first_seen).until(entry.ended)


def queued(task: Task) -> timedelta | None:
    """How long a task waited for its start since it could have started."""
    ready = task.ready_at or task.created_at
    if ready is None or task.started_at is None or task.started_at < ready:
        return None
    return task.started_at - ready


def recalled(entry: Entry, now: Moment) -> Entry:
    """An entry of an earlier process, with its moments in the seconds of this one."""
    return replace(
        entry,
        first_seen=entry.first_seen.recalled(now),
        since=entry.since.recalled(now),
        moved=entry.moved.recalled(now),
        running=entry.running and entry.running.recalled(now),
        ended=entry.ended and entry.ended.recalled(now),
        shown=entry.shown and entry.shown.recalled(now),
    )
