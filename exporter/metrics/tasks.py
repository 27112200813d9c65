"""The state of the tasks, read from the boards at each scrape and gone with the tasks."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from exporter.clock import Moment
from exporter.metrics.estimate import estimated_end
from exporter.metrics.family import Metric, Sample
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
    def operations(self) -> Sequence[str]:
        """Every operation that is known or on the board."""
        present = {entry.task.operation for entry in (*self.current.values(), *self.past)}
        return sorted(present.union(self.view.operations))

    @cached_property
    def candidates(self) -> Sequence[Entry]:
        """The runs that are worth series of their own: current ones, and failed ones before them."""
        failed = (entry for entry in self.past if entry.task.status.is_failed)
        return (*self.current.values(), *failed)

    @cached_property
    def shown(self) -> Sequence[Entry]:
        """The runs that have series of their own."""
        return sorted(self.candidates, key=_rank)[: self.view.max_task_series]

    @cached_property
    def shown_current(self) -> Sequence[Entry]:
        """The current runs among these."""
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
        operation: tuple(totals.durations.get((view.name, operation), ()))
        for operation in {entry.task.operation for entry in view.board.unfinished()}
    }
    current = {entry.task.id: entry for entry in view.board.current()}
    return SourceTasks(
        view=view, now=now, current=current, past=tuple(view.board.past()), durations=durations
    )


def _rank(entry: Entry) -> tuple[int, float]:
    """Running tasks come first, then other unfinished ones, failed ones, the rest; each newest first."""
    status = entry.task.status
    if status is Status.RUNNING:
        kind = 0
    elif not status.is_final:
        kind = 1
    else:
        kind = 2 if status.is_failed else 3
    return kind, -entry.since.mono


def _tasks(source: SourceTasks) -> Iterator[Sample]:
    entries = (*source.current.values(), *source.past)
    counts = Counter((entry.task.operation, entry.task.status) for entry in entries)
    for operation in source.operations:
        for status in Status:
            yield (source.view.name, operation, status.value), counts[operation, status]


def _oldest(source: SourceTasks) -> Iterator[Sample]:
    oldest: dict[tuple[str, Status], datetime] = {}
    for entry in source.current.values():
        if entry.task.status in (Status.PENDING, Status.RUNNING):
            key, since = (entry.task.operation, entry.task.status), entered(entry)
            oldest[key] = min(oldest.get(key, since), since)
    for (operation, status), since in sorted(oldest.items()):
        yield (source.view.name, operation, status.value), since.timestamp()


def _stalled(source: SourceTasks) -> Iterator[Sample]:
    board = source.view.board
    return source.by_operation(e for e in source.current.values() if board.is_stalled(e, source.now))


def _overdue(source: SourceTasks) -> Iterator[Sample]:
    board = source.view.board
    return source.by_operation(e for e in source.current.values() if board.is_overdue(e, source.now))


def _info(source: SourceTasks) -> Iterator[Sample]:
    for entry in source.shown_current:
        task = entry.task
        yield (source.view.name, task.operation, task.id, task.name, task.parent_id), 1


def _status(source: SourceTasks) -> Iterator[Sample]:
    """A task that failed and waits again tells both; one that failed twice tells it once."""
    keys = {(e.task.operation, e.task.id, e.task.status.value): None for e in source.shown}
    return (((source.view.name, *key), 1) for key in keys)


def _of_each(value: Callable[[Entry], float | None]) -> Callable[[SourceTasks], Iterator[Sample]]:
    """Tell a number of each task that has it; a missing number is no sample."""

    def samples(source: SourceTasks) -> Iterator[Sample]:
        for entry in source.shown_current:
            number = value(entry)
            if number is not None:
                yield (source.view.name, entry.task.operation, entry.task.id), number

    return samples


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


def _estimated_end(source: SourceTasks) -> Iterator[Sample]:
    for entry in source.shown_current:
        task, began = entry.task, _began(entry)
        if task.status is not Status.RUNNING or began is None:
            continue
        durations = source.rising_durations.get(task.operation, ())
        end = estimated_end(began, source.now.wall, task.progress, durations)
        if end is not None:
            yield (source.view.name, task.operation, task.id), end.timestamp()


def _subtasks(source: SourceTasks) -> Iterator[Sample]:
    for entry in source.shown_current:
        counts = Counter(subtask.status for subtask in entry.task.subtasks)
        for status, count in sorted(counts.items()):
            yield (source.view.name, entry.task.operation, entry.task.id, status.value), count


def _dropped(source: SourceTasks) -> Iterator[Sample]:
    yield (source.view.name,), len(source.candidates) - len(source.shown)


_OPERATION = ("source", "operation")
_TASK = ("source", "operation", "task_id")

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
        _info,
    ),
    Metric(
        "asynctask_task_status",
        "gauge",
        (*_TASK, "status"),
        "1 for a task's present status, and for the failure of an earlier run that ended lately.",
        _status,
    ),
    Metric(
        "asynctask_task_progress_ratio",
        "gauge",
        _TASK,
        "How far a task is, from 0 to 1.",
        _of_each(_progress),
    ),
    Metric(
        "asynctask_task_start_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task began to run: by its API, or when it was first seen running.",
        _of_each(_start),
    ),
    Metric(
        "asynctask_task_end_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task ended: by its API, or when it was first seen ended.",
        _of_each(_end),
    ),
    Metric(
        "asynctask_task_last_change_timestamp_seconds",
        "gauge",
        _TASK,
        "When a task's progress or status was last seen to change.",
        _of_each(_last_change),
    ),
    Metric(
        "asynctask_task_estimated_end_timestamp_seconds",
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
        _of_each(_processed),
    ),
    Metric(
        "asynctask_task_records_expected",
        "gauge",
        _TASK,
        "Records that a task has to do in all.",
        _of_each(_expected),
    ),
    Metric(
        "asynctask_task_subtasks",
        "gauge",
        (*_TASK, "status"),
        "Parts of a task by status; only statuses that occur.",
        _subtasks,
    ),
    Metric(
        "asynctask_series_dropped",
        "gauge",
        ("source",),
        "Tasks without series of their own, because there are more than max_task_series.",
        _dropped,
    ),
)
