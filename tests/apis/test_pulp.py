"""What is peculiar to Pulp 3."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.apis.base import Answer
from exporter.apis.pulp import Pulp, PulpOptions, parse, parse_page
from exporter.errors import Malformed, Rejected, TaskNotFound, Unauthorized
from exporter.model import Status, Task
from tests.apis.fake_http import DOCUMENTS, NOW, FakeHttp, answer, recorded

TASKS = "pulp/api/v3/tasks/"
WAITING = "01a1ff48-0186-7707-b11c-a9cc6ac53c92"
SYNC = "pulp_file.app.tasks.synchronizing.synchronize"
UNFINISHED, FINISHED = "state__in", "finished_at__gte"


def document(name: str) -> Any:  # noqa: ANN401 - JSON
    """One of the kept documents, as a parse gets it."""
    return json.loads((DOCUMENTS / f"pulp/{name}.json").read_text())


def numbered(number: int, state: str = "running", **fields: object) -> dict[str, object]:
    """A task with a short name."""
    href = f"/pulp/api/v3/tasks/00000000-0000-7000-8000-{number:012}/"
    return {"pulp_href": href, "state": state, "name": SYNC, **fields}


def page(results: Sequence[object], following: str | None = None) -> dict[str, object]:
    """A page of a list."""
    return {"count": len(results), "next": following, "previous": None, "results": list(results)}


class Pages:
    """A server with two lists, each of so many pages."""

    def __init__(self, unfinished: Sequence[object], finished: Sequence[object]) -> None:
        self.lists = {UNFINISHED: unfinished, FINISHED: finished}
        self.asked: list[dict[str, str]] = []

    async def get(
        self,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer the page whose offset, in pages, is asked for."""
        del endpoint, path, headers
        asked = dict(query)
        self.asked.append(asked)
        pages = next(pages for name, pages in self.lists.items() if name in asked)
        return answer(pages[int(asked["offset"])])


async def listed(unfinished: Sequence[object], finished: Sequence[object]) -> tuple[dict[str, Status], bool]:
    """List a server's tasks, each with its status, and whether that is all."""
    listing = await Pulp(Pages(unfinished, finished), PulpOptions(page_size=1)).list(NOW)
    return {task.id[-1]: task.status for task in listing.tasks}, listing.complete


def test_a_completed_sync() -> None:
    """Times are microseconds, the task's name is its kind of work, and its result is not read."""
    assert parse(document("completed")) == Task(
        id=WAITING,
        status=Status.SUCCESS,
        word="completed",
        operation=SYNC,
        name=SYNC,
        progress=1.0,
        created_at=datetime(2026, 11, 21, 18, 4, 31, 502330, tzinfo=UTC),
        ready_at=datetime(2026, 11, 21, 18, 4, 39, 49846, tzinfo=UTC),
        started_at=datetime(2026, 11, 21, 18, 4, 39, 105570, tzinfo=UTC),
        finished_at=datetime(2026, 11, 21, 18, 5, 12, 216864, tzinfo=UTC),
        processed=3000,
        expected=3000,
    )


@pytest.mark.parametrize(
    ("name", "status", "progress"),
    [
        ("waiting", Status.PENDING, None),
        ("running_early", Status.RUNNING, None),
        ("running", Status.RUNNING, 0.168),
        ("canceling", Status.PENDING, None),
        ("canceled", Status.CANCELLED, 0.168),
        ("failed", Status.ERROR, None),
        ("worker_missing", Status.ERROR, None),
    ],
)
def test_recorded_tasks(name: str, status: Status, progress: float | None) -> None:
    """Only reports that know their total make a progress; canceling has not ended."""
    task = parse(document(name))
    assert (task.status, task.progress) == (status, progress)


def test_a_task_that_is_cancelled_at_work_is_still_running() -> None:
    """Only one that has not started yet will never run; neither has ended."""
    assert parse(document("canceling") | {"started_at": "2026-11-21T18:05:00Z"}).status is Status.RUNNING


def test_a_skipped_task_has_ended() -> None:
    """A task that was not needed is final without having run."""
    assert parse(numbered(1, "skipped")).status is Status.SKIPPED


