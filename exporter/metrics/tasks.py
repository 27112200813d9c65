"""The state of the tasks, read from the boards at each scrape and gone with the tasks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from heapq import nlargest
from operator import attrgetter
from typing import Any

from exporter.clock import Moment
from exporter.metrics.estimate import estimated_end
from exporter.metrics.family import Labels, Metric, Sample
from exporter.model import Status, Subtask
from exporter.store.board import Board
from exporter.store.entry import Entry, entered
from exporter.store.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A source as it is configured, with its board."""

    name: str
    api: str
    board: Board
    max_task_series: int
    """How many of its tasks have series of their own, at the most."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The source's own labels."""
    operations: Collection[str] = ()
    """The operations that are known, whether a task of theirs is on the board or not."""


@dataclass(frozen=True, kw_only=True)
class SourceTasks:
    """A source's tasks at one moment; what is derived from them is reckoned where it is read."""

    view: SourceView
    now: Moment
    current: Mapping[str, Entry]
    """The current run of each id."""
    past: Sequence[Entry]
    """Earlier runs that ended lately."""
    durations: Mapping[str, Sequence[float]]
    """What earlier runs took, by operation, in seconds."""

    @cached_property
    def groups(self) -> Mapping[tuple[str, Status], Sequence[Entry]]:
        """The current runs by operation and status."""
        groups: dict[tuple[str, Status], list[Entry]] = defaultdict(list)
        for entry in self.current.values():
            groups[entry.task.operation, entry.task.status].append(entry)
        return groups

    @cached_property
    def counts(self) -> Mapping[tuple[str, Status], int]:
        """How many runs there are by operation and status."""
        past = Counter((entry.task.operation, entry.task.status) for entry in self.past)
        return past + Counter({key: len(group) for key, group in self.groups.items()})

    @cached_property
    def operations(self) -> Sequence[str]:
        """Every operation that is known or on the board."""
        return sorted({operation for operation, _ in self.counts}.union(self.view.operations))

    @cached_property
    def past_failures(self) -> Sequence[Entry]:
        """The earlier runs that failed."""
        return [entry for entry in self.past if entry.task.status.is_failed]

    @cached_property
    def ranks(self) -> Sequence[Sequence[Entry]]:
        """The runs that are worth series of their own, those that are worth most first."""
        ranks: tuple[list[Entry], ...] = ([], [], [], [])
        for (_, status), group in self.groups.items():
            ranks[_rank(status)].extend(group)
        ranks[_rank(Status.ERROR)].extend(self.past_failures)
        return ranks

    @cached_property
    def shown(self) -> Sequence[Entry]:
        """The runs that have series of their own: of the last rank that has room, the newest."""
        shown: list[Entry] = []
        for runs in self.ranks:
            room = self.view.max_task_series - len(shown)
            shown += runs if len(runs) <= room else nlargest(room, runs, key=_entered)
        return shown

    @property
    def dropped(self) -> int:
        """How many of them have none."""
        return sum(map(len, self.ranks)) - len(self.shown)

    @property
    def failed(self) -> Sequence[Entry]:
        """The runs that failed, current ones and those before them."""
        return self.ranks[_rank(Status.ERROR)]

    @cached_property
    def shown_current(self) -> Mapping[str, Entry]:
        """The current runs among these, by id."""
        if not self.dropped:
            return self.current
        shown = ((entry.task.id, entry) for entry in self.shown)
        return {task_id: entry for task_id, entry in shown if self.current.get(task_id) is entry}

    @cached_property
    def rising_durations(self) -> Mapping[str, Sequence[float]]:
        """The durations by operation, the shortest first."""
        return {operation: sorted(durations) for operation, durations in self.durations.items()}

    def by_operation(self, entries: Iterable[Entry]) -> Iterator[Sample]:
        """Count entries by operation, with a zero for those that have none."""
        counts = Counter(entry.task.operation for entry in entries)
        return (((self.view.name, operation), counts[operation]) for operation in self.operations)


def take(view: SourceView, totals: Totals, now: Moment) -> SourceTasks:
    """Copy what is known of a source's tasks now; quick, as it holds up the event loop."""
    durations = {
        operation: tuple(seconds)
        for (source, operation), seconds in totals.durations.items()
        if source == view.name
    }
    return SourceTasks(
        view=view,
        now=now,
        current=view.board.current_by_id(),
        past=tuple(view.board.past()),
        durations=durations,
    )


_entered = attrgetter("since.mono")


def _rank(status: Status) -> int:
    """Running tasks come first, then other unfinished ones, failed ones, the rest."""
    if status is Status.RUNNING:
        return 0
    if not status.is_final:
        return 1
    return 2 if status.is_failed else 3


def _tasks(source: SourceTasks) -> Iterator[Sample]:
    for operation in source.operations:
        for status in Status:
            yield (source.view.name, operation, status.value), source.counts.get((operation, status), 0)


def _oldest(source: SourceTasks) -> Iterator[Sample]:
    for operation, status in sorted(source.groups):
        if status in (Status.PENDING, Status.RUNNING):
            oldest = min(map(entered, source.groups[operation, status]))
            yield (source.view.name, operation, status.value), oldest.timestamp()


def _stalled(source: SourceTasks) -> Iterator[Sample]:
    return source.by_operation(source.view.board.stalled(source.current.values(), source.now))


def _overdue(source: SourceTasks) -> Iterator[Sample]:
    board = source.view.board
    entries = () if board.rules.deadline is None else source.current.values()
    return source.by_operation(e for e in entries if board.is_overdue(e, source.now))


