"""A simulated Pulp 3: a list with filters, fields and pages, and documents as the real one sends them.

Source: answers of a pulpcore 3.123.1 server with the file plugin.
"""

import math
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from exporter.demo import ids
from exporter.demo.server import Api
from exporter.demo.tasks import SimTask
from exporter.demo.workload import Kind, Workload
from exporter.model import Status

USERNAME, PASSWORD = "admin", "password"
TRACEBACK, REASON = "traceback", "reason"
"""The two shapes of ``error``: of a task that failed, and of one whose worker died."""

_LIST = "/pulp/api/v3/tasks/"
_STATES = {
    Status.PENDING: "waiting",
    Status.RUNNING: "running",
    Status.SUCCESS: "completed",
    Status.ERROR: "failed",
    Status.CANCELLED: "canceled",
    Status.SKIPPED: "skipped",
}
_CHOICES = frozenset(_STATES.values()) | {"canceling"}
_MOMENTS = ("pulp_created", "unblocked_at", "started_at", "finished_at")
_PAGE = 100
_BEHIND = timedelta(milliseconds=4)
"""By how much pulp_last_updated comes before pulp_created."""

_SYNC = "pulp_file.app.tasks.synchronizing.synchronize"
_PUBLISH = "pulp_file.app.tasks.publishing.publish"
_ORPHANS = "pulpcore.app.tasks.orphan.orphan_cleanup"
_REPOSITORY = "01a1ff47-3152-7d93-ac5a-e306f2adeb09"
_DOMAIN = "shared:prn:core.domain:bc377197-d03c-4d28-8000-1488cb65555b"

WORKLOAD = Workload(
    source="pulp",
    new_id=ids.uuid7,
    kinds=(
        Kind(
            operation=_SYNC,
            names=(_SYNC,),
            weight=4,
            seconds=(8, 150),
            records=(300, 6_000),
            failures=(
                ("", "404, message='Not Found', url='http://mirror.example/PULP_MANIFEST'"),
                ("", "Cannot connect to host mirror.example:80"),
            ),
        ),
        Kind(
            operation=_PUBLISH,
            names=(_PUBLISH,),
            weight=3,
            seconds=(1, 15),
            failures=(("", "Artifact file is missing"),),
        ),
        Kind(
            operation=_ORPHANS,
            names=(_ORPHANS,),
            weight=1,
            seconds=(2, 20),
            records=(10, 400),
            failures=(("", "deadlock detected"),),
        ),
    ),
    outcomes={Status.SUCCESS: 13, Status.ERROR: 3, Status.CANCELLED: 3, Status.SKIPPED: 1},
    unstarted={Status.CANCELLED: 0.4, Status.SKIPPED: 1.0},
    forms={Status.ERROR: (TRACEBACK, TRACEBACK, REASON)},
)


