"""Huawei Cloud DataArts Factory: its system tasks, that is imports, exports and starts of solutions.

Facts from the API reference "Querying a System Task" (V1), the status WARNING from the official
Python SDK (huaweicloudsdkdgc), gateway errors from "API Request Signing Guide: Error Codes".
There is no call that lists system tasks, and no percentage: progress is that of the subtasks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from exporter.apis import reading
from exporter.apis.base import Answer, Http, Pace
from exporter.errors import ExporterError, RateLimited, Rejected, TaskNotFound, Unauthorized
from exporter.model import Status, Subtask, Task

STATUSES = {
    "RUNNING": Status.RUNNING,
    "SUCCESSFUL": Status.SUCCESS,
    "FAILED": Status.ERROR,
    "WARNING": Status.WARNING,
}
_NO_SUCH_TASK = re.compile(r"DLF\.\d?0810")
_GATEWAY = re.compile(r"APIG(?:W)?\.(\d{4})")
_CREDENTIALS = frozenset({"0301", "0302", "0303", "0304", "0305", "0306", "0307", "0311"})
"""The gateway's codes that come with 401 and 403, but for 0310: a project that is out of use."""
_NO_SUCH_API = "0101"
_THROTTLED = "0308"
_ENVELOPES = (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message"))
"""The spellings of an error that the vendor's own SDK knows, each also one level down."""


@dataclass(frozen=True, slots=True)
class DataArtsOptions:
    """Settings of a DataArts source."""

    project_id: str
    workspace: str = ""
    """The workspace's id; without it the default workspace is asked."""
    path_style: Literal["system-tasks", "systemTasks"] = "system-tasks"
    """The reference defines the first and uses the second in its examples."""

    def __post_init__(self) -> None:
        if not self.project_id.strip("."):
            raise ValueError("project_id: expected the id of a project, as in the console's My Credentials")


class DataArts:
    """A DataArts Factory endpoint; ``url`` is that of the region."""

    Options: ClassVar[type] = DataArtsOptions
    pace: ClassVar[Pace] = Pace(requests_per_second=2.5)
    """Below the 30 requests in 10 seconds that a user has on the V1 API."""

    def __init__(self, http: Http, options: DataArtsOptions) -> None:
        self._http = http
        self._path = f"v1/{quote(options.project_id, safe='')}/{options.path_style}"
        self._headers = {"workspace": options.workspace} if options.workspace else {}

    async def fetch(self, task_id: str) -> Task:
        """Ask for one system task with its subtasks."""
        path = f"{self._path}/{reading.segment(task_id)}"
        answer = await self._http.get("get_system_task", path, headers=self._headers)
        code, message = complaint(reading.json_or_none(answer))
        if code:
            raise _error(answer, code, message, task_id)
        return parse(reading.content(answer), task_id)


@reading.document
def parse(document: Mapping[str, Any], task_id: str) -> Task:
    """Translate a system task; its times are milliseconds since 1970, and the end may be missing."""
    word = reading.text(document["status"])
    status = reading.status(STATUSES, word)
    updated = reading.epoch_ms(document.get("lastUpdate"))
    ended = reading.epoch_ms(document.get("endTime"))
    parts = reading.objects(document.get("subtasks"))
    subtasks = tuple(_subtask(part) for part in parts)
    return Task(
        id=task_id,
        status=status,
        word=word,
        name=reading.text(document.get("name")),
        progress=reading.fraction(sum(part.status.is_final for part in subtasks), len(subtasks)),
        started_at=reading.epoch_ms(document.get("startTime")),
        finished_at=(ended or updated) if status.is_final else ended,
        updated_at=updated,
        message=reading.text(document.get("message")),
        detail="\n".join(
            _told(part) for part, known in zip(parts, subtasks, strict=True) if known.status.is_failed
        ),
        subtasks=subtasks,
    )


def complaint(document: object) -> tuple[str, str]:
    """Find an error's code and message in any of the envelopes; ("", "") where there is none."""
    whole = reading.mapping(document)
    for part in (whole, *whole.values()):
        for code, message in _ENVELOPES:
            found = reading.text(reading.mapping(part).get(code))
            if found:
                return found, reading.text(reading.mapping(part).get(message), 160)
    return "", ""


def _error(answer: Answer, code: str, message: str, task_id: str) -> ExporterError:
    """The code decides, for the service says 400 to everything and its messages change."""
    told = f"{code}: {message}"
    if _NO_SUCH_TASK.fullmatch(code):
        return TaskNotFound(task_id, told)
    refusal = reading.refusal(answer, told)
    match = _GATEWAY.fullmatch(code)
    gateway = match[1] if match else ""
    if gateway in _CREDENTIALS:
        return Unauthorized(str(refusal))
    if gateway == _THROTTLED:
        return RateLimited(str(refusal), retry_after=refusal.retry_after)
    if gateway == _NO_SUCH_API:
        return Rejected(f"{refusal}; check the region in the url and options.path_style")
    return refusal if answer.status != HTTPStatus.OK else Rejected(str(refusal))


def _subtask(part: Mapping[str, Any]) -> Subtask:
    return Subtask(
        id=reading.text(part.get("id")),
        status=reading.status(STATUSES, reading.text(part.get("status"))),
        name=reading.text(part.get("name")),
    )


def _told(part: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (reading.text(part.get("name")), reading.text(part.get("message")))))
