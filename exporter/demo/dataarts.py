"""A simulated DataArts Factory: system tasks one by one, with subtasks, in epoch milliseconds.

Source: Huawei Cloud's API reference for DataArts Studio, "Querying a System Task" and its tables of
errors and flow control; the status WARNING from the vendor's own client library.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from aiohttp import web

from exporter.demo import ids
from exporter.demo.huawei import LOGIN_PATH, Door
from exporter.demo.server import Api, RateLimit
from exporter.demo.tasks import Part, SimTask
from exporter.demo.workload import Kind, Workload
from exporter.demo.world import World
from exporter.model import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN = "MIIDemoTokenOfNoUse" + "QmFzZTY0" * 40
"""A token that somebody else has fetched, and that never ends."""
PROJECT_ID = "b384b9e9ab9b4ee8994c8633aabc9505"
WORKSPACE = "0e46c6e3f4d14a9cb2a4c6a1d0f6b7aa"
DOCUMENTED_PATH, EXAMPLES_PATH = "system-tasks", "systemTasks"
"""The two spellings: the definition's, and that of the vendor's own examples."""

_STATUSES = {
    Status.PENDING: "RUNNING",
    Status.RUNNING: "RUNNING",
    Status.SUCCESS: "SUCCESSFUL",
    Status.ERROR: "FAILED",
    Status.WARNING: "WARNING",
}
_JOBS = ("job_batch", "job_stream", "job_hourly", "job_report")

WORKLOAD = Workload(
    source="dataarts",
    new_id=ids.hibernate,
    kinds=(
        Kind(
            operation="import_solution",
            names=(
                "Import the solution from OBS path obs://demo/traffic.zip.",
                "Import the solution from OBS path obs://demo/retail.zip.",
            ),
            weight=2,
            seconds=(10, 120),
            failures=(("", "Failed to read the OBS file obs://demo/traffic.zip. "),),
            fails_at=(0, 0),
            parts=tuple(f"Import the {job} job." for job in _JOBS),
        ),
        Kind(
            operation="import_job",
            names=(
                "Import the job from obs://demo/job_batch.zip.",
                "Import the job from obs://demo/job_stream.zip.",
            ),
            weight=4,
            seconds=(3, 30),
            failures=(("", "Failed to read the OBS file obs://demo/job_batch.zip. "),),
            fails_at=(0, 0),
            parts=("Import the job_batch job.",),
        ),
        Kind(
            operation="start_solution",
            names=("Start the traffic solution", "Start the retail solution"),
            weight=2,
            seconds=(5, 60),
            parts=tuple(f"Start the {job} job" for job in _JOBS[:3]),
        ),
    ),
    outcomes={Status.SUCCESS: 15, Status.ERROR: 3, Status.WARNING: 2},
    queue=(0.0, 0.0),
)
OPERATION_RULES = (
    ("^Import the job", "import_job"),
    ("^Import the solution", "import_solution"),
    ("^Start the", "start_solution"),
)
"""Regular expressions that tell a task's operation from its name."""


def documented_limit(speed: float = 1.0) -> RateLimit:
    """30 requests of one user in ten seconds, the careful reading; at a higher speed so many more."""
    return RateLimit(round(30 * speed), 10)


