"""EPMware's Task module: the status and the log of imports, exports and deployments.

Facts from EPMware's REST API guide: the Task module, its page "Get Task Status" before and after
it was rewritten in March 2026, "Response formats", "Error handling", and the Export module's
``get_execution_details``. ``docs/sources.md`` tells where these pages contradict each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from exporter.apis import reading
from exporter.apis.base import Answer, Http, Listing, Pace
from exporter.errors import NoLog, Rejected, TaskNotFound
from exporter.model import Status, Task

STATUSES = {
    "N": Status.PENDING,
    "P": Status.PENDING,
    "R": Status.RUNNING,
    "S": Status.SUCCESS,
    "E": Status.ERROR,
    "W": Status.WARNING,
    "C": Status.CANCELLED,
    "new": Status.PENDING,
    "pending": Status.PENDING,
    "running": Status.RUNNING,
    "success": Status.SUCCESS,
    "error": Status.ERROR,
    "failed": Status.ERROR,
    "rolled_back": Status.ERROR,
    "warning": Status.WARNING,
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
}
"""Three published alphabets: P R S E W C of the Task module, N S E of 2026, and words elsewhere."""
_RUN = "#0"
"""A task runs once. Its status and the list of executions are two calls: when one lags behind the other, what
it tells of an ended task is late, and no other run. A first run without a name is called so, too."""
_TOLD = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
_NOT_FOUND = ("task id not found", "task not found")


@dataclass(frozen=True, slots=True)
class EpmwareOptions:
    """Settings of an EPMware source."""

    export_profiles: tuple[str, ...] = ()
    """Export profiles whose executions are listed; there is no other call that tells task ids."""


class Epmware:
    """An EPMware instance; ``url`` ends where ``/service`` begins (on premises: in ``/EPMWARE``)."""

    Options: ClassVar[type] = EpmwareOptions
    pace: ClassVar[Pace] = Pace(requests_per_second=1.5)
    """Below the 100 requests a minute that the guide allowed the Task module until 2026."""

    def __init__(self, http: Http, options: EpmwareOptions) -> None:
        self._http = http
        self._profiles = options.export_profiles

    @property
    def lists(self) -> bool:
        """Only the executions of the export profiles that are configured can be listed."""
        return bool(self._profiles)

    async def fetch(self, task_id: str) -> Task:
        """Ask ``get_status`` for one task."""
        if task_id == "0":
            raise TaskNotFound(task_id, "this id is what EPMware answers to a failed submission")
        answer = await self._http.get("get_status", f"service/api/task/get_status/{reading.segment(task_id)}")
        document = reading.json_or_none(answer) if answer.status in _TOLD else None
        if _is_unknown(document, answer.status):
            raise TaskNotFound(task_id)
        if document is None or answer.status != HTTPStatus.OK:
            document = reading.content(answer)  # Which tells what is wrong with it.
        return parse(document, task_id)

    async def fetch_log(self, task_id: str) -> str:
        """Ask ``get_log_file`` for a task's log; it is empty or missing until the task has started."""
        path = f"service/api/task/get_log_file/{reading.segment(task_id)}"
        answer = await self._http.get("get_log_file", path)
        if answer.status not in _TOLD or reading.is_html(answer):
            raise reading.refusal(answer)
        if (
            answer.status == HTTPStatus.NOT_FOUND
            or not answer.body.strip()
            or _is_refused(reading.json_or_none(answer))
        ):
            raise NoLog(f"EPMware has no log of task {task_id!r}, or not yet")
        return answer.text()

    async def list(self, since: datetime) -> Listing:
        """List the executions of the configured export profiles."""
        answers = [await self._executions(profile) for profile in self._profiles]
        tasks = (task for answer in answers for task in _listed(answer))
        return Listing(
            tasks=tuple(task for task in tasks if task.finished_at is None or task.finished_at >= since),
            as_of=answers[0].date if answers else None,
            complete=False,
        )

    async def _executions(self, profile: str) -> Answer:
        query = (("name", profile), ("latest_only", "N"))
        return await self._http.get(
            "get_execution_details", "service/api/export/get_execution_details", query=query
        )


@reading.document
def parse(document: Mapping[str, Any], task_id: str) -> Task:
    """Translate an answer of ``get_status``; some versions leave out all but status and message."""
    word = reading.text(document["status"])
    progress = reading.percent(document.get("percentCompleted", document.get("percentComplete")))
    return Task(
        id=task_id,
        status=_status(word, progress),
        word=word,
        progress=progress,
        started_at=reading.iso8601(document.get("startTime")),
        finished_at=reading.iso8601(document.get("endTime")),
        duration=reading.hms(document.get("duration")),
        message=reading.text(document.get("message")),
        error_code=reading.text(document.get("errorCode")),
        processed=reading.count(document.get("recordsProcessed")),
        expected=reading.count(document.get("totalRecords")),
        run=_RUN,
    )


def _listed(answer: Answer) -> Sequence[Task]:
    try:
        return parse_executions(reading.content(answer))
    except Rejected as refusal:  # In EPMware's words, which may repeat what it was told.
        raise Rejected(answer.hide(str(refusal))) from None


@reading.document
def parse_executions(document: Mapping[str, Any]) -> Sequence[Task]:
    """Translate an answer of ``get_execution_details``, in which numbers are strings.

    Executions without a task id, or with that of a failed submission, are passed over.
    """
    if "vEWVExportExecutions" not in document and "totalCount" not in document:
        raise Rejected(f"EPMware lists no executions: {reading.text(document['message'], 160)}")
    rows = reading.objects(document.get("vEWVExportExecutions"))
    return [_execution(row) for row in rows if reading.text(row.get("taskId")) not in ("", "0")]


def _execution(row: Mapping[str, Any]) -> Task:
    word = reading.text(row["status"])
    return Task(
        id=reading.text(row["taskId"]),
        status=reading.status(STATUSES, word),
        word=word,
        operation="export",
        name=reading.text(row.get("exportName")),
        started_at=reading.iso8601(row.get("startDate")),
        finished_at=reading.iso8601(row.get("endDate")),
        message=reading.text(row.get("message")),
        run=_RUN,
    )


def _status(word: str, progress: float | None) -> Status:
    """N means new, and in the later guide all that is not complete: with progress it is running."""
    return Status.RUNNING if word.upper() == "N" and progress else reading.status(STATUSES, word)


def _is_unknown(document: object, status: int) -> bool:
    """Whether EPMware knows no such task; which HTTP status comes with it, the guide leaves open."""
    if not _is_refused(document):
        return False
    told = reading.mapping(document)
    message = reading.text(told.get("message")).rstrip(".").casefold()
    unknown = message in _NOT_FOUND or told.get("errorCode") == "TASK_404"
    return unknown or status == HTTPStatus.NOT_FOUND


def _is_refused(document: object) -> bool:
    """Whether it may be about the request itself: an E that, unlike a failed task, tells no percent."""
    if not isinstance(document, dict) or "percentCompleted" in document or "percentComplete" in document:
        return False
    return reading.status(STATUSES, reading.text(document.get("status"))) is Status.ERROR
