"""The state of the tasks, read from the boards at each scrape and gone with the tasks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import attrgetter

from exporter.clock import Moment
from exporter.metrics.estimate import estimated_end
from exporter.metrics.family import Labels, Metric, Sample
from exporter.model import Status
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
    def candidates(self) -> Sequence[Entry]:
        """The runs that are worth series of their own: current ones, and failed ones before them."""
        failed = (entry for entry in self.past if entry.task.status.is_failed)
        return (*self.current.values(), *failed)

    @cached_property
    def shown(self) -> Sequence[Entry]:
        """The runs that have series of their own."""
        newest_first = sorted(self.candidates, key=_entered, reverse=True)
        return sorted(newest_first, key=_rank)[: self.view.max_task_series]

    @cached_property
    def shown_current(self) -> Sequence[Entry]:
        """The current runs among these."""
        if not self.past:
            return self.shown
        return [entry for entry in self.shown if self.current.get(entry.task.id) is entry]

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


def _entered(entry: Entry) -> float:
    return entry.since.mono


def _rank(entry: Entry) -> int:
    """Running tasks come first, then other unfinished ones, failed ones, the rest."""
    status = entry.task.status
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
    is_stalled, now = source.view.board.is_stalled, source.now
    return source.by_operation(entry for entry in source.current.values() if is_stalled(entry, now))


def _overdue(source: SourceTasks) -> Iterator[Sample]:
    board = source.view.board
    entries = () if board.rules.deadline is None else source.current.values()
    return source.by_operation(e for e in entries if board.is_overdue(e, source.now))


@dataclass(frozen=True, slots=True)
class OfEach:
    """Tells the samples of one current run after the other, each from its entry alone.

    Entries never change, so what was written of one holds for as long as it is on the board.
    """

    tell: Callable[[Entry], Sequence[tuple[Labels, float]]]
    """Tells the label values beyond source, operation and task id, and the numbers."""
    entries: Callable[[SourceTasks], Sequence[Entry]] = attrgetter("shown_current")
    """The runs to tell of."""

    def __call__(self, source: SourceTasks) -> Iterator[Sample]:
        """Tell the samples of all runs; one that two runs of a task have in common is told once."""
        samples = {
            (source.view.name, entry.task.operation, entry.task.id, *labels): number
            for entry in self.entries(source)
            for labels, number in self.tell(entry)
        }
        return iter(samples.items())


def _info(entry: Entry) -> Sequence[tuple[Labels, float]]:
    return (((entry.task.name, entry.task.parent_id), 1),)


def _status(entry: Entry) -> Sequence[tuple[Labels, float]]:
    return (((entry.task.status.value,), 1),)


def _number_of_each(value: Callable[[Entry], float | None]) -> OfEach:
    """Tell a number of each run that has it; a missing number is no sample."""

    def tell(entry: Entry) -> Sequence[tuple[Labels, float]]:
        number = value(entry)
        return () if number is None else (((), number),)

    return OfEach(tell)


def _progress(entry: Entry) -> float | None:
    return entry.task.progress


def _began(entry: Entry) -> datetime | None:
    return entry.task.started_at or (entry.running.wall if entry.running is not None else None)


def _start(entry: Entry) -> float | None:
    began = _began(entry)
    return None if began is None else began.timestamp()


def _end(entry: Entry) -> float | None:
    ended = entry.task.finished_at or (entry.ended.wall if entry.ended is not None else None)
    return None if ended is None else ended.timestamp()


def _last_change(entry: Entry) -> float:
    return entry.moved.wall.timestamp()


def _processed(entry: Entry) -> float | None:
    return entry.task.processed


def _expected(entry: Entry) -> float | None:
    return entry.task.expected


def estimate(source: SourceTasks, entry: Entry) -> float | None:
    """When a run will end, as a timestamp; None where nothing tells enough."""
    task, began = entry.task, _began(entry)
    if task.status is not Status.RUNNING or began is None:
        return None
    durations = source.rising_durations.get(task.operation, ())
    end = estimated_end(began, source.now.wall, task.progress, durations)
    return None if end is None else end.timestamp()


def _estimated_end(source: SourceTasks) -> Iterator[Sample]:
    for entry in source.shown_current:
        end = estimate(source, entry)
        if end is not None:
            yield (source.view.name, entry.task.operation, entry.task.id), end


def _subtasks(entry: Entry) -> Sequence[tuple[Labels, float]]:
    if not entry.task.subtasks:
        return ()
    counts = Counter(subtask.status for subtask in entry.task.subtasks)
    return [((status.value,), count) for status, count in sorted(counts.items())]


def _dropped(source: SourceTasks) -> Iterator[Sample]:
    yield (source.view.name,), len(source.candidates) - len(source.shown)


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
        OfEach(_info),
    ),
    Metric(
        TASK_STATUS,
        "gauge",
        (*_TASK, "status"),
        "1 for a task's present status, and for the failure of an earlier run that ended lately.",
        OfEach(_status, attrgetter("shown")),
    ),
    Metric(
        "asynctask_task_progress_ratio",
        "gauge",
        _TASK,
        "How far a task is, from 0 to 1.",
        _number_of_each(_progress),
    ),
    Metric(
        "asynctask_task_start_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task began to run: by its API, or when it was first seen running.",
        _number_of_each(_start),
    ),
    Metric(
        "asynctask_task_end_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task ended: by its API, or when it was first seen ended.",
        _number_of_each(_end),
    ),
    Metric(
        "asynctask_task_last_change_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task's progress or status was last seen to change.",
        _number_of_each(_last_change),
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
        _number_of_each(_processed),
    ),
    Metric(
        "asynctask_task_records_expected",
        "gauge",
        _TASK,
        "Records that a task has to do in all.",
        _number_of_each(_expected),
    ),
    Metric(
        "asynctask_task_subtasks",
        "gauge",
        (*_TASK, "status"),
        "Parts of a task by status; only statuses that occur.",
        OfEach(_subtasks),
    ),
    Metric(
        "asynctask_series_dropped",
        "gauge",
        ("source",),
        "Tasks without series of their own, because there are more than max_task_series.",
        _dropped,
    ),
)
