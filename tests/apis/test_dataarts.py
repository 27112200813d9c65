"""What is peculiar to Huawei Cloud DataArts Factory."""

from datetime import UTC, datetime

import pytest

from exporter.apis.base import Answer
from exporter.apis.dataarts import DataArts, DataArtsOptions, complaint, parse
from exporter.errors import (
    ExporterError,
    Malformed,
    RateLimited,
    Rejected,
    ServerFailed,
    TaskNotFound,
    Unauthorized,
)
from exporter.model import Status, Subtask, Task
from tests.apis.fake_http import FakeHttp, answer, recorded

PROJECT = "b384b9e9ab9b4ee8994c8633aabc9505"
TASK = "008aae2e675d3bcb01675d3c66f20000"
OPTIONS = DataArtsOptions(project_id=PROJECT)


async def fetched(told: Answer, task_id: str = TASK) -> Task:
    """Fetch the one task that an endpoint knows."""
    return await DataArts(FakeHttp({f"v1/{PROJECT}/system-tasks/{task_id}": told}), OPTIONS).fetch(task_id)


async def test_a_solution_that_was_imported() -> None:
    """Times are milliseconds, the name is for people, progress is that of the subtasks."""
    assert await fetched(recorded("dataarts/solution_successful.json")) == Task(
        id=TASK,
        status=Status.SUCCESS,
        word="SUCCESSFUL",
        name="Import the solution from OBS path obs://aaaaa/traffic.zip.",
        progress=1.0,
        started_at=datetime(2018, 11, 29, 2, 11, 39, tzinfo=UTC),
        finished_at=datetime(2018, 11, 29, 2, 11, 54, tzinfo=UTC),
        updated_at=datetime(2018, 11, 29, 2, 11, 54, tzinfo=UTC),
        subtasks=(
            Subtask(
                id="008aae2e675d3bcb01675d3c9f5f0002",
                status=Status.SUCCESS,
                name="Import the job_batch job.",
            ),
            Subtask(
                id="008aae2e675d3bcb01675d3c9fdc0003",
                status=Status.SUCCESS,
                name="Import the job_stream job.",
            ),
        ),
    )


async def test_half_of_the_subtasks_are_half_of_the_progress() -> None:
    """There is no percentage; ended subtasks of all subtasks stand for it."""
    task = await fetched(recorded("dataarts/solution_running.json"))
    assert (task.status, task.progress, task.finished_at) == (Status.RUNNING, 0.5, None)


async def test_a_failure_before_there_were_subtasks() -> None:
    """No subtasks, no progress; start and end may be the same moment; blanks at the end are dropped."""
    task = await fetched(recorded("dataarts/solution_failed.json"))
    assert (task.status, task.progress, task.detail) == (Status.ERROR, None, "")
    assert task.started_at == task.finished_at
    assert task.message == "Failed to read the OBS file obs://aaaaa/traffic2.zip."


async def test_a_failed_task_names_its_failed_subtasks() -> None:
    """The detail says what exactly failed; a failed subtask has ended."""
    task = await fetched(recorded("dataarts/start_failed.json"))
    assert (task.detail, task.progress, task.error_code) == ("Start the job_batch job", 1.0, "")


def test_the_message_of_a_failed_subtask_is_told() -> None:
    """Where a subtask says why, the detail does too; those that went well are left out."""
    parts = [
        {"name": "Import a", "status": "SUCCESSFUL", "message": "fine"},
        {"name": "Import b", "status": "FAILED", "message": "no such script "},
    ]
    assert parse({"status": "FAILED", "subtasks": parts}, TASK).detail == "Import b: no such script"


async def test_the_id_is_the_one_that_was_asked_for() -> None:
    """The reference has an example whose id is another; the board must find the one that it watches."""
    assert (await fetched(recorded("dataarts/import_successful.json"), "x")).id == "x"


def test_a_warning_has_ended() -> None:
    """WARNING is in the vendor's SDK, not in its reference."""
    assert parse({"status": "WARNING"}, TASK).status is Status.WARNING


@pytest.mark.parametrize(("word", "has_end"), [("SUCCESSFUL", True), ("RUNNING", False)])
def test_an_end_that_is_not_told_is_the_last_update(*, word: str, has_end: bool) -> None:
    """``endTime`` is optional even for a task that ended; for one that runs it stays open."""
    task = parse({"status": word, "lastUpdate": 1543457514000}, TASK)
    assert (task.finished_at is not None) is has_end
    assert task.updated_at == datetime(2018, 11, 29, 2, 11, 54, tzinfo=UTC)


