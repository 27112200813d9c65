"""The simulated EPMware against the vendor's published examples."""

from datetime import timedelta

import pytest

from exporter.demo.epmware import BARE, FULL, WORDS, WORKLOAD, Epmware, documented_limit
from exporter.demo.world import World
from exporter.model import Status
from tests.demo.conftest import Serve
from tests.demo.fakes import StillClock, document, shape

STATUS = "/service/api/task/get_status/"
LOG = "/service/api/task/get_log_file/"


@pytest.fixture
def api(clock: StillClock) -> Epmware:
    """An EPMware without a limit that does only what a test adds."""
    return Epmware(World(WORKLOAD.silent(), clock))


@pytest.mark.parametrize(
    ("published", "outcome", "seconds"),
    [
        ("epmware_success", Status.SUCCESS, 60),
        ("epmware_running", Status.SUCCESS, 5),
        ("epmware_failed", Status.ERROR, 60),
    ],
)
async def test_status_documents_look_as_published(
    api: Epmware, clock: StillClock, serve: Serve, *, published: str, outcome: Status, seconds: float
) -> None:
    """The full form has the keys and types of the vendor's examples, and percent as a string."""
    code = "IMP_001" if outcome is Status.ERROR else ""
    task = api.world.add("import", outcome=outcome, records=10_000, error_code=code)
    clock.forward(seconds)
    told = (await (await serve(api)).get(STATUS + task.id)).json()
    assert shape(told) == shape(document(published))
    assert told["status"] == document(published)["status"]


@pytest.mark.parametrize(
    ("form", "keys", "words"),
    [
        (FULL, {"taskId", "status", "percentCompleted", "message"}, ["P", "R", "S"]),
        (BARE, {"taskId", "status", "percentCompleted", "message"}, ["N", "N", "S"]),
        (WORDS, {"taskId", "status", "percentComplete", "message"}, ["PENDING", "RUNNING", "SUCCESS"]),
    ],
)
async def test_each_form_has_its_alphabet(
    api: Epmware, clock: StillClock, serve: Serve, *, form: str, keys: set[str], words: list[str]
) -> None:
    """Letters of 2025, letters of 2026 and words, each from waiting to success."""
    task = api.world.add("import", form=form, queued=timedelta(seconds=5))
    caller, told = await serve(api), []
    for seconds in (0, 7, 60):
        clock.forward(seconds)
        told.append((await caller.get(STATUS + task.id)).json())
    assert [each["status"] for each in told] == words
    assert set(told[0]) == keys


@pytest.mark.parametrize(("outcome", "letter"), [(Status.WARNING, "W"), (Status.CANCELLED, "C")])
async def test_warning_and_cancelled_have_letters(
    api: Epmware, clock: StillClock, serve: Serve, outcome: Status, letter: str
) -> None:
    """The two ends that sample loops forget."""
    task = api.world.add("import", outcome=outcome)
    clock.forward(60)
    assert (await (await serve(api)).get(STATUS + task.id)).json()["status"] == letter


@pytest.mark.parametrize("status", [404, 200])
async def test_an_unknown_id_is_told_like_a_failed_task(api: Epmware, serve: Serve, status: int) -> None:
    """Status E, but no percentage; the HTTP status is documented nowhere."""
    api.unknown_status = status
    reply = await (await serve(api)).get(STATUS + "999999")
    assert reply.status == status
    assert reply.json() == {"status": "E", "message": "Task ID not found", "taskId": "999999"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "Authentication required"),
        ("Bearer abc", "Invalid token format"),
        ("Token abc", "Token is invalid or has been revoked"),
    ],
)
async def test_wrong_credentials_are_told(api: Epmware, serve: Serve, given: str, message: str) -> None:
    """401 with the code AUTH_001 and one of three messages."""
    reply = await (await serve(api)).get(STATUS + "1", Authorization=given)
    assert reply.status == 401
    assert reply.json() == {"status": "E", "message": message, "errorCode": "AUTH_001"}
    assert api.requests.unauthorized == 1


async def test_a_log_is_there_once_the_task_has_started(
    api: Epmware, clock: StillClock, serve: Serve
) -> None:
    """404 with a code before, text afterwards."""
    task, caller = api.world.add("import", queued=timedelta(seconds=5)), await serve(api)
    early = await caller.get(LOG + task.id)
    assert (early.status, early.json()["errorCode"]) == (404, "TASK_404")
    clock.forward(60)
    late = await caller.get(LOG + task.id)
    assert late.text.startswith(f"Task ID: {task.id}\nStart Time: 2026-03-04 12:00:05\n")
    assert "Duration: 00:00:10\nStatus: SUCCESS\n" in late.text


async def test_the_log_of_2026_is_laid_out_differently(api: Epmware, clock: StillClock, serve: Serve) -> None:
    """An Oracle date with blanks, a line break in the middle, and a binary content type."""
    task = api.world.add("import", form=BARE, name="ERP Import")
    clock.forward(60)
    reply = await (await serve(api)).get(LOG + task.id)
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.text.startswith(f"04-MAR-2026 12: 00: 00 --> Task {task.id} [ERP Import REST API\n] started")


async def test_too_many_requests_are_refused_for_the_rest_of_the_minute(
    api: Epmware, clock: StillClock, serve: Serve
) -> None:
    """100 a minute by the documents, then 429 and when to come again."""
    api.limit = documented_limit()
    caller = await serve(api)
    codes = [(await caller.get(STATUS + "1")).status for _ in range(100)]
    refused = await caller.get(STATUS + "1")
    assert (set(codes), refused.status) == ({404}, 429)
    assert refused.json() == {"status": "E", "message": "Rate limit exceeded"}
    clock.forward(61)
    assert (await caller.get(STATUS + "1")).status == 404
    assert api.requests.throttled == 1


async def test_a_launched_export_is_found_among_the_executions(
    api: Epmware, clock: StillClock, serve: Serve
) -> None:
    """Running an export gives a task id, which its profile's executions name; numbers are strings."""
    caller = await serve(api)
    started = (await caller.post("/service/api/export/run", {"name": "PBCS"})).json()
    clock.forward(600)
    path = "/service/api/export/get_execution_details?name=PBCS&latest_only=N"
    listed = (await caller.get(path)).json()
    assert started["status"] == "S"
    assert (listed["totalCount"], listed["pageSize"]) == ("1", "0")
    assert listed["vEWVExportExecutions"][0]["taskId"] == started["taskId"]


async def test_executions_need_a_profile(api: Epmware, serve: Serve) -> None:
    """Without a name there is no list of all tasks."""
    reply = await (await serve(api)).get("/service/api/export/get_execution_details")
    assert (reply.status, reply.json()["status"]) == (400, "E")


async def test_a_failed_submission_has_the_id_0(api: Epmware, serve: Serve) -> None:
    """An id that is none, with status 200."""
    reply = await (await serve(api)).post("/service/api/erp/run", {})
    assert (reply.status, reply.json()["status"], reply.json()["taskId"]) == (200, "E", "0")


def test_the_truth_has_only_codes_that_are_told(clock: StillClock) -> None:
    """The forms without error codes are not expected to yield any."""
    world = World(WORKLOAD, clock, seed=7, outcomes={Status.ERROR: 1})
    clock.forward(3600)
    coded = {truth.form for truth in world.truth() if truth.error_code}
    uncoded = {truth.form for truth in world.truth() if truth.status.is_failed and not truth.error_code}
    assert (coded, uncoded) == ({FULL}, {BARE, WORDS})
