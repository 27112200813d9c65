"""The sources and their tasks as JSON."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from exporter.model import Status, Subtask, Task
from exporter.web.views import SourceInfo
from tests.web.conftest import Client
from tests.web.fake_exporter import START, FakeExporter, moment, running


async def get(client: Client, path: str, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    """The data, or the error, of an answer that has this status."""
    response = await client.get(path)
    answer = await response.json()
    assert response.status == status, answer
    assert answer["status"] == ("success" if status == 200 else "error")
    return answer["data"] if status == 200 else answer["error"]


async def test_a_task_is_told_in_full(client: Client, fake: FakeExporter) -> None:
    """Times are RFC 3339 in UTC, durations are seconds, and what nobody told is null."""
    task = running("7", operation="import", name="Nightly", progress=0.25, started_at=START, expected=4)
    fake.add("epm", task)
    fake.at = moment(60)
    (shown,) = (await get(client, "/api/v1/tasks"))["tasks"]
    assert shown == {
        "source": "epm",
        "task_id": "7",
        "run": "#0",
        "status": "running",
        "operation": "import",
        "name": "Nightly",
        "progress": 0.25,
        "created_at": None,
        "started_at": "2026-01-01T12:00:00Z",
        "finished_at": None,
        "first_seen_at": "2026-01-01T12:00:00Z",
        "status_since": "2026-01-01T12:00:00Z",
        "last_change_at": "2026-01-01T12:00:00Z",
        "estimated_end_at": "2026-01-01T12:04:00Z",
        "age_seconds": 60.0,
        "duration_seconds": None,
        "stalled": False,
        "overdue": False,
        "message": "",
        "error_code": "",
        "processed": None,
        "expected": 4,
        "parent_id": "",
    }


async def test_the_end_is_estimated_from_history(client: Client, fake: FakeExporter) -> None:
    """A task that tells no progress is expected to take as long as its operation's earlier runs."""
    fake.add("epm", running("7", operation="import", started_at=START))
    fake.took["epm", "import"] = [80.0, 90.0, 100.0]
    fake.at = moment(60)
    (shown,) = (await get(client, "/api/v1/tasks"))["tasks"]
    assert shown["estimated_end_at"] == "2026-01-01T12:01:30Z"


async def test_an_ended_task_has_a_duration_and_no_age(client: Client, fake: FakeExporter) -> None:
    """Age is for what runs, duration for what has ended."""
    fake.add("epm", Task(id="7", status=Status.ERROR, duration=timedelta(seconds=5), error_code="E1"))
    (shown,) = (await get(client, "/api/v1/tasks"))["tasks"]
    assert (shown["age_seconds"], shown["duration_seconds"], shown["error_code"]) == (None, 5.0, "E1")


async def test_a_stalled_task_is_called_so(client: Client, fake: FakeExporter) -> None:
    """A task without progress for the source's stalled_after shows as stalled."""
    fake.add("epm", running("7"))
    fake.at = moment(3600)
    assert (await get(client, "/api/v1/tasks"))["tasks"][0]["stalled"] is True


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["4", "3", "2", "1"]),
        ("source=epm", ["3", "1"]),
        ("source=epm&source=pulp", ["4", "3", "2", "1"]),
        ("status=error", ["3"]),
        ("status=running&status=pending", ["4", "2", "1"]),
        ("operation=sync", ["4", "2"]),
        ("operation=", ["3"]),
        ("operation=nothing", []),
        ("source=pulp&status=pending", ["4"]),
        ("limit=2", ["4", "3"]),
    ],
)
async def test_filters(client: Client, fake: FakeExporter, query: str, ids: list[str]) -> None:
    """Parameters of one name widen, of several names narrow; the newest change comes first."""
    fake.add("epm", running("1", operation="import"), at=1)
    fake.add("pulp", running("2", operation="sync"), at=2)
    fake.add("epm", Task(id="3", status=Status.ERROR), at=3)
    fake.add("pulp", Task(id="4", status=Status.PENDING, operation="sync"), at=4)
    data = await get(client, f"/api/v1/tasks?{query}")
    assert [task["task_id"] for task in data["tasks"]] == ids
    assert data["total"] == (4 if query.startswith("limit") else len(ids))


