"""Pulp 3: the tasks of pulpcore, on its own, in Foreman and Katello, or in Red Hat's products.

Facts from answers recorded from pulpcore 3.123 and from its OpenAPI document.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from exporter.apis import reading
from exporter.apis.base import Http, Listing, Pace
from exporter.errors import Rejected, TaskNotFound
from exporter.model import Status, Task

STATUSES = {
    "waiting": Status.PENDING,
    "running": Status.RUNNING,
    "canceling": Status.RUNNING,
    "completed": Status.SUCCESS,
    "failed": Status.ERROR,
    "canceled": Status.CANCELLED,
    "skipped": Status.SKIPPED,
}
"""``canceling`` has not ended: a worker still works on it, or must first become free to drop it."""
_NOT_BEGUN = STATUSES | {"canceling": Status.PENDING}
_UNFINISHED = "waiting,running,canceling"
_FIELDS = (
    "pulp_href,state,name,pulp_created,unblocked_at,started_at,finished_at,error,parent_task,progress_reports"
)
"""All that we read. What is left out is large: the result of a sync, the resources it made and reserved."""
_ACCEPT = {"Accept": "application/json"}
"""Asked for anything else, Pulp answers with a page for people."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=/?$)", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z]{2,5}\d{3,5})\]")
"""pulpcore's own errors begin with their code, such as [PLP0000]."""
_MAX_PAGES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """One page of a list of tasks."""

    tasks: tuple[Task, ...]
    next_offset: str
    """Where the next page begins, or "" where there is none."""
    date: datetime | None


@dataclass(frozen=True, slots=True)
class PulpOptions:
    """Settings of a Pulp 3 source."""

    domain: str = ""
    """The domain that is watched, on a server that has domains."""
    api_root: str = "/pulp/"
    """Pulp's own setting API_ROOT."""
    page_size: int = 100
    """How many tasks are asked for in one request."""

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ValueError("page_size: expected at least 1")


class Pulp:
    """A Pulp 3 server; ``url`` is its host."""

    Options: ClassVar[type] = PulpOptions
    pace: ClassVar[Pace] = Pace()
    lists: ClassVar[bool] = True

    def __init__(self, http: Http, options: PulpOptions) -> None:
        self._http = http
        self._page_size = options.page_size
        parts = (options.api_root.strip("/"), quote(options.domain, safe=""), "api/v3/tasks/")
        self._path = "/".join(filter(None, parts))

    async def fetch(self, task_id: str) -> Task:
        """Ask for one task, by its UUID or its whole href; of the latter only the UUID is used."""
        path = f"{self._path}{reading.segment(_uuid(task_id))}/"
        answer = await self._http.get("get_task", path, query=(("fields", _FIELDS),), headers=_ACCEPT)
        said = reading.json_or_none(answer)
        if answer.status == HTTPStatus.NOT_FOUND and isinstance(said, dict):
            raise TaskNotFound(task_id, reading.text(said.get("detail"), 160))
        return parse(reading.content(answer))

    async def list(self, since: datetime) -> Listing:
        """List the unfinished tasks, then those that finished since.

        In this order no task is in neither: one that ends in between is in both, and its end holds.
        An unfinished list of several pages may miss a task, because those behind one that ends move up.
        """
        unfinished = [page async for page in self._pages(("state__in", _UNFINISHED))]
        finished = [page async for page in self._pages(("finished_at__gte", _iso(since)))]
        tasks = {task.id: task for page in (*unfinished, *finished) for task in page.tasks}
        return Listing(tuple(tasks.values()), as_of=unfinished[0].date, complete=len(unfinished) == 1)

    async def _pages(self, wanted: tuple[str, str]) -> AsyncIterator[_Page]:
        """Ask for page after page; the next page's address is taken for its offset only.

        The server builds that address from whatever Host a proxy told it, so it may name any origin.
        """
        offset = "0"
        for _ in range(_MAX_PAGES):
            query = (wanted, ("fields", _FIELDS), ("limit", str(self._page_size)), ("offset", offset))
            answer = await self._http.get("list_tasks", self._path, query=query, headers=_ACCEPT)
            page = parse_page(reading.content(answer), answer.date)
            yield page
            if not page.next_offset:
                return
            offset = page.next_offset
        raise Rejected(f"more than {_MAX_PAGES} pages of tasks; raise options.page_size ({self._page_size})")


@reading.document
def parse(document: Mapping[str, Any]) -> Task:
    """Translate a task; ``pulp_last_updated`` is left alone, for it does not move with the task."""
    word = reading.text(document["state"])
    name = reading.text(document.get("name"))
    message, detail = _error(document.get("error"))
    code = _CODE.match(message)
    done, total = _progress(document.get("progress_reports"))
    started_at = reading.iso8601(document.get("started_at"))
    return Task(
        id=_uuid(reading.identity(document["pulp_href"])),
        status=_status(word, started_at),
        word=word,
        operation=name,
        name=name,
        progress=reading.fraction(done, total),
        created_at=reading.iso8601(document.get("pulp_created")),
        ready_at=reading.iso8601(document.get("unblocked_at")),
        started_at=started_at,
        finished_at=reading.iso8601(document.get("finished_at")),
        message=message,
        error_code=code[1] if code else "",
        detail=detail,
        processed=done,
        expected=total,
        parent_id=_uuid(reading.text(document.get("parent_task"))),
    )


@reading.document
def parse_page(document: Mapping[str, Any], date: datetime | None = None) -> _Page:
    """Translate one page of a list."""
    following = document["next"]
    return _Page(
        tasks=tuple(parse(task) for task in document["results"]),
        next_offset=parse_qs(urlsplit(following).query)["offset"][0] if following else "",
        date=date,
    )


def _status(word: str, started_at: datetime | None) -> Status:
    """A task that is cancelled while it waits has not begun, and never will."""
    return reading.status(STATUSES if started_at else _NOT_BEGUN, word)


def _error(error: object) -> tuple[str, str]:
    """Read an error's message and its long form: {description, traceback}, {reason}, or plain text."""
    told = reading.mapping(error)
    message = reading.text(told.get("description")) or reading.text(told.get("reason")) or reading.text(error)
    return message, reading.traceback(told.get("traceback"))


def _progress(reports: object) -> tuple[int | None, int | None]:
    """Add up what the reports that know their total tell; most do not."""
    sized = [report for report in reading.objects(reports) if reading.count(report.get("total"))]
    if not sized:
        return None, None
    done, total = (sum(reading.count(report.get(key)) or 0 for report in sized) for key in ("done", "total"))
    return done, total


def _uuid(reference: str) -> str:
    """Find the UUID at the end of an href; what has none stands for itself."""
    match = _UUID.search(reference.strip())
    return match[0].lower() if match else reference


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
