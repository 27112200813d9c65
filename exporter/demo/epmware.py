"""A simulated EPMware: tasks one by one, in the several forms that its documents have shown.

Source: the vendor's REST API guide, modules Task, ERP, Export and Deployment, in its editions of
October 2025 (statuses P R S E W C, with times) and March 2026 (N S E, without).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from exporter.demo import ids
from exporter.demo.server import Api, RateLimit
from exporter.demo.tasks import SimTask
from exporter.demo.workload import Kind, Workload
from exporter.demo.world import World
from exporter.model import Status

TOKEN = "15388ad5-c9af-4cf3-af47-8021c1ab3fb7"  # noqa: S105 - made up, opens nothing
FULL, BARE, WORDS = "full", "bare", "words"
"""The forms of a status document: with times and letters; four fields; words and a number."""

_LETTERS = {
    Status.PENDING: "P",
    Status.RUNNING: "R",
    Status.SUCCESS: "S",
    Status.ERROR: "E",
    Status.WARNING: "W",
    Status.CANCELLED: "C",
}
_NEW_LETTERS = {Status.PENDING: "N", Status.RUNNING: "N", Status.SUCCESS: "S", Status.ERROR: "E"}
_WORDS = {
    Status.PENDING: "PENDING",
    Status.RUNNING: "RUNNING",
    Status.SUCCESS: "SUCCESS",
    Status.ERROR: "FAILED",
}
_OPERATIONS = {"erp": "import", "export": "export", "deployment": "deploy"}
_MEANINGS = {"S": "Success", "E": "Error", "W": "Warning", "C": "Cancelled", "N": "New"}

WORKLOAD = Workload(
    source="epmware",
    new_id=ids.numbered,
    kinds=(
        Kind(
            operation="import",
            names=("ERP_GL_Import", "ERP_Entity_Import", "HR_Org_Import"),
            weight=4,
            seconds=(4, 40),
            records=(500, 20_000),
            failures=(
                ("IMP_001", "Import failed: Invalid data format"),
                ("IMP_002", "Import failed: Source file is empty"),
            ),
        ),
        Kind(
            operation="export",
            names=("PBCS", "ASO", "FCCS"),
            weight=3,
            seconds=(3, 20),
            records=(100, 5_000),
            failures=(("EXP_001", "Export failed: No access to the target folder"),),
        ),
        Kind(
            operation="deploy",
            names=("Deploy_PBCS", "Deploy_HFM"),
            weight=1,
            seconds=(20, 180),
            records=(20, 200),
            failures=(("DEP_001", "Deployment failed: Target application is locked"),),
        ),
    ),
    outcomes={Status.SUCCESS: 13, Status.ERROR: 3, Status.WARNING: 2, Status.CANCELLED: 2},
    gap=(3.0, 5.0),
    queue=(0.5, 4.0),
    forms={
        Status.SUCCESS: (FULL, FULL, BARE, WORDS),
        Status.ERROR: (FULL, FULL, BARE, WORDS),
        Status.WARNING: (FULL,),
        Status.CANCELLED: (FULL,),
    },
    coded=(FULL,),
)


def documented_limit(speed: float = 1.0) -> RateLimit:
    """100 requests a minute, as the Task module's page has it; at a higher speed so many more."""
    return RateLimit(round(100 * speed), 60)


