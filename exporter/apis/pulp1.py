"""Pulp 1: the task queue of RHUI 2 and CloudForms, syncs and the like.

Facts from the API guide's "Tasks" (A.20) and from the source of January 2012, where they differ:
it sends "timed out" for the documented ``timed_out`` and a traceback as a list of lines, and its
errors are bare JSON strings. Interval tasks come back under the same id, so that each run counts;
they are put back into the queue the moment a run ends, so that only the history tells how it ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar

from exporter.apis import reading
from exporter.apis.base import Answer, Http, Listing, NoOptions, Pace
from exporter.errors import TaskNotFound
from exporter.model import Status, Task

STATUSES = {
    "waiting": Status.PENDING,
    "running": Status.RUNNING,
    "suspended": Status.SUSPENDED,
    "finished": Status.SUCCESS,
    "error": Status.ERROR,
    "timed_out": Status.TIMED_OUT,
    "canceled": Status.CANCELLED,
    "reset": Status.PENDING,
}
"""``reset`` is documented, but went in March 2011; it meant that the task is ready to run again."""
_KEPT = timedelta(minutes=50)
"""Ended tasks stay in the queue for an hour; this leaves time to fetch them."""
_MOST_IDS = 50
"""Ids in one request, so that its URL stays short."""
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Pulp1:
    """A Pulp 1 server; ``url`` includes ``/pulp/api``."""

    Options: ClassVar[type] = NoOptions
    pace: ClassVar[Pace] = Pace(requests_per_second=2.0, concurrency=2)
    lists: ClassVar[bool] = True

    def __init__(self, http: Http, options: NoOptions) -> None:
        self._http = http
        self._schedules: dict[str, object] = {}
        """When each interval task was to run next, by the listing before."""
        del options

    async def fetch(self, task_id: str) -> Task:
        """Ask for one task; the server looks into its history as well."""
        answer = await self._http.get("get_task", f"tasks/{reading.segment(task_id)}/")
        said = reading.json_or_none(answer)
        if answer.status == HTTPStatus.NOT_FOUND and isinstance(said, str):
            raise TaskNotFound(task_id, reading.text(said, 160))
        return parse(_content(answer))

    async def list(self, since: datetime) -> Listing:
        """List the queue, and of the history what the queue does not tell.

        That is all of it after a gap that the queue does not reach back to, otherwise the runs of interval
        tasks whose schedule has moved on. The queue comes first: a task that leaves it meanwhile is in the
        history already.
        """
        answer = await self._ask("current")
        queue = _content(answer)
        tasks = parse_list(queue, since)
        schedules = _schedules(queue)
        if answer.date is None or since < answer.date - _KEPT:
            tasks += parse_list(_content(await self._ask("archived")), since)
        else:
            tasks += await self._ended_runs(schedules, since)
        self._schedules = schedules
        return Listing(tasks=tuple(_in_order(tasks)), as_of=answer.date)

    async def _ended_runs(self, schedules: Mapping[str, object], since: datetime) -> Sequence[Task]:
        """The ends of interval tasks, which are scheduled anew with each of them."""
        moved = [name for name, next_run in schedules.items() if self._schedules.get(name) != next_run]
        tasks = []
        for start in range(0, len(moved), _MOST_IDS):
            answer = await self._ask("archived", moved[start : start + _MOST_IDS])
            tasks += parse_list(_content(answer), since)
        return tasks

    async def _ask(self, state: str, ids: Sequence[str] = ()) -> Answer:
        query = (("state", state), *(("id", task_id) for task_id in ids))
        return await self._http.get("list_tasks", "tasks/", query=query)


@reading.document
def parse(document: Mapping[str, Any]) -> Task:
    """Translate a task; those from the history lack ``scheduler`` and have fields of their own."""
    word = reading.text(document["state"])
    progress = reading.mapping(document.get("progress"))
    started, finished = (reading.iso8601(document.get(key)) for key in ("start_time", "finish_time"))
    operation = _operation(document)
    total = reading.count(progress.get("items_total"))
    return Task(
        id=reading.identity(document["id"]),
        status=reading.status(STATUSES, word),
        word=word,
        operation=operation,
        name=" ".join([operation, *_arguments(document)]),
        progress=_progress(progress),
        ready_at=reading.iso8601(document.get("scheduled_time")),
        started_at=started,
        finished_at=finished,
        message=reading.text(document.get("exception")),
        detail=reading.traceback(document.get("traceback")),
        processed=_done(total, reading.count(progress.get("items_left"))),
        expected=total,
        run=_run(started or finished),
    )


@reading.document
def parse_list(documents: Sequence[Mapping[str, Any]], since: datetime) -> list[Task]:
    """Translate the tasks that have not finished before *since*; of thousands, most have."""
    if not isinstance(documents, list):
        raise TypeError(f"expected a list of tasks, got {type(documents).__name__}")
    return [parse(document) for document in documents if not _finished_before(document, since)]


@reading.document
def _schedules(documents: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """When the interval tasks of the queue are to run next, by id."""
    return {
        reading.identity(document["id"]): document.get("scheduled_time")
        for document in documents
        if document.get("scheduler") == "interval"
    }


def _content(answer: Answer) -> Any:  # noqa: ANN401 - whatever the server may send
    """The JSON of an answer; a server error is a traceback, of which the last line tells most."""
    said = reading.json_or_none(answer) if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    lines = reading.traceback(said).splitlines()
    if lines:
        raise reading.refusal(answer, reading.text(lines[-1], 160))
    return reading.content(answer)


def _in_order(tasks: Iterable[Task]) -> list[Task]:
    """Each run once, as told last, oldest first and the unfinished at the end."""
    runs = {(task.id, task.run): task for task in tasks}
    return sorted(runs.values(), key=lambda t: (not t.status.is_final, t.finished_at or _BEFORE_ALL))


def _finished_before(document: Mapping[str, Any], since: datetime) -> bool:
    finished = reading.iso8601(document.get("finish_time"))
    return finished is not None and finished < since


def _operation(document: Mapping[str, Any]) -> str:
    names = (reading.text(document.get(key)) for key in ("class_name", "method_name"))
    return ".".join(filter(None, names))


def _arguments(document: Mapping[str, Any]) -> list[str]:
    """The plain words among the arguments, such as the repository that is synced."""
    args = document.get("args")
    return (
        [reading.text(word, 100) for word in args if isinstance(word, str)] if isinstance(args, list) else []
    )


def _progress(progress: Mapping[str, Any]) -> float | None:
    """By size where that is told, otherwise by number; both grow while a sync finds out what there is."""
    by_size = _portion(progress, "size")
    return _portion(progress, "items") if by_size is None else by_size


def _portion(progress: Mapping[str, Any], unit: str) -> float | None:
    total = reading.count(progress.get(f"{unit}_total"))
    return reading.fraction(_done(total, reading.count(progress.get(f"{unit}_left"))), total)


def _done(total: int | None, left: int | None) -> int | None:
    return None if total is None or left is None else max(0, total - left)


def _run(begun: datetime | None) -> str:
    """What tells one run of an interval task from the next, the same however the server spells it."""
    return begun.astimezone(UTC).isoformat() if begun else ""