async def test_without_a_limit_a_hundred_are_shown(client: Client, fake: FakeExporter) -> None:
    """A page that forgot the limit does not get ten thousand tasks, but how many there are."""
    fake.add("epm", *(running(str(number)) for number in range(150)))
    data = await get(client, "/api/v1/tasks")
    assert (len(data["tasks"]), data["total"]) == (100, 150)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("status=runing", "unknown status 'runing'; did you mean 'running'?"),
        ("source=epn", "unknown source 'epn'; did you mean 'epm'?"),
        ("source=", "unknown source ''; known: epm"),
        ("sources=epm", "unknown parameter 'sources'; did you mean 'source'?"),
        ("limit=0", "limit: must be a whole number from 1 to 5000"),
        ("limit=5001", "limit: must be a whole number from 1 to 5000"),
        ("limit=-1", "limit: must be a whole number from 1 to 5000"),
        ("limit=1e3", "limit: must be a whole number from 1 to 5000"),
        ("limit=" + "9" * 5000, "limit: must be a whole number from 1 to 5000"),
        ("limit=²", "limit: must be a whole number from 1 to 5000"),
    ],
)
async def test_bad_filters_are_refused(client: Client, fake: FakeExporter, query: str, error: str) -> None:
    """A filter that is misspelled is an error, not an answer to another question."""
    fake.add("epm", running("1"))
    assert await get(client, f"/api/v1/tasks?{query}", status=400) == error


@pytest.mark.parametrize("task_id", ["244592", "/pulp/api/v3/tasks/0190/", "a b?c#d%e", "täsk"])
async def test_one_task_by_its_id(client: Client, fake: FakeExporter, task_id: str) -> None:
    """Any id that an API may use is found, with the details that a list leaves out."""
    parts = (Subtask(id="a", status=Status.ERROR, name="load"),)
    fake.add("epm", running(task_id, detail="Traceback ...", subtasks=parts))
    data = await get(client, f"/api/v1/sources/epm/tasks/{quote(task_id, safe='')}")
    assert data["task"]["task_id"] == task_id
    assert data["task"]["detail"] == "Traceback ..."
    assert data["task"]["subtasks"] == [{"id": "a", "status": "error", "name": "load"}]
    assert data["earlier_runs"] == []


async def test_a_failed_run_is_found_though_its_id_waits_again(client: Client, fake: FakeExporter) -> None:
    """Who follows an alert to a task that was reset still sees the error."""
    fake.add("pulp", running("7"))
    fake.add("pulp", Task(id="7", status=Status.ERROR, message="boom"), at=5)
    fake.add("pulp", Task(id="7", status=Status.PENDING), at=10)
    data = await get(client, "/api/v1/sources/pulp/tasks/7")
    assert data["task"]["status"] == "pending"
    assert [run["message"] for run in data["earlier_runs"]] == ["boom"]
    listed = (await get(client, "/api/v1/tasks"))["tasks"]
    assert [task["status"] for task in listed] == ["pending", "error"]


async def test_an_id_with_slashes_is_found_as_proxies_pass_it(client: Client, fake: FakeExporter) -> None:
    """Some proxies decode %2F on the way; the id is found all the same."""
    fake.add("pulp", running("api/tasks/7"))
    assert (await get(client, "/api/v1/sources/pulp/tasks/api/tasks/7"))["task"]["task_id"] == "api/tasks/7"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/v1/sources/epm/tasks/8", "source 'epm' has no task '8' on its board (any more)"),
        ("/api/v1/sources/epmm/tasks/7", "unknown source 'epmm'; did you mean 'epm'?"),
    ],
)
async def test_what_is_not_there_is_not_found(
    client: Client, fake: FakeExporter, path: str, error: str
) -> None:
    """404 says whether the source or the task is missing."""
    fake.add("epm", running("7"))
    assert await get(client, path, status=404) == error


async def test_sources(client: Client, fake: FakeExporter) -> None:
    """A source is told with its state, and with every status so that zeros show."""
    fake.infos = [
        SourceInfo(
            name="epm",
            api="epmware",
            url="https://xxxxx@acme.example.com",
            labels={"team": "finance"},
            up=False,
            last_success=START,
            last_error="HTTP 500",
            registration=True,
            watched=3,
            limit=100,
            tasks={Status.RUNNING: 3},
        )
    ]
    (shown,) = (await get(client, "/api/v1/sources"))["sources"]
    assert shown.pop("tasks") == {status.value: 3 if status is Status.RUNNING else 0 for status in Status}
    assert shown == {
        "name": "epm",
        "api": "epmware",
        "url": "https://xxxxx@acme.example.com",
        "labels": {"team": "finance"},
        "up": False,
        "last_success_at": "2026-01-01T12:00:00Z",
        "last_error": "HTTP 500",
        "registration": True,
        "acknowledgement": False,
        "keeps_logs": True,
        "watched_tasks": 3,
        "watched_tasks_limit": 100,
    }


async def test_hostile_texts_stay_texts(client: Client, fake: FakeExporter) -> None:
    """Markup, quotes, controls and lone surrogates in a message are JSON that no browser runs."""
    fake.add("epm", running("7", message='</script>"\n\x00', name="\ud800"))
    response = await client.get("/api/v1/tasks")
    assert response.content_type == "application/json"
    (shown,) = json.loads(await response.read())["data"]["tasks"]
    assert shown["message"] == '</script>"\n\x00'
    assert shown["name"] == "\ud800"