def test_progress_adds_up_over_reports() -> None:
    """Reports come in any order, with totals or without, and count from nothing."""
    reports = [
        {"code": "a", "total": 3000, "done": 500},
        {"code": "b", "total": None, "done": 7},
        {"code": "c", "total": 1000, "done": None},
        {"code": "d", "total": 0, "done": 0},
    ]
    task = parse(numbered(1, progress_reports=reports))
    assert (task.progress, task.processed, task.expected) == (0.125, 500, 4000)


@pytest.mark.parametrize(
    ("error", "message", "detail", "code"),
    [
        ({"traceback": " File x\n", "description": "404, no file"}, "404, no file", "File x", ""),
        ({"traceback": None, "description": "[PLP0000] internal"}, "[PLP0000] internal", "", "PLP0000"),
        ({"reason": "Worker has gone missing."}, "Worker has gone missing.", "", ""),
        ("it broke", "it broke", "", ""),
        (["it broke"], "", "", ""),
        ({}, "", "", ""),
        (None, "", "", ""),
    ],
)
def test_the_shapes_of_an_error(error: object, message: str, detail: str, code: str) -> None:
    """A failure is described, a lost worker gives a reason, and the code is pulpcore's own."""
    task = parse(numbered(1, "failed", error=error))
    assert (task.message, task.detail, task.error_code) == (message, detail, code)


def test_a_long_traceback_keeps_its_end() -> None:
    """The last lines tell what happened; the rest is cut."""
    trace = "  File x\n" * 10_000 + "ClientResponseError: 404"
    detail = parse(numbered(1, "failed", error={"traceback": trace})).detail
    assert len(detail) <= 8000
    assert detail.endswith("ClientResponseError: 404")


def test_a_parent_is_known_by_its_uuid() -> None:
    """Hrefs of parents are shortened as those of tasks are."""
    assert parse(numbered(1, parent_task=f"/pulp/api/v3/tasks/{WAITING}/")).parent_id == WAITING


@pytest.mark.parametrize(
    "reference",
    [
        WAITING,
        WAITING.upper(),
        f"/pulp/api/v3/tasks/{WAITING}/",
        f"/pulp/default/api/v3/tasks/{WAITING}",
        f"https://elsewhere.example.com/pulp/api/v3/tasks/{WAITING}/",
        f"prn:core.task:{WAITING}",
    ],
)
async def test_a_task_is_asked_for_by_uuid_or_href(reference: str) -> None:
    """Of a href only the UUID is used, never its origin or its path."""
    http = FakeHttp({f"{TASKS}{WAITING}/": recorded("pulp/waiting.json")})
    assert (await Pulp(http, PulpOptions()).fetch(reference)).id == WAITING


async def test_an_id_that_is_no_uuid_is_the_servers_to_refuse() -> None:
    """Any other id is asked for as it is, quoted."""
    http = FakeHttp({f"{TASKS}a%2Fb/": answer({"detail": "Not found."}, 404)})
    with pytest.raises(TaskNotFound, match="Not found"):
        await Pulp(http, PulpOptions()).fetch("a/b")


async def test_errors() -> None:
    """Pulp's own 404 is an unknown task, anybody else's is not."""
    path = f"{TASKS}{WAITING}/"
    for told, kind in (
        (recorded("pulp/unknown_task.json", 404), TaskNotFound),
        (answer(b"<html>Not Found</html>", 404), Rejected),
        (recorded("pulp/unauthorized.json", 401), Unauthorized),
        (answer(b"", 301, Location="/pulp/api/v3/tasks/"), Rejected),
        (recorded("pulp/page.html"), Malformed),
    ):
        with pytest.raises(kind):
            await Pulp(FakeHttp({path: told}), PulpOptions()).fetch(WAITING)


@pytest.mark.parametrize("name", ["bad_state", "unknown_filter"])
async def test_a_filter_that_the_server_does_not_know(name: str) -> None:
    """A version without one of our filters says so, and we pass it on."""
    with pytest.raises(Rejected, match=r"HTTP 400: .*(bogus|Invalid Filter)"):
        await Pulp(FakeHttp({None: recorded(f"pulp/{name}.json", 400)}), PulpOptions()).list(NOW)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (PulpOptions(), "pulp/api/v3/tasks/"),
        (PulpOptions(domain="default"), "pulp/default/api/v3/tasks/"),
        (PulpOptions(api_root="/hosted/pulp3"), "hosted/pulp3/api/v3/tasks/"),
        (PulpOptions(api_root="/"), "api/v3/tasks/"),
    ],
)
async def test_paths(options: PulpOptions, path: str) -> None:
    """API_ROOT and domain make the path."""
    http = FakeHttp({None: recorded("pulp/list_empty.json")})
    await Pulp(http, options).list(NOW)
    assert {request.path for request in http.requests} == {path}