@pytest.mark.parametrize("name", ["doc_example_1_invalid", "doc_example_2_invalid"])
async def test_the_examples_of_the_reference_that_are_no_json(name: str) -> None:
    """Two published examples do not parse; such a body is malformed, and its beginning is shown."""
    with pytest.raises(Malformed, match="expected JSON, got"):
        await fetched(recorded(f"dataarts/{name}.txt"))


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (recorded("dataarts/unknown_task.json", 400), TaskNotFound),
        (recorded("dataarts/unknown_task.json", 200), TaskNotFound),
        (answer({"error_code": "DLF.20810", "error_msg": "The task does not exist."}, 400), TaskNotFound),
        (answer({"error_code": "DLF.0100", "error_msg": "The job does not exist."}, 400), Rejected),
        (answer({"error_code": "DLF.0100", "error_msg": "The job does not exist."}, 200), Rejected),
        (recorded("dataarts/bad_token.json", 401), Unauthorized),
        (recorded("dataarts/bad_token.json", 400), Unauthorized),
        (recorded("dataarts/bad_token.json", 200), Unauthorized),
        *(
            (answer({"error_code": f"APIG.{code}", "error_msg": "no"}, 400), Unauthorized)
            for code in ("0301", "0302", "0303", "0304", "0305", "0306", "0307", "0311")
        ),
        (recorded("dataarts/throttled.json", 429), RateLimited),
        (recorded("dataarts/throttled.json", 400), RateLimited),
        (recorded("dataarts/unknown_api.json", 404), Rejected),
        (answer({"error_code": "APIG.0201", "error_msg": "Backend timeout."}, 504), ServerFailed),
        (answer({"errorCode": "APIG.0301", "errorMsg": "no"}, 400), Unauthorized),
        (answer({"code": "APIG.0301", "message": "no"}, 400), Unauthorized),
        (answer({"error": {"code": "DLF.0810", "message": "no"}}, 400), TaskNotFound),
        (answer({"request_id": "1a2b"}, 403), Unauthorized),
        (answer(b"<html>404</html>", 404), Rejected),
    ],
)
async def test_the_code_of_an_error_decides(told: Answer, kind: type[ExporterError]) -> None:
    """The service says 400 to everything and words its messages anew; the code is what holds."""
    with pytest.raises(ExporterError) as caught:
        await fetched(told)
    assert type(caught.value) is kind


async def test_throttling_may_tell_how_long() -> None:
    """A gateway that says when to come back is heard."""
    with pytest.raises(RateLimited) as caught:
        await fetched(recorded("dataarts/throttled.json", 429, Retry_After="12"))
    assert caught.value.retry_after == 12.0


async def test_an_unknown_api_comes_with_a_cure() -> None:
    """Two spellings of the path are published, so the wrong one is the likely cause."""
    with pytest.raises(Rejected, match=r"APIG.0101: The API does not exist .*; check .* options.path_style"):
        await fetched(recorded("dataarts/unknown_api.json", 404))


@pytest.mark.parametrize("document", [None, [], "text", 5, {"status": "RUNNING"}, {"code": None}])
def test_what_is_no_error_has_no_complaint(document: object) -> None:
    """A task, and anything that is not an envelope, is left to the parse."""
    assert complaint(document) == ("", "")


async def test_the_workspace_is_a_header() -> None:
    """Set, it is sent with each request; otherwise the default workspace is meant and nothing is sent."""
    for workspace, headers in (("", {}), ("w1", {"workspace": "w1"})):
        http = FakeHttp({None: recorded("dataarts/solution_running.json")})
        await DataArts(http, DataArtsOptions(project_id=PROJECT, workspace=workspace)).fetch(TASK)
        assert http.requests[0].headers == headers


async def test_the_other_spelling_of_the_path() -> None:
    """``systemTasks`` is what the examples of the reference use."""
    http = FakeHttp({None: recorded("dataarts/solution_running.json")})
    await DataArts(http, DataArtsOptions(project_id=PROJECT, path_style="systemTasks")).fetch(TASK)
    assert http.requests[0].path == f"v1/{PROJECT}/systemTasks/{TASK}"


def test_a_project_is_required() -> None:
    """An empty project id is a mistake in the configuration, told before any request."""
    with pytest.raises(ValueError, match="project_id: expected the id of a project"):
        DataArtsOptions(project_id="")