class Epmware(Api):
    """An EPMware on premises, below ``/EPMWARE``, or in the cloud, without a base path.

    Attributes:
        unknown_status: the HTTP status for an unknown id. No document tells it: 404 or 200.
    """

    def __init__(
        self,
        world: World,
        *,
        base_path: str = "/EPMWARE",
        limit: RateLimit | None = None,
        skew: timedelta = timedelta(0),
    ) -> None:
        super().__init__(world, limit=limit, skew=skew)
        self.base_path = base_path
        self.unknown_status = 404

    def routes(self) -> Sequence[web.RouteDef]:
        """The calls of the modules Task, ERP, Export and Deployment that matter for tasks."""
        service = f"{self.base_path}/service/api"
        return [
            web.get(f"{service}/task/get_status/{{task_id}}", self._get_status, name="get_status"),
            web.get(f"{service}/task/get_log_file/{{task_id}}", self._get_log, name="get_log_file"),
            web.get(f"{service}/export/get_execution_details", self._executions, name="executions"),
            web.post(f"{service}/{{module:erp|export|deployment}}/run", self._run, name="run"),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Want ``Authorization: Token <uuid>``."""
        given = request.headers.get("Authorization", "")
        if given == f"Token {TOKEN}":
            return None
        if not given:
            message = "Authentication required"
        elif not given.startswith("Token "):
            message = "Invalid token format"
        else:
            message = "Token is invalid or has been revoked"
        return _failure(401, message, errorCode="AUTH_001")

    def too_many(self, retry_after: int | None) -> web.Response:
        """Answer 429; ``Retry-After`` is optional by the documents."""
        answer = _failure(429, "Rate limit exceeded")
        if retry_after is not None:
            answer.headers["Retry-After"] = str(retry_after)
        return answer

    async def _get_status(self, request: web.Request) -> web.Response:
        task = self.asked(request)
        if task is None:
            task_id = request.match_info["task_id"]
            return _failure(self.unknown_status, "Task ID not found", taskId=task_id)
        form = {FULL: self._full, BARE: self._bare, WORDS: self._words}[task.form or FULL]
        return web.json_response(form(task, self.now()))

    def _full(self, task: SimTask, now: datetime) -> dict[str, Any]:
        """The document of 2025: letters, times, records while it runs, a code when it failed."""
        document: dict[str, Any] = {
            "taskId": task.id,
            "status": _LETTERS[task.status_at(now)],
            "percentCompleted": _percent(task, now),
            "message": _message(task, now),
        }
        if task.status_at(now) is Status.RUNNING and task.records:
            document |= {"recordsProcessed": task.records_at(now), "totalRecords": task.records}
        if task.error_code and task.has_ended(now):
            document["errorCode"] = task.error_code
        return document | self._times(task, now)

    def _times(self, task: SimTask, now: datetime) -> dict[str, str]:
        times = {}
        if task.started_at is not None and task.has_started(now):
            times["startTime"] = self._iso(task.started_at)
        if task.finished_at is not None and task.has_ended(now):
            times["endTime"] = self._iso(task.finished_at)
        if task.outcome is Status.SUCCESS and task.started_at and task.finished_at and "endTime" in times:
            times["duration"] = _hms(task.finished_at - task.started_at)
        return times

    def _bare(self, task: SimTask, now: datetime) -> dict[str, Any]:
        """The document of 2026: four fields, and N until it has ended."""
        return {
            "message": _message(task, now),
            "percentCompleted": _percent(task, now),
            "status": _NEW_LETTERS[task.status_at(now)],
            "taskId": task.id,
        }

    def _words(self, task: SimTask, now: datetime) -> dict[str, Any]:
        """The document of the overview of modules: a word and a number."""
        return {
            "taskId": task.id,
            "status": _WORDS[task.status_at(now)],
            "percentComplete": int(_percent(task, now)),
            "message": _message(task, now),
        }

    async def _get_log(self, request: web.Request) -> web.Response:
        now, task = self.now(), self.world.task(request.match_info["task_id"])
        if task is None or not task.has_started(now):
            message = "Task not found or log file not available"
            return _failure(404, message, errorCode="TASK_404")
        if task.form == BARE:
            text = self._oracle_log(task, now)
            return web.Response(body=text.encode(), content_type="application/octet-stream")
        return web.Response(text=self._block_log(task, now), content_type="text/plain")

    def _block_log(self, task: SimTask, now: datetime) -> str:
        """The log of 2025: a block of facts, then lines with a time of day."""
        assert task.started_at is not None  # noqa: S101 - there is no log before
        start, last = self.told(task.started_at), self.told(now)
        lines = [f"Task ID: {task.id}", f"Start Time: {start:%Y-%m-%d %H:%M:%S}"]
        if task.finished_at is not None and task.has_ended(now):
            last = self.told(task.finished_at)
            lines.append(f"End Time: {last:%Y-%m-%d %H:%M:%S}")
            lines.append(f"Duration: {_hms(task.finished_at - task.started_at)}")
        lines += [f"Status: {task.status_at(now).name}", "", f"[{start:%H:%M:%S}] INFO: {task.name} started"]
        lines.append(f"[{last:%H:%M:%S}] INFO: {task.records_at(now)} of {task.records} records")
        if task.message and task.has_ended(now):
            lines.append(f"[{last:%H:%M:%S}] ERROR: {task.error_code} {task.message}")
        return "\n".join(lines) + "\n"

    def _oracle_log(self, task: SimTask, now: datetime) -> str:
        """The log of 2026: the database's date, blanks after colons, a line break in the middle."""
        assert task.started_at is not None  # noqa: S101 - there is no log before
        start = f"{self.told(task.started_at):%d-%b-%Y %H: %M: %S}".upper()
        lines = [f"{start} --> Task {task.id} [{task.name} REST API\n] started"]
        if task.finished_at is not None and task.has_ended(now):
            end = f"{self.told(task.finished_at):%d-%b-%Y %H: %M: %S}".upper()
            lines.append(f"{end} --> {task.message or 'Completed Successfully'}")
        return "\n".join(lines) + "\n"

    async def _executions(self, request: web.Request) -> web.Response:
        """List the executions of one export profile; every number is a string here."""
        profile = request.query.get("name")
        if not profile:
            return _failure(400, "Error: Export Profile Name is required")
        named = [task for task in self.world.tasks() if (task.operation, task.name) == ("export", profile)]
        shown = named[-1:] if request.query.get("latest_only") == "Y" else named
        envelope = {
            "startIndex": "0",
            "pageSize": "0",
            "totalCount": str(len(shown)),
            "resultSize": "0",
            "queryTimeMS": str(int(self.told(self.now()).timestamp() * 1000)),
        }
        return web.json_response(
            envelope | {"vEWVExportExecutions": [self._execution(task) for task in reversed(shown)]}
        )

    def _execution(self, task: SimTask) -> dict[str, Any]:
        now = self.now()
        ended = task.finished_at if task.has_ended(now) else None
        status = _LETTERS[task.status_at(now)] if ended else "N"
        return {
            "id": str(int(task.id) - 240_000),
            "exportName": task.name,
            "status": status,
            "statusMeaning": _MEANINGS[status],
            "message": _message(task, now),
            "startDate": self._iso(task.started_at or task.created_at),
            "endDate": self._iso(ended) if ended else None,
            "outputFileName": f"{task.name}_{task.id}.csv" if ended else None,
            "outputFileSize": str(task.records_at(now) * 12) if ended else None,
            "userName": "demo",
            "taskId": task.id,
        }

    async def _run(self, request: web.Request) -> web.Response:
        """Start a task; the ``S`` in the answer means submitted."""
        operation = _OPERATIONS[request.match_info["module"]]
        body = await request.json()
        name = body.get("name") or body.get("book_name")
        if not name:
            return web.json_response(
                {"status": "E", "taskId": "0", "message": "Error: Invalid Profile Name : []"}
            )
        return web.json_response({"status": "S", "taskId": self.world.launch(operation, name).id})

    def _iso(self, moment: datetime) -> str:
        return f"{self.told(moment):%Y-%m-%dT%H:%M:%SZ}"


def _failure(status: int, message: str, **more: str) -> web.Response:
    return web.json_response({"status": "E", "message": message, **more}, status=status)


def _percent(task: SimTask, now: datetime) -> str:
    return str(int(100 * task.done_at(now) + 1e-6))


def _message(task: SimTask, now: datetime) -> str:
    status = task.status_at(now)
    if status.is_failed and task.message:
        return task.message
    subject = task.operation.capitalize() or "Task"
    return {
        Status.PENDING: "Task is queued for execution",
        Status.RUNNING: "Processing records...",
        Status.SUCCESS: f"{subject} completed successfully",
        Status.WARNING: f"{subject} completed with warnings",
        Status.CANCELLED: "Task was cancelled by user",
    }.get(status, f"{subject} failed")


def _hms(length: timedelta) -> str:
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
