"""The simulated DataArts Factory against the vendor's published examples."""

from dataclasses import replace

import pytest

from exporter.demo.dataarts import EXAMPLES_PATH, PROJECT_ID, WORKLOAD, Dataarts, documented_limit
from exporter.demo.tasks import SimTask
from exporter.demo.workload import Workload
from exporter.demo.world import World
from exporter.model import Status
from tests.demo.conftest import Serve
from tests.demo.fakes import StillClock, document, shape

PATH = f"/v1/{PROJECT_ID}/system-tasks/"


@pytest.fixture
def api(clock: StillClock) -> Dataarts:
    """A DataArts Factory without a limit that does only what a test adds."""
    return Dataarts(World(WORKLOAD.silent(), clock))


def _only(operation: str) -> Workload:
    """A DataArts Factory that does nothing but this."""
    return replace(WORKLOAD, kinds=(WORKLOAD.kind_of(operation),))


def _ended(world: World, clock: StillClock) -> SimTask:
    """A task that has ended in a world that is busy."""
    clock.forward(300)
    world.stop()
    clock.forward(600)
    return world.tasks()[0]


@pytest.mark.parametrize(
    ("published", "operation", "outcome"),
    [
        ("dataarts_solution", "import_solution", Status.SUCCESS),
        ("dataarts_unreadable", "import_solution", Status.ERROR),
        ("dataarts_start_failed", "start_solution", Status.ERROR),
    ],
)
async def test_documents_look_as_published(
    clock: StillClock, serve: Serve, published: str, operation: str, outcome: Status
) -> None:
    """Keys, types, final statuses and the statuses of subtasks are those of the vendor's examples."""
    api = Dataarts(World(_only(operation), clock, seed=4, outcomes={outcome: 1}))
    task, example = _ended(api.world, clock), document(published)
    told = (await (await serve(api)).get(PATH + task.id)).json()
    assert shape(told) == shape(example)
    assert list(told) == list(example)
    assert told["status"] == example["status"]
    assert {part["status"] for part in told["subtasks"]} <= {"SUCCESSFUL", example["status"]}
    assert all(part["taskId"] == task.id for part in told["subtasks"])


async def test_times_are_in_milliseconds_since_1970(api: Dataarts, clock: StillClock, serve: Serve) -> None:
    """13 digits, as in the examples, and no end before the end."""
    task, caller = api.world.add("import_job"), await serve(api)
    early = (await caller.get(PATH + task.id)).json()
    clock.forward(60)
    late = (await caller.get(PATH + task.id)).json()
    assert "endTime" not in early
    assert (late["startTime"], late["endTime"]) == (1772625600000, 1772625610000)


async def test_ids_are_made_as_in_the_examples(api: Dataarts) -> None:
    """32 hex digits of which twelve tell the time in milliseconds."""
    task = api.world.add("import_job")
    assert len(task.id) == 32
    assert int(task.id[16:28], 16) == 1772625600000


async def test_subtasks_finish_one_after_the_other(clock: StillClock, serve: Serve) -> None:
    """While a solution is imported, the number of its jobs that are done grows."""
    api = Dataarts(World(_only("import_solution"), clock, outcomes={Status.SUCCESS: 1}))
    clock.forward(4.5)
    task, caller, done = api.world.tasks()[0], await serve(api), []
    for _ in range(260):
        told = (await caller.get(PATH + task.id)).json()
        done.append(sum(part["status"] == "SUCCESSFUL" for part in told["subtasks"]))
        clock.forward(0.5)
    assert done == sorted(done)
    assert set(done) == {0, 1, 2, 3, 4}


async def test_a_warning_comes_from_a_subtask(clock: StillClock, serve: Serve) -> None:
    """The fourth status is that of a task and of one of its subtasks."""
    api = Dataarts(World(_only("import_solution"), clock, outcomes={Status.WARNING: 1}))
    task = _ended(api.world, clock)
    told = (await (await serve(api)).get(PATH + task.id)).json()
    assert (told["status"], told["subtasks"][-1]["status"]) == ("WARNING", "WARNING")


@pytest.mark.parametrize("workspace", ["", "another"])
async def test_an_unknown_task_is_a_bad_request(api: Dataarts, serve: Serve, workspace: str) -> None:
    """400 and DLF.0810 for an id that there is not, or not in this workspace."""
    task, caller = api.world.add("import_job"), await serve(api)
    assert (await caller.get(PATH + task.id)).status == 200
    for reply in (await caller.get(PATH + "0" * 32), await caller.get(PATH + task.id, workspace=workspace)):
        assert reply.status == 400
        assert reply.json() == {"error_code": "DLF.0810", "error_msg": "Task does not exist"}


async def test_wrong_credentials_are_told_by_the_gateway(api: Dataarts, serve: Serve) -> None:
    """401 and APIG.0301, with the id of the request."""
    reply = await (await serve(api)).get(PATH + "0" * 32, **{"X-Auth-Token": "old"})
    assert (reply.status, reply.json()["error_code"]) == (401, "APIG.0301")
    assert reply.json()["request_id"] == reply.headers["X-Request-Id"]


async def test_only_one_spelling_of_the_path_is_known(api: Dataarts, serve: Serve) -> None:
    """The other is 404 and APIG.0101; which one is known can be chosen."""
    task, caller = api.world.add("import_job"), await serve(api)
    other = f"/v1/{PROJECT_ID}/{EXAMPLES_PATH}/{task.id}"
    reply = await caller.get(other)
    assert (reply.status, reply.json()["error_code"]) == (404, "APIG.0101")
    api.path = EXAMPLES_PATH
    assert (await caller.get(other)).json()["id"] == task.id


async def test_too_many_requests_are_throttled_by_the_gateway(api: Dataarts, serve: Serve) -> None:
    """After 30 requests in ten seconds, APIG.0308."""
    api.limit = documented_limit()
    caller = await serve(api)
    replies = [await caller.get(PATH + "0" * 32) for _ in range(31)]
    assert {reply.status for reply in replies[:30]} == {400}
    assert (replies[30].status, replies[30].json()["error_code"]) == (429, "APIG.0308")


async def test_importing_a_job_gives_a_task(api: Dataarts, serve: Serve) -> None:
    """The call that starts work answers with the id to ask for."""
    caller = await serve(api)
    started = await caller.post(f"/v1/{PROJECT_ID}/jobs/import", {"path": "obs://demo/a.zip"})
    told = (await caller.get(PATH + started.json()["taskId"])).json()
    assert told["name"] == "Import the job from obs://demo/a.zip."
