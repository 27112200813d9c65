"""The simulated Pulp 3 against answers of a real one."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from exporter.demo.pulp import REASON, WORKLOAD, Pulp
from exporter.demo.tasks import SimTask
from exporter.demo.world import World
from exporter.model import Status
from tests.demo.conftest import Serve
from tests.demo.fakes import START, Caller, StillClock, document, shape

TASKS = "/pulp/api/v3/tasks/"
SYNC = WORKLOAD.kinds[0].operation
PUBLISH = WORKLOAD.kinds[1].operation


@pytest.fixture
def api(clock: StillClock) -> Pulp:
    """A Pulp 3 that does only what a test adds."""
    return Pulp(World(WORKLOAD.silent(), clock))


def _add(api: Pulp, **facts: Any) -> SimTask:  # noqa: ANN401 - any field of SimTask
    return api.world.add(SYNC, queued=timedelta(seconds=5), records=3000, **facts)


async def _names(caller: Caller, query: str) -> list[str]:
    """The last parts of the names of the tasks that a query finds."""
    found = (await caller.get(TASKS + query)).json()
    return [task["name"].rsplit(".", 1)[1] for task in found["results"]]


@pytest.mark.parametrize(
    ("recorded", "outcome", "seconds"),
    [
        ("pulp_waiting", Status.SUCCESS, 1),
        ("pulp_running", Status.SUCCESS, 10),
        ("pulp_completed", Status.SUCCESS, 60),
        ("pulp_canceled", Status.CANCELLED, 60),
    ],
)
async def test_documents_look_as_recorded(
    api: Pulp, clock: StillClock, serve: Serve, *, recorded: str, outcome: Status, seconds: float
) -> None:
    """The same keys in the same order, the same types, the same progress codes."""
    task, real = _add(api, outcome=outcome, ready_at=START), document(recorded)
    clock.forward(seconds)
    told = (await (await serve(api)).get(f"{TASKS}{task.id}/")).json()
    loose = {"created_resources", "created_resource_prns", "result", "progress_reports", "unblocked_at"}
    assert list(told) == list(real)
    assert {key: shape(told[key]) for key in told.keys() - loose} == {
        key: shape(real[key]) for key in real.keys() - loose
    }
    assert told["state"] == real["state"]
    codes = {report["code"]: shape(report) for report in real["progress_reports"]}
    for report in told["progress_reports"]:
        assert shape(report) == codes[report["code"]]


async def test_ids_are_addresses_with_a_uuid_of_version_7(api: Pulp, serve: Serve) -> None:
    """The UUID begins with the milliseconds of its creation."""
    task = _add(api)
    told = (await (await serve(api)).get(TASKS)).json()["results"][0]
    assert told["pulp_href"] == f"{TASKS}{task.id}/"
    assert UUID(task.id).version == 7
    assert UUID(task.id).int >> 80 == int(START.timestamp() * 1000)


async def test_last_updated_comes_before_created(api: Pulp, clock: StillClock, serve: Serve) -> None:
    """A few milliseconds, for ever: it is no use as a cursor."""
    task = _add(api)
    clock.forward(60)
    told = (await (await serve(api)).get(f"{TASKS}{task.id}/")).json()
    assert told["pulp_created"] == "2026-03-04T12:00:00.000000Z"
    assert told["pulp_last_updated"] == "2026-03-04T11:59:59.996000Z"


async def test_less_is_done_than_expected(api: Pulp, clock: StillClock, serve: Serve) -> None:
    """Artifacts that are there already are not downloaded; only one step knows its total."""
    task = _add(api)
    clock.forward(60)
    reports = (await (await serve(api)).get(f"{TASKS}{task.id}/")).json()["progress_reports"]
    totals = {report["code"]: (report["done"], report["total"]) for report in reports}
    assert totals["sync.downloading.artifacts"] == (2310, None)
    assert totals["sync.parsing.metadata"] == (3000, 3000)


@pytest.mark.parametrize(
    ("form", "keys"), [("", {"traceback", "description"}), (REASON, {"reason"})], ids=["failed", "killed"]
)
async def test_errors_have_two_shapes(
    api: Pulp, clock: StillClock, serve: Serve, *, form: str, keys: set[str]
) -> None:
    """That of a task that failed, and that of one whose worker died."""
    task = _add(api, outcome=Status.ERROR, form=form)
    clock.forward(60)
    told = (await (await serve(api)).get(f"{TASKS}{task.id}/")).json()
    assert (told["state"], set(told["error"])) == ("failed", keys)


async def test_a_task_is_canceling_before_it_is_canceled(api: Pulp, clock: StillClock, serve: Serve) -> None:
    """Even one that never starts; it has an end and no start."""
    end = START + timedelta(seconds=33)
    cancel = START + timedelta(seconds=3)
    task = _add(api, outcome=Status.CANCELLED, started_at=None, finished_at=end, cancel_at=cancel)
    caller, seen = await serve(api), []
    for seconds in (0, 5, 60):
        clock.forward(seconds)
        seen.append((await caller.get(f"{TASKS}{task.id}/")).json())
    assert [each["state"] for each in seen] == ["waiting", "canceling", "canceled"]
    assert (seen[2]["started_at"], seen[2]["finished_at"]) == (None, "2026-03-04T12:00:33.000000Z")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["third", "second", "first"]),
        ("?ordering=pulp_created", ["first", "second", "third"]),
        ("?ordering=-started_at", ["third", "second", "first"]),
        ("?state=completed", ["first"]),
        ("?state__in=running,waiting", ["third", "second"]),
        ("?state__ne=running", ["third", "first"]),
        ("?name=a.first", ["first"]),
        ("?name__contains=ir", ["third", "first"]),
        ("?name__in=a.first,a.second", ["second", "first"]),
        ("?finished_at__gte=2026-03-04T12:00:10Z", ["first"]),
        ("?finished_at__gt=2026-03-04T12:00:10Z", []),
        ("?finished_at__lte=2026-03-04T12:00:10Z", ["first"]),
        ("?finished_at__lt=2026-03-04T12:00:10Z", []),
        ("?started_at__gte=2026-03-04T12:00:00%2B00:00", ["second", "first"]),
        ("?started_at__isnull=true", ["third"]),
        ("?limit=1&offset=1", ["second"]),
    ],
)
async def test_the_list_is_filtered_and_ordered(
    api: Pulp, clock: StillClock, serve: Serve, *, query: str, names: list[str]
) -> None:
    """Each documented filter finds what it should of one ended, one running and one waiting task."""
    api.world.add("a.first")
    clock.forward(15)
    api.world.add("a.second")
    clock.forward(1)
    api.world.add("a.third", queued=timedelta(seconds=50), ready_at=START + timedelta(seconds=60))
    assert await _names(await serve(api), query) == names


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?nosuchfilter=1", {"errors": ["Invalid Filter: 'nosuchfilter'"]}),
        ("?state=bogus", {"state": ["Select a valid choice. bogus is not one of the available choices."]}),
        ("?finished_at__gte=today", {"finished_at__gte": ["Enter a valid date/time."]}),
    ],
)
async def test_a_wrong_query_is_refused(
    api: Pulp, serve: Serve, *, query: str, body: dict[str, list[str]]
) -> None:
    """400 and the server's own words."""
    reply = await (await serve(api)).get(TASKS + query)
    assert (reply.status, reply.json()) == (400, body)


