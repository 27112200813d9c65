"""The sources and their tasks as JSON, for dashboards and scripts."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cache

from aiohttp import web
from multidict import MultiMapping

from exporter.clock import Moment
from exporter.metrics.estimate import estimated_end
from exporter.model import Status
from exporter.store.board import Board
from exporter.store.entry import Entry, age, duration, entered
from exporter.web import answers
from exporter.web.views import SourceInfo, Tasks

_FILTERS = ("source", "status", "operation", "limit")
_DEFAULT_LIMIT = 100
_HIGHEST_LIMIT = 5000
"""So many tasks are written as JSON in some hundredths of a second, during which nothing else happens."""
Durations = Callable[[str, str], Sequence[float]]
"""Looks up what earlier runs of a source's operation took, in seconds, rising."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are asked for; an empty set stands for all."""

    sources: frozenset[str]
    statuses: frozenset[str]
    operations: frozenset[str]
    limit: int

    def accepts(self, entry: Entry) -> bool:
        """Whether a run of one of the sources is asked for."""
        task = entry.task
        return (not self.statuses or task.status in self.statuses) and (
            not self.operations or task.operation in self.operations
        )


def routes(tasks: Tasks) -> Sequence[web.RouteDef]:
    """``/api/v1/tasks``, ``/api/v1/sources`` and one task of a source, for GET and HEAD."""

    async def list_tasks(request: web.Request) -> web.Response:
        boards = tasks.boards()
        wanted = read_filter(request.query, boards)
        return answers.success(_select(tasks, wanted))

    async def list_sources(_request: web.Request) -> web.Response:
        return answers.success({"sources": [describe_source(source) for source in tasks.sources()]})

    async def show_task(request: web.Request) -> web.Response:
        source, task_id = request.match_info["source"], request.match_info["task_id"]
        board = tasks.boards().get(source)
        if board is None:
            raise web.HTTPNotFound(text=_unknown("source", source, tasks.boards()))
        runs = describe_runs(board, task_id, tasks.now(), tasks.durations)
        if runs is None:
            raise web.HTTPNotFound(text=f"source {source!r} has no task {task_id!r} on its board (any more)")
        return answers.success(runs)

    return [
        web.get("/api/v1/tasks", list_tasks),
        web.get("/api/v1/sources", list_sources),
        web.get("/api/v1/sources/{source}/tasks/{task_id:.+}", show_task),
    ]


def read_filter(query: MultiMapping[str], sources: Iterable[str]) -> TaskFilter:
    """Read ``?source=&status=&operation=&limit=``; all but the limit may be given several times.

    Raises:
        web.HTTPBadRequest: a parameter or its value is not known; tells the nearest that is.
    """
    for name in query:
        if name not in _FILTERS:
            raise web.HTTPBadRequest(text=_unknown("parameter", name, _FILTERS))
    return TaskFilter(
        sources=_known("source", query.getall("source", ()), sources),
        statuses=_known("status", query.getall("status", ()), Status),
        operations=frozenset(query.getall("operation", ())),
        limit=_limit(query.get("limit")),
    )


def describe(board: Board, entry: Entry, now: Moment, durations: Durations) -> dict[str, object]:
    """A run as JSON: times in RFC 3339, durations in seconds, null for what nobody told."""
    task = entry.task
    ended = task.status.is_final
    return {
        "source": board.source,
        "task_id": task.id,
        "run": entry.run,
        "status": task.status,
        "operation": task.operation,
        "name": task.name,
        "progress": task.progress,
        "created_at": _time(task.created_at),
        "started_at": _time(task.started_at),
        "finished_at": _time(task.finished_at),
        "first_seen_at": _time(entry.first_seen.wall),
        "status_since": _time(entered(entry)),
        "last_change_at": _time(entry.moved.wall),
        "estimated_end_at": _time(estimate(board.source, entry, now, durations)),
        "age_seconds": None if ended else age(entry, now).total_seconds(),
        "duration_seconds": _seconds(duration(entry)) if ended else None,
        "stalled": board.is_stalled(entry, now),
        "overdue": board.is_overdue(entry, now),
        "message": task.message,
        "error_code": task.error_code,
        "processed": task.processed,
        "expected": task.expected,
        "parent_id": task.parent_id,
    }


def describe_runs(board: Board, task_id: str, now: Moment, durations: Durations) -> dict[str, object] | None:
    """The current run of an id in full, and its earlier ones that ended lately; None if there is none."""
    current = board.get(task_id)
    if current is None:
        return None
    earlier = [entry for entry in board.past() if entry.task.id == task_id]
    return {
        "task": _in_full(board, current, now, durations),
        "earlier_runs": [_in_full(board, entry, now, durations) for entry in earlier],
    }


def describe_source(source: SourceInfo) -> dict[str, object]:
    """A source as JSON."""
    return {
        "name": source.name,
        "api": source.api,
        "url": source.url,
        "labels": dict(source.labels),
        "up": source.up,
        "last_success_at": _time(source.last_success),
        "last_error": source.last_error,
        "registration": source.registration,
        "acknowledgement": source.acknowledgement,
        "keeps_logs": source.keeps_logs,
        "watched_tasks": source.watched,
        "watched_tasks_limit": source.limit,
        "tasks": {status: source.tasks.get(status, 0) for status in Status},
    }


def estimate(source: str, entry: Entry, now: Moment, durations: Durations) -> datetime | None:
    """When a running task will end, as far as its progress and its operation's past tell."""
    task = entry.task
    began = task.started_at or (entry.running.wall if entry.running is not None else None)
    if task.status is not Status.RUNNING or began is None:
        return None
    return estimated_end(began, now.wall, task.progress, durations(source, task.operation))


def runs(board: Board) -> Iterator[Entry]:
    """Every run on a board."""
    yield from board.current()
    yield from board.past()


def _select(tasks: Tasks, wanted: TaskFilter) -> dict[str, object]:
    """The tasks that changed last, and how many there are in all."""
    now, durations = tasks.now(), cache(tasks.durations)
    found = [
        (board, entry)
        for name, board in tasks.boards().items()
        if not wanted.sources or name in wanted.sources
        for entry in runs(board)
        if wanted.accepts(entry)
    ]
    newest = heapq.nlargest(wanted.limit, found, key=lambda pair: pair[1].moved.wall)
    return {
        "tasks": [describe(board, entry, now, durations) for board, entry in newest],
        "total": len(found),
    }


def _in_full(board: Board, entry: Entry, now: Moment, durations: Durations) -> dict[str, object]:
    subtasks = [asdict(subtask) for subtask in entry.task.subtasks]
    return {**describe(board, entry, now, durations), "detail": entry.task.detail, "subtasks": subtasks}


def _known(what: str, values: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    names = list(known)
    for value in values:
        if value not in names:
            raise web.HTTPBadRequest(text=_unknown(what, value, names))
    return frozenset(values)


def _unknown(what: str, value: str, known: Iterable[str]) -> str:
    names = [str(name) for name in known]
    near = get_close_matches(value, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {what} {value!r}; {hint}"


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_LIMIT
    if text.isdecimal() and len(text) <= len(str(_HIGHEST_LIMIT)) and 1 <= int(text) <= _HIGHEST_LIMIT:
        return int(text)
    raise web.HTTPBadRequest(text=f"limit: must be a whole number from 1 to {_HIGHEST_LIMIT}")


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