class Pulp(Api):
    """The tasks of a Pulp 3 server."""

    def routes(self) -> Sequence[web.RouteDef]:
        """The list, the single task, and both without their slash."""
        return [
            web.get(_LIST, self._list, name="list_tasks"),
            web.get(_LIST + "{task_id}/", self._get, name="get_task"),
            web.get(_LIST.rstrip("/"), _add_slash, name="no_slash"),
            web.get(_LIST + "{task_id}", _add_slash, name="no_slash_task"),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Want basic authentication."""
        given = request.headers.get("Authorization")
        if given == "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode():
            return None
        missing = "Authentication credentials were not provided."
        return web.json_response(
            {"detail": "Invalid username/password." if given else missing},
            status=401,
            headers={"WWW-Authenticate": 'Basic realm="api"'},
        )

    def too_many(self, retry_after: int | None) -> web.Response:
        """Answer as a throttle of its web framework would."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return web.json_response({"detail": "Request was throttled."}, status=429, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        if not _is_uuid(request.match_info["task_id"]):
            return web.json_response({"detail": "Not found."}, status=404)
        task = self.asked(request)
        if task is None:
            return web.json_response({"detail": "No Task matches the given query."}, status=404)
        return _render(request, _select(self._document(task), request.query))

    async def _list(self, request: web.Request) -> web.Response:
        mistakes = _mistakes(request.query)
        if mistakes:
            return web.json_response(mistakes, status=400)
        tests = [self._test(name, value) for name, value in request.query.items() if _is_filter(name)]
        found = [task for task in self.world.tasks() if all(test(task) for test in tests)]
        ordered = self._order(found, request.query.get("ordering", "-pulp_created"))
        return _render(request, self._page(request, ordered))

    def _test(self, name: str, value: str) -> Callable[[SimTask], bool]:
        """The condition that one filter of the query sets."""
        field, _, lookup = name.partition("__")
        if field in _MOMENTS:
            return lambda task: _compare(self._moment(task, field), lookup, value)
        values = value.split(",") if lookup == "in" else [value]
        tell = self._state if field == "state" else _name
        if lookup == "ne":
            return lambda task: tell(task) != value
        if lookup == "contains":
            return lambda task: value in tell(task)
        return lambda task: tell(task) in values

    def _order(self, tasks: Iterable[SimTask], ordering: str) -> list[SimTask]:
        """Sort; tasks without the moment come last going up and first going down, as in PostgreSQL."""
        field, far = ordering.removeprefix("-"), datetime.max.replace(tzinfo=UTC)
        return sorted(
            tasks, key=lambda task: self._moment(task, field) or far, reverse=ordering.startswith("-")
        )

    def _page(self, request: web.Request, tasks: Sequence[SimTask]) -> dict[str, Any]:
        limit = _number(request.query.get("limit"), _PAGE) or _PAGE
        offset = _number(request.query.get("offset"), 0)
        shown = tasks[offset : offset + limit]
        following = offset + limit if offset + limit < len(tasks) else None
        preceding = max(0, offset - limit) if offset > 0 else None
        return {
            "count": len(tasks),
            "next": _link(request, limit, following),
            "previous": _link(request, limit, preceding),
            "results": [_select(self._document(task), request.query) for task in shown],
        }

    def _state(self, task: SimTask) -> str:
        now = self.now()
        return "canceling" if task.is_being_cancelled(now) else _STATES[task.status_at(now)]

    def _moment(self, task: SimTask, field: str) -> datetime | None:
        """One of the task's times as this server's clock had it; None while it lies ahead."""
        moment = {
            "pulp_created": task.created_at,
            "unblocked_at": task.ready_at,
            "started_at": task.started_at,
            "finished_at": task.finished_at,
        }[field]
        return self.told(moment) if moment is not None and moment <= self.now() else None

    def _iso(self, task: SimTask, field: str) -> str | None:
        moment = self._moment(task, field)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" if moment else None

    def _document(self, task: SimTask) -> dict[str, Any]:
        completed = self._state(task) == "completed"
        return {
            "pulp_href": f"{_LIST}{task.id}/",
            "prn": f"prn:core.task:{task.id}",
            "pulp_created": self._iso(task, "pulp_created"),
            "pulp_last_updated": f"{self.told(task.created_at) - _BEHIND:%Y-%m-%dT%H:%M:%S.%fZ}",
            "state": self._state(task),
            "name": task.name,
            "logging_cid": uuid.uuid5(uuid.NAMESPACE_OID, task.id).hex,
            "created_by": "/pulp/api/v3/users/1/",
            "unblocked_at": self._iso(task, "unblocked_at"),
            "started_at": self._iso(task, "started_at"),
            "finished_at": self._iso(task, "finished_at"),
            "error": _error(task) if self._state(task) == "failed" else None,
            "worker": None,
            "parent_task": None,
            "child_tasks": [],
            "task_group": None,
            "progress_reports": self._reports(task) if task.has_started(self.now()) else [],
            "created_resources": [f"{_repository()}versions/1/"] if completed else [],
            "created_resource_prns": [f"prn:core.repositoryversion:{task.id}"] if completed else [],
            "reserved_resources_record": [f"prn:file.filerepository:{_REPOSITORY}", _DOMAIN],
            "result": _result(task) if completed else None,
            "pulp_api_version": "v3",
        }

    def _reports(self, task: SimTask) -> list[dict[str, Any]]:
        """What the task reports of its progress; their order changes from poll to poll."""
        now, state = self.now(), self._state(task)
        state = "running" if state == "canceling" else state
        if task.name == _ORPHANS:
            return _cleanup_reports(task, now, state)
        reports = _sync_reports(task, now, state) if task.name == _SYNC else []
        turn = int(now.timestamp()) % 2
        return reports[::-1] if turn else reports


def _sync_reports(task: SimTask, now: datetime, state: str) -> list[dict[str, Any]]:
    """Of most steps the total is unknown; artifacts that are there already are not downloaded."""
    done = task.records_at(now)
    known = task.records if task.done_at(now) >= _MANIFEST_READ else None
    downloaded = math.ceil(done * 0.77)
    return [
        _report("Downloading Metadata", "sync.downloading.metadata", "completed", None, 1),
        _report("Downloading Artifacts", "sync.downloading.artifacts", state, None, downloaded),
        _report(
            "Associating Content", "associating.content", state, None, done if state == "completed" else 0
        ),
        _report("Parsing Metadata Lines", "sync.parsing.metadata", state, known, done if known else 0),
    ]


_MANIFEST_READ = 0.05
"""The part of a synchronisation after which its total is known."""


def _cleanup_reports(task: SimTask, now: datetime, state: str) -> list[dict[str, Any]]:
    return [
        _report("Clean up orphan Content", "clean-up.content", state, task.records, task.records_at(now)),
        _report("Clean up orphan Artifacts", "clean-up.artifacts", state, 0, 0),
    ]


def _report(message: str, code: str, state: str, total: int | None, done: int) -> dict[str, Any]:
    return {"message": message, "code": code, "state": state, "total": total, "done": done, "suffix": None}


def _error(task: SimTask) -> dict[str, str]:
    if task.form == REASON:
        return {"reason": "Worker has gone missing."}
    trace = (
        '  File "/usr/lib/python3.11/site-packages/pulpcore/tasking/tasks.py", line 86, in _execute_task\n'
    )
    return {"traceback": trace + "    result = task_function()\n", "description": task.message}


def _result(task: SimTask) -> dict[str, Any] | None:
    if task.name == _ORPHANS:
        return None
    return {"prn": f"prn:core.repositoryversion:{task.id}", "number": 1, "repository": _repository()}


def _repository() -> str:
    return f"/pulp/api/v3/repositories/file/file/{_REPOSITORY}/"


async def _add_slash(request: web.Request) -> web.Response:
    """Send the client to the path with a slash: a page, and a place without host."""
    query = f"?{request.query_string}" if request.query_string else ""
    location = {"Location": f"{request.path}/{query}"}
    return web.Response(status=301, content_type="text/html", headers=location)


def _render(request: web.Request, document: Mapping[str, Any]) -> web.Response:
    """Answer with JSON, or with a page for people if the client names only that."""
    accepted = {part.split(";")[0].strip() for part in request.headers.get("Accept", "*/*").split(",")}
    if "text/html" in accepted and "application/json" not in accepted:
        page = "<!DOCTYPE html>\n<html>\n  <head><title>Task List</title></head>\n</html>\n"
        return web.Response(text=page, content_type="text/html")
    return web.json_response(document)


def _select(document: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Keep the fields that are asked for."""
    wanted = query["fields"].split(",") if query.get("fields") else list(document)
    unwanted = query.get("exclude_fields", "").split(",")
    return {key: value for key, value in document.items() if key in wanted and key not in unwanted}


_FILTERS = {
    "state": ("", "in", "ne"),
    "name": ("", "in", "ne", "contains"),
    **dict.fromkeys(_MOMENTS, ("", "gt", "gte", "lt", "lte", "isnull")),
}
_OTHERS = frozenset({"ordering", "fields", "exclude_fields", "limit", "offset", "format"})


def _is_filter(name: str) -> bool:
    field, _, lookup = name.partition("__")
    return lookup in _FILTERS.get(field, ())


def _mistakes(query: Mapping[str, str]) -> dict[str, list[str]]:
    """What is wrong with a query, in the server's words."""
    invalid = [name for name in query if not _is_filter(name) and name not in _OTHERS]
    if invalid:
        return {"errors": [f"Invalid Filter: '{name}'" for name in invalid]}
    found = {name: _mistake(name, value) for name, value in query.items()}
    return {name: [mistake] for name, mistake in found.items() if mistake}


def _mistake(name: str, value: str) -> str:
    field, _, lookup = name.partition("__")
    if field == "state":
        bad = [each for each in (value.split(",") if lookup == "in" else [value]) if each not in _CHOICES]
        return f"Select a valid choice. {bad[0]} is not one of the available choices." if bad else ""
    if field in _MOMENTS and lookup != "isnull":
        return "" if _parse(value) else "Enter a valid date/time."
    if name == "ordering" and value.removeprefix("-") not in _MOMENTS:
        return f"Select a valid choice. {value} is not one of the available choices."
    return ""


def _compare(moment: datetime | None, lookup: str, value: str) -> bool:
    if lookup == "isnull":
        return (moment is None) == (value.lower() == "true")
    bound = _parse(value)
    if moment is None or bound is None:
        return False
    return {
        "": moment == bound,
        "gt": moment > bound,
        "gte": moment >= bound,
        "lt": moment < bound,
        "lte": moment <= bound,
    }[lookup]


def _parse(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _link(request: web.Request, limit: int, offset: int | None) -> str | None:
    """The address of another page: absolute, from the Host header, its parameters sorted."""
    if offset is None:
        return None
    kept = {name: value for name, value in request.query.items() if name not in ("limit", "offset")}
    place = {"limit": str(limit)} | ({"offset": str(offset)} if offset else {})
    return f"{request.scheme}://{request.host}{request.path}?{urlencode(sorted((kept | place).items()))}"


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value and value.isdecimal() else otherwise


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _name(task: SimTask) -> str:
    return task.name