async def test_pages_are_linked_by_absolute_addresses(api: Pulp, serve: Serve) -> None:
    """Built from the Host header, with sorted parameters; the first page has no offset."""
    for _ in range(12):
        _add(api)
    caller = await serve(api)
    host = {"Host": "pulp.example"}
    query = "?ordering=-pulp_created&limit=5"
    first = (await caller.get(TASKS + query, **host)).json()
    second = (await caller.get(f"{TASKS}{query}&offset=5", **host)).json()
    last = (await caller.get(f"{TASKS}{query}&offset=10", **host)).json()
    base = f"http://pulp.example{TASKS}"
    assert (first["count"], len(last["results"]), last["next"]) == (12, 2, None)
    assert first["next"] == f"{base}?limit=5&offset=5&ordering=-pulp_created"
    assert first["previous"] is None
    assert second["previous"] == f"{base}?limit=5&ordering=-pulp_created"
    assert second["next"] == f"{base}?limit=5&offset=10&ordering=-pulp_created"


async def test_fields_may_be_chosen(api: Pulp, serve: Serve) -> None:
    """Only those named, or all but those named."""
    _add(api)
    caller = await serve(api)
    chosen = (await caller.get(TASKS + "?fields=pulp_href,state")).json()["results"][0]
    rest = (await caller.get(TASKS + "?exclude_fields=result,error")).json()["results"][0]
    assert list(chosen) == ["pulp_href", "state"]
    assert list(rest) == [key for key in document("pulp_waiting") if key not in ("result", "error")]


async def test_an_empty_list_is_as_recorded(api: Pulp, serve: Serve) -> None:
    """Four keys, none of them missing."""
    reply = await (await serve(api)).get(TASKS)
    assert reply.json() == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("task_id", "detail"),
    [
        ("01a1ff48-0186-7707-b11c-a9cc6ac53c92", "No Task matches the given query."),
        ("not-a-uuid", "Not found."),
    ],
)
async def test_an_unknown_task_is_not_found(api: Pulp, serve: Serve, task_id: str, detail: str) -> None:
    """404, in other words for what cannot be an id."""
    reply = await (await serve(api)).get(f"{TASKS}{task_id}/")
    assert (reply.status, reply.json()) == (404, {"detail": detail})


async def test_a_missing_slash_is_redirected(api: Pulp, serve: Serve) -> None:
    """301, a page, and a place without a host."""
    reply = await (await serve(api)).get(TASKS.rstrip("/"))
    assert (reply.status, reply.headers["Location"]) == (301, TASKS)
    assert reply.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("accept", "content"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ],
)
async def test_browsers_are_shown_a_page(api: Pulp, serve: Serve, accept: str, content: str) -> None:
    """Status 200 and HTML for whoever does not ask for JSON."""
    reply = await (await serve(api)).get(TASKS, Accept=accept)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith(content)


async def test_wrong_credentials_are_told_as_recorded(api: Pulp, serve: Serve) -> None:
    """401, a detail and a challenge."""
    reply = await (await serve(api)).get(TASKS, Authorization="Basic YWRtaW46bm8=")
    assert (reply.status, reply.json()) == (401, {"detail": "Invalid username/password."})
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="api"'
