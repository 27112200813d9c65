"""The simulated Pulp 1 against the manual's example and the behaviour of its server."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from exporter.demo.pulp1 import WORKLOAD, Pulp1
from exporter.demo.world import World
from exporter.model import Status
from tests.demo.conftest import Serve
from tests.demo.fakes import Caller, StillClock, document, shape

SYNC = "RepoApi._sync"


@pytest.fixture
def api(clock: StillClock) -> Pulp1:
    """A Pulp 1 that does only what a test adds."""
    return Pulp1(World(WORKLOAD.silent(), clock))


async def _states(caller: Caller, query: str) -> list[str]:
    return sorted(task["state"] for task in (await caller.get(f"/tasks/{query}")).json())


async def test_a_scheduled_task_looks_as_in_the_manual(clock: StillClock, serve: Serve) -> None:
    """The waiting cull_history has the keys, types and values of the example."""
    api = Pulp1(World(replace(WORKLOAD, gap=None), clock))
    told = (await (await serve(api)).get("/tasks/")).json()
    example = document("pulp1_waiting")
    (cull,) = [task for task in told if task["method_name"] == "cull_history"]
    assert shape(cull) == shape(example)
    differing = {key for key in cull if cull[key] != example[key]}
    assert differing == {"id", "scheduled_time"}
    assert UUID(cull["id"]).version == 1


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Status.SUCCESS, "finished"),
        (Status.ERROR, "error"),
        (Status.TIMED_OUT, "timed out"),
        (Status.CANCELLED, "canceled"),
    ],
)
async def test_ends_are_spelled_as_the_server_sends_them(
    api: Pulp1, clock: StillClock, serve: Serve, outcome: Status, state: str
) -> None:
    """In particular ``timed out``, with a blank."""
    task = api.world.add(SYNC, outcome=outcome)
    clock.forward(60)
    assert (await (await serve(api)).get(f"/tasks/{task.id}/")).json()["state"] == state


async def test_a_failed_task_has_an_exception_and_a_list_of_lines(
    api: Pulp1, clock: StillClock, serve: Serve
) -> None:
    """The traceback is a list, although the manual says a string."""
    task = api.world.add(SYNC, outcome=Status.ERROR, message="PulpException('no',)")
    clock.forward(60)
    told = (await (await serve(api)).get(f"/tasks/{task.id}/")).json()
    assert told["exception"] == "PulpException('no',)"
    assert told["traceback"][0] == "Traceback (most recent call last):\n"
    assert (told["class_name"], told["method_name"]) == ("RepoApi", "_sync")


async def test_times_are_local_with_their_offset(api: Pulp1, clock: StillClock, serve: Serve) -> None:
    """Start and end in the server's own zone, beside a schedule in UTC."""
    task, caller = api.world.add(SYNC), await serve(api)
    early = (await caller.get(f"/tasks/{task.id}/")).json()
    clock.forward(60)
    late = (await caller.get(f"/tasks/{task.id}/")).json()
    assert early["scheduled_time"] == "2026-03-04T12:00:00Z"
    assert late["finish_time"] == "2026-03-04T07:00:10-05:00"
    assert datetime.fromisoformat(late["finish_time"]) == task.finished_at


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ("", ["finished", "running", "waiting"]),
        ("?state=current", ["finished", "running", "waiting"]),
        ("?state=waiting", ["waiting"]),
        ("?state=running", ["running"]),
        ("?state=complete", ["finished"]),
        ("?state=incomplete", ["running", "waiting"]),
        ("?state=waiting&state=complete", ["finished", "waiting"]),
        ("?state=archived", ["finished"]),
        ("?state=current&state=archived", ["finished", "finished", "running", "waiting"]),
    ],
)
async def test_states_filter_the_list(
    api: Pulp1, clock: StillClock, serve: Serve, *, query: str, states: list[str]
) -> None:
    """All documented filters, alone and together; only ``archived`` looks into the history."""
    for seconds in (0, 50, 90):
        api.world.add(SYNC, queued=timedelta(seconds=seconds), length=timedelta(seconds=30))
    clock.forward(60)
    assert await _states(await serve(api), query) == states


async def test_an_unknown_state_is_refused_with_a_bare_string(api: Pulp1, serve: Serve) -> None:
    """400, and a JSON string for a body."""
    reply = await (await serve(api)).get("/tasks/?state=timed_out")
    assert (reply.status, reply.json()) == (400, "Unknown state: timed_out")


async def test_an_unknown_task_is_told_with_a_bare_string(api: Pulp1, serve: Serve) -> None:
    """404, and a JSON string for a body."""
    unknown = "7e419e4f-3719-11e1-9ea0-f0def14122c8"
    reply = await (await serve(api)).get(f"/tasks/{unknown}/")
    assert (reply.status, reply.json()) == (404, f"Task not found: {unknown}")


async def test_the_slash_is_needed(api: Pulp1, serve: Serve) -> None:
    """Without it there is nothing; below v1 there is the same."""
    caller = await serve(api)
    assert (await caller.get("/tasks")).status == 404
    assert (await caller.get("/v1/tasks/")).json() == []


async def test_an_ended_task_leaves_the_queue_after_an_hour(
    api: Pulp1, clock: StillClock, serve: Serve
) -> None:
    """Then it is in the archive only, in another form, and still found by its id."""
    task, caller = api.world.add(SYNC), await serve(api)
    clock.forward(10 + 3599)
    assert await _states(caller, "") == ["finished"]
    clock.forward(2)
    assert await _states(caller, "") == []
    (archived,) = (await caller.get("/tasks/?state=archived")).json()
    assert {"_id", "_ns", "kwargs", "task_type", "task_string", "consecutive_failures"} <= set(archived)
    assert not {"scheduler", "snapshot_id"} & set(archived)
    single = (await caller.get(f"/tasks/{task.id}/")).json()
    assert (single["state"], single["scheduler"]) == ("finished", None)


async def test_only_the_archive_tells_how_a_recurring_run_ended(clock: StillClock, serve: Serve) -> None:
    """The queue puts such a task back to waiting the moment it has ended, under the same id."""
    api = Pulp1(World(replace(WORKLOAD, gap=None, recurring=WORKLOAD.recurring[:1]), clock))
    caller, seen = await serve(api), set[str]()
    for _ in range(200):
        seen.update(await _states(caller, ""))
        clock.forward(0.5)
    archived = (await caller.get("/tasks/?state=archived")).json()
    assert seen == {"waiting", "running"}
    assert len(archived) == 2
    assert len({run["id"] for run in archived}) == 1
    assert archived[0]["start_time"] > archived[1]["finish_time"]


async def test_totals_grow_while_a_sync_finds_out_what_there_is(
    api: Pulp1, clock: StillClock, serve: Serve
) -> None:
    """Never fewer than are done, and in the end nothing is left."""
    task, caller = api.world.add(SYNC, records=1000), await serve(api)
    progress = []
    for _ in range(11):
        progress.append((await caller.get(f"/tasks/{task.id}/")).json()["progress"])
        clock.forward(1)
    totals = [each["items_total"] for each in progress]
    assert totals == sorted(totals)
    assert totals[0] == 400
    assert (totals[-1], progress[-1]["items_left"], progress[-1]["size_left"]) == (1000, 0, 0)
    assert all(0 <= each["items_left"] <= each["items_total"] for each in progress)


async def test_wrong_credentials_are_told(api: Pulp1, serve: Serve) -> None:
    """401 and a challenge."""
    reply = await (await serve(api)).get("/tasks/", Authorization="Basic YWRtaW46bm8=")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="pulp"')