class Dataarts(Api):
    """A DataArts Factory behind Huawei's API gateway.

    Attributes:
        path: the one spelling of ``system-tasks`` that the gateway knows.
        door: who is let in: whoever has a token, or signs.
    """

    def __init__(
        self, world: World, *, limit: RateLimit | None = None, skew: timedelta = timedelta(0)
    ) -> None:
        super().__init__(world, limit=limit, skew=skew)
        self.path = DOCUMENTED_PATH
        self.door = Door(TOKEN)
        self._request_ids = Random(world.source)

    def routes(self) -> Sequence[web.RouteDef]:
        """Log in, query a system task, import a job; all else is unknown to the gateway."""
        return [
            web.post(LOGIN_PATH, self._login, name="login"),
            web.get("/v1/{project_id}/{path}/{task_id}", self._get_task, name="get_task"),
            web.post("/v1/{project_id}/jobs/import", self._import_job, name="import_job"),
            web.route("*", "/{rest:.*}", self._unknown_path, name="unknown"),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Want a token or a signature, but to log in."""
        complaint = self.door.complaint(request, self.told(self.now()))
        if not complaint or request.match_info.route.name == "login":
            return None
        return self._gateway(401, "APIG.0301", f"Incorrect IAM authentication information: {complaint}")

    def too_many(self, retry_after: int | None) -> web.Response:
        """Answer in the gateway's words for throttling."""
        limit = self.limit or documented_limit()
        message = f"policy user over ratelimit,limit:{limit.requests},time:{limit.seconds:.0f} second"
        answer = self._gateway(429, "APIG.0308", message)
        if retry_after is not None:
            answer.headers["Retry-After"] = str(retry_after)
        return answer

    async def _login(self, request: web.Request) -> web.Response:
        return self.door.login(await request.json(), self.told(self.now()))

    async def _get_task(self, request: web.Request) -> web.Response:
        if request.match_info["path"] != self.path:
            return await self._unknown_path(request)
        task = self.asked(request) if self._is_ours(request) else None
        if task is None:
            body = {"error_code": "DLF.0810", "error_msg": "Task does not exist"}
            return web.json_response(body, status=400)
        return web.json_response(self._document(task, self.now()))

    def _is_ours(self, request: web.Request) -> bool:
        """Tell whether the request names the project and workspace of the tasks; neither is the default."""
        named = request.match_info["project_id"], request.headers.get("workspace")
        return named == (PROJECT_ID, WORKSPACE)

    def _document(self, task: SimTask, now: datetime) -> dict[str, Any]:
        ended = task.finished_at if task.has_ended(now) else None
        document: dict[str, Any] = {"endTime": self._epoch_ms(ended)} if ended else {}
        document |= {"id": task.id, "lastUpdate": self._epoch_ms(_last_update(task, now))}
        if ended and task.message:
            document["message"] = task.message
        return document | {
            "name": task.name,
            "projectId": PROJECT_ID,
            "startTime": self._epoch_ms(task.started_at or task.created_at),
            "status": _STATUSES[task.status_at(now)],
            "subtasks": [self._subtask(task, part, now) for part in task.parts if part.started_at <= now],
        }

    def _subtask(self, task: SimTask, part: Part, now: datetime) -> dict[str, Any]:
        return {
            "id": part.id,
            "lastUpdate": self._epoch_ms(_part_update(part, now)),
            "name": part.name,
            "status": _STATUSES[part.status_at(now)],
            "taskId": task.id,
        }

    async def _import_job(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"Import the job from {body.get('path', 'obs://demo/job.zip')}."
        return web.json_response({"taskId": self.world.launch("import_job", name).id})

    async def _unknown_path(self, _request: web.Request) -> web.Response:
        return self._gateway(
            404, "APIG.0101", "The API does not exist or has not been published in the environment"
        )

    def _gateway(self, status: int, code: str, message: str) -> web.Response:
        request_id = uuid.UUID(int=self._request_ids.getrandbits(128)).hex
        body = {"error_msg": message, "error_code": code, "request_id": request_id}
        return web.json_response(body, status=status, headers={"X-Request-Id": request_id})

    def _epoch_ms(self, moment: datetime) -> int:
        return (self.told(moment) - _EPOCH) // timedelta(milliseconds=1)


def _part_update(part: Part, now: datetime) -> datetime:
    ended = part.finished_at is not None and part.finished_at <= now
    return part.finished_at if ended and part.finished_at else part.started_at


def _last_update(task: SimTask, now: datetime) -> datetime:
    """The last change of the task or of one of its subtasks."""
    if task.finished_at is not None and task.has_ended(now):
        return task.finished_at
    parts = [_part_update(part, now) for part in task.parts if part.started_at <= now]
    return max([task.started_at or task.created_at, *parts])