@dataclass(frozen=True, slots=True)
class OfEach:
    """Tells the samples of one current run after the other, each from its entry alone.

    What they depend on is read first: as long as it is the same, so are they.
    """

    read: Callable[[Entry], Any]
    """Reads from an entry what it is that is told."""
    tell: Callable[[Any], Sequence[tuple[Labels, float]]]
    """Tells what was read: label values beyond source, operation and task id, and numbers."""
    entries: Callable[[SourceTasks], Iterable[Entry]] = lambda source: source.shown_current.values()
    """The runs to tell of."""

    def __call__(self, source: SourceTasks) -> Iterator[Sample]:
        """Tell the samples of all runs; one that two runs of a task have in common is told once."""
        samples = {
            (source.view.name, entry.task.operation, entry.task.id, *labels): number
            for entry in self.entries(source)
            for labels, number in self.tell(self.read(entry))
        }
        return iter(samples.items())


def _one(labels: Labels) -> Sequence[tuple[Labels, float]]:
    return ((labels, 1),)


def _status(status: Status) -> Sequence[tuple[Labels, float]]:
    return (((status.value,), 1),)


def _number(number: float | None) -> Sequence[tuple[Labels, float]]:
    """Tell a number; a missing one is no sample."""
    return () if number is None else (((), number),)


def _time(at: datetime | None) -> Sequence[tuple[Labels, float]]:
    return () if at is None else (((), at.timestamp()),)


def _began(entry: Entry) -> datetime | None:
    return entry.task.started_at or (entry.running.wall if entry.running is not None else None)


def _ended(entry: Entry) -> datetime | None:
    return entry.task.finished_at or (entry.ended.wall if entry.ended is not None else None)


def _parts(subtasks: Sequence[Subtask]) -> Sequence[tuple[Labels, float]]:
    counts = Counter(subtask.status for subtask in subtasks)
    return [((status.value,), count) for status, count in sorted(counts.items())]


def estimate(source: SourceTasks, entry: Entry) -> float | None:
    """When a run will end, as a timestamp; None where nothing tells enough."""
    task, began = entry.task, _began(entry)
    if task.status is not Status.RUNNING or began is None:
        return None
    durations = source.rising_durations.get(task.operation, ())
    end = estimated_end(began, source.now.wall, task.progress, durations)
    return None if end is None else end.timestamp()


def _estimated_end(source: SourceTasks) -> Iterator[Sample]:
    for entry in source.shown_current.values():
        end = estimate(source, entry)
        if end is not None:
            yield (source.view.name, entry.task.operation, entry.task.id), end


def _dropped(source: SourceTasks) -> Iterator[Sample]:
    yield (source.view.name,), source.dropped


_OPERATION = ("source", "operation")
_TASK = ("source", "operation", "task_id")
TASK_STATUS = "asynctask_task_status"
ESTIMATED_END = "asynctask_task_estimated_end_timestamp_seconds"

METRICS: tuple[Metric[SourceTasks], ...] = (
    Metric(
        "asynctask_tasks",
        "gauge",
        (*_OPERATION, "status"),
        "Tasks on the board by status; ended ones for a while.",
        _tasks,
    ),
    Metric(
        "asynctask_oldest_timestamp_seconds",
        "gauge",
        (*_OPERATION, "status"),
        "When the oldest pending or running task entered that status.",
        _oldest,
    ),
    Metric(
        "asynctask_stalled_tasks",
        "gauge",
        _OPERATION,
        "Running tasks whose progress has not moved for stalled_after.",
        _stalled,
    ),
    Metric(
        "asynctask_overdue_tasks",
        "gauge",
        _OPERATION,
        "Unfinished tasks that are older than deadline.",
        _overdue,
    ),
    Metric(
        "asynctask_task_info",
        "gauge",
        (*_TASK, "name", "parent_id"),
        "What a task is called, and the task that it is part of.",
        OfEach(attrgetter("task.name", "task.parent_id"), _one),
    ),
    Metric(
        TASK_STATUS,
        "gauge",
        (*_TASK, "status"),
        "1 for a task's present status, and for the failure of an earlier run that ended lately.",
        OfEach(attrgetter("task.status"), _status, attrgetter("shown")),
    ),
    Metric(
        "asynctask_task_progress_ratio",
        "gauge",
        _TASK,
        "How far a task is, from 0 to 1.",
        OfEach(attrgetter("task.progress"), _number),
    ),
    Metric(
        "asynctask_task_start_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task began to run: by its API, or when it was first seen running.",
        OfEach(_began, _time),
    ),
    Metric(
        "asynctask_task_end_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task ended: by its API, or when it was first seen ended.",
        OfEach(_ended, _time),
    ),
    Metric(
        "asynctask_task_last_change_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task's progress or status was last seen to change.",
        OfEach(attrgetter("moved.wall"), _time),
    ),
    Metric(
        ESTIMATED_END,
        "gauge",
        _TASK,
        "When a running task will end, from its progress and its operation's past durations.",
        _estimated_end,
    ),
    Metric(
        "asynctask_task_records_processed",
        "gauge",
        _TASK,
        "Records that a task has done.",
        OfEach(attrgetter("task.processed"), _number),
    ),
    Metric(
        "asynctask_task_records_expected",
        "gauge",
        _TASK,
        "Records that a task has to do in all.",
        OfEach(attrgetter("task.expected"), _number),
    ),
    Metric(
        "asynctask_task_subtasks",
        "gauge",
        (*_TASK, "status"),
        "Parts of a task by status; only statuses that occur.",
        OfEach(attrgetter("task.subtasks"), _parts),
    ),
    Metric(
        "asynctask_series_dropped",
        "gauge",
        ("source",),
        "Tasks without series of their own, because there are more than max_task_series.",
        _dropped,
    ),
)