async def test_two_questions_list_all() -> None:
    """Unfinished first, then finished since; only what is read is asked for, as JSON."""
    http = FakeHttp({None: recorded("pulp/list_empty.json")})
    listing = await Pulp(http, PulpOptions(page_size=7)).list(NOW)
    first, second = (dict(request.query) for request in http.requests)
    assert first["state__in"] == "waiting,running,canceling"
    assert second["finished_at__gte"] == "2026-11-21T18:06:00Z"
    assert "result" not in first["fields"].split(",")
    assert "error" in second["fields"].split(",")
    assert (first["limit"], first["offset"]) == ("7", "0")
    assert {request.headers["Accept"] for request in http.requests} == {"application/json"}
    assert (listing.tasks, listing.as_of, listing.complete) == ((), NOW, True)


async def test_recorded_lists() -> None:
    """Recorded pages of whole tasks, and of those with some fields only, both read."""
    whole, lean = recorded("pulp/list_state_in.json"), document("list_fields")
    http = FakeHttp({None: whole})
    listing = await Pulp(http, PulpOptions()).list(NOW)
    assert [task.status for task in listing.tasks] == [Status.CANCELLED, Status.CANCELLED, Status.ERROR]
    assert listing.tasks[0].started_at is None
    assert [task.status for task in parse_page(lean).tasks] == [Status.SUCCESS] * 3


async def test_a_task_that_ends_between_the_questions_has_ended() -> None:
    """It is in both answers, and its end holds."""
    tasks, _ = await listed([page([numbered(1)])], [page([numbered(1, "failed")])])
    assert tasks == {"1": Status.ERROR}


async def test_pages_are_followed_by_offset_only() -> None:
    """Where ``next`` names another origin, our own filters and our own server are asked again."""
    foreign = "http://internal:24817/evil?offset=1&limit=9&state__in=waiting"
    server = Pages([page([numbered(1)], foreign), page([numbered(2)])], [page([])])
    listing = await Pulp(server, PulpOptions(page_size=1)).list(NOW)
    assert [task.id[-1] for task in listing.tasks] == ["1", "2"]
    assert [asked["offset"] for asked in server.asked] == ["0", "1", "0"]
    assert server.asked[1] == server.asked[0] | {"offset": "1"}


async def test_tasks_that_shift_between_pages_are_listed_once() -> None:
    """A new task pushes others to the next page; they are known by their id."""
    first = page([numbered(1, "completed"), numbered(2, "completed")], "?offset=1")
    tasks, complete = await listed(
        [page([])], [first, page([numbered(2, "completed"), numbered(3, "completed")])]
    )
    assert list(tasks) == ["1", "2", "3"]
    assert complete


async def test_an_unfinished_list_of_several_pages_may_miss_a_task() -> None:
    """Tasks move up when one ends, so that nobody may conclude that a missing one has ended."""
    _, complete = await listed([page([numbered(1)], "?offset=1"), page([numbered(2)])], [page([])])
    assert not complete


async def test_pages_without_end_are_given_up() -> None:
    """A server that always has another page is told off, with the cure."""
    server = Pages([page([numbered(1)], "?offset=0")], [])
    with pytest.raises(Rejected, match=r"more than 200 pages of tasks; raise options.page_size \(1\)"):
        await Pulp(server, PulpOptions(page_size=1)).list(NOW)
    assert len(server.asked) == 200


@pytest.mark.parametrize(
    "told",
    [
        [],
        None,
        "x",
        {},
        {"next": None},
        page([None]),
        page([{"state": "running"}]),
        page([{"pulp_href": "", "state": "running"}]),
        page([], "?limit=5"),
        page([], "http://[bad"),
    ],
)
async def test_a_list_in_another_shape_is_malformed(told: object) -> None:
    """What is no page, or holds what is no task, is told as such."""
    with pytest.raises(Malformed):
        await listed([told], [])


def test_a_page_holds_at_least_one_task() -> None:
    """An option that makes no sense is refused before any request."""
    with pytest.raises(ValueError, match="page_size: expected at least 1"):
        PulpOptions(page_size=0)
