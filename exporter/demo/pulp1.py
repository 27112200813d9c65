"""A simulated Pulp 1: a queue that forgets, an archive that does not, and tasks that come back.

Source: the tasks chapter of the Pulp 1 manual, and the behaviour of its server of January 2012: an ended
task stays in the queue for an hour, an interval task goes back to waiting at once, and only the archive
tells how its run ended.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from exporter.demo import ids
from exporter.demo.server import Api, RateLimit
from exporter.demo.tasks import SimTask
from exporter.demo.workload import Kind, Recurring, Workload
from exporter.demo.world import World
from exporter.model import Status

USERNAME, PASSWORD = "admin", "admin"
LOCAL = timezone(timedelta(hours=-5))
"""Where the server stands: it tells local times with their offset, but schedules in UTC."""
FINISHED_LIFETIME = timedelta(hours=1)
"""How long an ended task stays in the queue."""

_STATES = {
    Status.PENDING: "waiting",
    Status.RUNNING: "running",
    Status.SUCCESS: "finished",
    Status.ERROR: "error",
    Status.TIMED_OUT: "timed out",
    Status.CANCELLED: "canceled",
}
_FILTERS: dict[str, Callable[[Status], bool]] = {
    "current": lambda _: True,
    "waiting": lambda status: status is Status.PENDING,
    "running": lambda status: status is Status.RUNNING,
    "complete": lambda status: status.is_final,
    "incomplete": lambda status: not status.is_final,
    "archived": lambda _: False,
}
_BYTES_EACH = 48_128

WORKLOAD = Workload(
    source="pulp1",
    new_id=ids.uuid1,
    kinds=(
        Kind(
            operation="RepoApi._sync",
            names=("_sync",),
            weight=4,
            seconds=(8, 120),
            records=(200, 9_000),
            failures=(("", "PulpException('Unable to fetch repomd.xml: 404',)"),),
        ),
        Kind(
            operation="RepoApi.clone",
            names=("clone",),
            weight=1,
            seconds=(5, 40),
            records=(100, 2_000),
            failures=(("", "PulpException('A Repo with the id already exists',)"),),
        ),
        Kind(
            operation="ConsumerApi.installpackages",
            names=("installpackages",),
            weight=2,
            seconds=(3, 25),
            failures=(("", "RequestTimeout('agent did not answer',)"),),
        ),
    ),
    outcomes={Status.SUCCESS: 13, Status.ERROR: 3, Status.TIMED_OUT: 2, Status.CANCELLED: 2},
    recurring=(
        Recurring(kind=Kind(operation="cull_history", names=("cull_history",), seconds=(1, 5)), every=45),
        Recurring(
            kind=Kind(
                operation="cull_audited_events",
                names=("cull_audited_events",),
                seconds=(1, 3),
                failures=(("", "AutoReconnect('could not connect to localhost:27017',)"),),
            ),
            every=70,
        ),
    ),
)


class Pulp1(Api):
    """The tasks of a Pulp 1 server."""

    base_path = "/pulp/api"

    def __init__(
        self, world: World, *, limit: RateLimit | None = None, skew: timedelta = timedelta(0)
    ) -> None:
        super().__init__(world, limit=limit, skew=skew)
        self.finished_lifetime = FINISHED_LIFETIME / world.speed

    def routes(self) -> Sequence[web.RouteDef]:
        """The list and the single task, each under two paths; the trailing slash is needed."""
        uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        prefixes = ("/pulp/api/tasks", "/pulp/api/v1/tasks")
        names = ("", "_v1")
        lists = [
            web.get(f"{prefix}/", self._list, name=f"list_tasks{name}")
            for prefix, name in zip(prefixes, names, strict=True)
        ]
        singles = [
            web.get(f"{prefix}/{{task_id:{uuid}}}/", self._get, name=f"get_task{name}")
            for prefix, name in zip(prefixes, names, strict=True)
        ]
        return [*lists, *singles]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Want basic authentication; even a lack of permission is told as 401."""
        expected = "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") == expected:
            return None
        return web.json_response(
            "Permission denied", status=401, headers={"WWW-Authenticate": 'Basic realm="pulp"'}
        )

    def too_many(self, retry_after: int | None) -> web.Response:
        """Answer as a proxy in front would; Pulp itself has no limit."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return web.Response(status=429, text="Too Many Requests", headers=headers)

    async def _list(self, request: web.Request) -> web.Response:
        states = [state.lower() for state in request.query.getall("state", ["current"])]
        unknown = [state for state in states if state not in _FILTERS]
        if unknown:
            return web.json_response(f"Unknown state: {unknown[0]}", status=400)
        wanted = set(request.query.getall("id", []))
        documents = self._queue(states) + (self._archive() if "archived" in states else [])
        return web.json_response([doc for doc in documents if not wanted or doc["id"] in wanted])

    async def _get(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        task = self.asked(request)
        if task is None:
            return web.json_response(f"Task not found: {task_id}", status=404)
        if self._is_queued(task):
            return web.json_response(self._document(task))
        return web.json_response(self._archived(task) | {"scheduler": None, "snapshot_id": None})

    def _queue(self, states: Iterable[str]) -> list[dict[str, Any]]:
        """The tasks in the queue; in no order, as the server makes the list from a set."""
        now, accepts = self.now(), [_FILTERS[state] for state in states]
        queued = [task for task in self.world.tasks() if self._is_queued(task)]
        shown = [task for task in queued if any(accept(task.status_at(now)) for accept in accepts)]
        return [self._document(task) for task in sorted(shown, key=lambda task: task.id)]

    def _archive(self) -> list[dict[str, Any]]:
        """The whole history, the last end first; without pages."""
        ended = [task for task in self.world.runs() if task.has_ended(self.now())]
        documents = [self._archived(task) for task in ended]
        return sorted(documents, key=lambda document: str(document["finish_time"]), reverse=True)

    def _is_queued(self, task: SimTask) -> bool:
        return not task.has_ended(self.now() - self.finished_lifetime)

    def _document(self, task: SimTask) -> dict[str, Any]:
        now = self.now()
        waits_for = task.ready_at if task.recurring else task.created_at
        scheduled = None if task.has_ended(now) else f"{self.told(waits_for):%Y-%m-%dT%H:%M:%SZ}"
        return self._facts(task, now) | {
            "scheduled_time": scheduled,
            "job_id": None,
            "scheduler": "interval" if task.recurring else "immediate",
            "snapshot_id": None,
        }

    def _facts(self, task: SimTask, now: datetime) -> dict[str, Any]:
        failed = task.has_ended(now) and task.outcome is Status.ERROR
        class_name, _, method_name = task.operation.rpartition(".")
        return {
            "exception": task.message if failed else None,
            "args": ["demo-repo"] if class_name == "RepoApi" else [],
            "class_name": class_name or None,
            "start_time": self._iso(task.started_at) if task.has_started(now) else None,
            "traceback": _traceback(task) if failed else None,
            "method_name": method_name,
            "finish_time": self._iso(task.finished_at) if task.has_ended(now) else None,
            "state": _STATES[task.status_at(now)],
            "result": None,
            "progress": _progress(task, now) if task.records and task.has_started(now) else None,
            "id": task.id,
        }

    def _archived(self, task: SimTask) -> dict[str, Any]:
        """The form of the history: no scheduler and snapshot, but what the database adds."""
        return self._facts(task, self.now()) | {
            "_id": f"{task.id}-{task.run}",
            "_ns": "task_history",
            "kwargs": {},
            "scheduled_time": f"{self.told(task.ready_at):%Y-%m-%dT%H:%M:%SZ}",
            "task_type": None,
            "task_string": f"Task {task.id}: {task.name}(, )",
            "consecutive_failures": int(task.outcome is Status.ERROR),
        }

    def _iso(self, moment: datetime | None) -> str | None:
        """A local time with its offset, to the second when there is no fraction."""
        return None if moment is None else self.told(moment.astimezone(UTC)).astimezone(LOCAL).isoformat()


def _progress(task: SimTask, now: datetime) -> dict[str, Any]:
    """Progress of a synchronisation: the totals grow while it finds out what there is."""
    done, fraction = task.records_at(now), task.done_at(now)
    total = int(task.records * min(1.0, 0.4 + 0.9 * fraction))
    left = total - done
    counts = {"items_left": left, "num_success": done, "num_error": 0, "size_left": left * _BYTES_EACH}
    rpm = counts | {"total_count": total, "total_size_bytes": total * _BYTES_EACH}
    return counts | {
        "status": "running" if not task.has_ended(now) else "finished",
        "step": "Downloading Items or Verifying",
        "item_name": f"demo-{done}.rpm",
        "item_type": "rpm",
        "items_total": total,
        "size_total": total * _BYTES_EACH,
        "num_download": done,
        "details": {"rpm": rpm},
        "error_details": [],
    }


def _traceback(task: SimTask) -> list[str]:
    """A list of lines, although the manual says a string."""
    return [
        "Traceback (most recent call last):\n",
        '  File "/usr/lib/python2.6/site-packages/pulp/server/tasking/task.py", line 416, in run\n',
        "    result = self.callable(*self.args, **self.kwargs)\n",
        f"{task.message}\n",
    ]
