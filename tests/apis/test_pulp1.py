"""What is peculiar to Pulp 1."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporter.apis.base import Answer, NoOptions
from exporter.apis.pulp1 import Pulp1, parse, parse_list
from exporter.errors import Malformed, Rejected, ServerFailed, TaskNotFound, Unauthorized
from exporter.model import Status, Task
from tests.apis.fake_http import DOCUMENTS, NOW, FakeHttp, answer, recorded

LATELY = NOW - timedelta(minutes=5)
CURRENT, ARCHIVED = "tasks/?state=current", "tasks/?state=archived"


def document(name: str) -> Any:  # noqa: ANN401 - JSON
    """One of the kept documents, as a parse gets it."""
    return json.loads((DOCUMENTS / f"pulp1/{name}.json").read_text())


async def fetched(told: Answer) -> Task:
    """Fetch the one task that a server knows."""
    return await Pulp1(FakeHttp({"tasks/x/": told}), NoOptions()).fetch("x")


async def listed(since: datetime, current: Answer, archived: Answer | None = None) -> list[Task]:
    """List a server's queue, and its history where it is asked for."""
    answers: dict[str | None, Answer] = {CURRENT: current}
    if archived is not None:
        answers[ARCHIVED] = archived
    return list((await Pulp1(FakeHttp(answers), NoOptions()).list(since)).tasks)


def test_a_scheduled_task_waits_for_its_time() -> None:
    """The guide's sample: what is scheduled for later is ready then, and has no run yet."""
    assert parse(document("waiting")) == Task(
        id="7e419e4f-3719-11e1-9ea0-f0def14122c8",
        status=Status.PENDING,
        word="waiting",
        operation="cull_history",
        name="cull_history",
        ready_at=datetime(2012, 1, 5, 6, 0, tzinfo=UTC),
    )


def test_a_running_sync() -> None:
    """Local times become UTC, sizes make the progress, and the run is known by its start."""
    assert parse(document("running")) == Task(
        id="5d1f5f02-3727-11e1-8f6d-f0def14122c8",
        status=Status.RUNNING,
        word="running",
        operation="RepoApi._sync",
        name="RepoApi._sync fedora-16",
        progress=0.75,
        started_at=datetime(2012, 1, 5, 8, 15, tzinfo=UTC),
        processed=100,
        expected=400,
        run="2012-01-05T08:15:00+00:00",
    )


def test_a_run_keeps_its_name_to_the_end() -> None:
    """What ran is what finished, in the same run."""
    assert parse(document("finished")).run == parse(document("running")).run


def test_a_run_has_one_name_in_every_zone() -> None:
    """Local time and UTC of the same start are the same run."""
    local = {"id": "x", "state": "running", "start_time": "2012-01-05T03:15:00-05:00"}
    assert parse(local).run == parse(local | {"start_time": "2012-01-05T08:15:00Z"}).run


def test_a_run_that_never_started_is_known_by_its_end() -> None:
    """A task canceled in the queue has an end only."""
    task = parse({"id": "x", "state": "canceled", "finish_time": "2012-01-05T08:15:00Z"})
    assert (task.run, task.started_at) == ("2012-01-05T08:15:00+00:00", None)


@pytest.mark.parametrize(
    "trace", [document("error")["traceback"], "".join(document("error")["traceback"])], ids=["lines", "text"]
)
def test_a_traceback_comes_as_lines_or_as_text(trace: object) -> None:
    """The guide says text, the server sends lines; both read alike."""
    task = parse(document("error") | {"traceback": trace})
    assert task.status is Status.ERROR
    assert task.message == "PulpException('Unable to connect to host cdn.example.com',)"
    assert task.detail.startswith("Traceback (most recent call last):\n  File")
    assert task.detail.endswith("\nPulpException: 'Unable to connect to host cdn.example.com'")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("timed out", Status.TIMED_OUT),
        ("timed_out", Status.TIMED_OUT),
        ("reset", Status.PENDING),
        ("suspended", Status.SUSPENDED),
        ("finished", Status.SUCCESS),
        ("canceled", Status.CANCELLED),
        ("complete", Status.UNKNOWN),
    ],
)
def test_status_words(word: str, status: Status) -> None:
    """The wire says "timed out" for ``timed_out``; filters such as "complete" are no states."""
    assert parse({"id": "x", "state": word}).status is status


@pytest.mark.parametrize(
    ("progress", "ratio"),
    [
        ({"size_total": 0, "size_left": 0, "items_total": 4, "items_left": 1}, 0.75),
        ({"size_total": 100, "size_left": 100, "items_total": 4, "items_left": 1}, 0.0),
        ({"size_total": 0, "size_left": 0, "items_total": 0, "items_left": 0}, None),
        ({"size_total": 100, "size_left": 120}, 0.0),
        ({"items_total": None}, None),
        (None, None),
        ("Downloading", None),
    ],
)
def test_progress_is_by_size_else_by_number(progress: object, ratio: float | None) -> None:
    """A total of nothing is no progress, though Pulp's own client shows it as done."""
    assert parse({"id": "x", "state": "running", "progress": progress}).progress == ratio


def test_more_left_than_there_is_means_nothing_done() -> None:
    """Totals change while a sync finds out what there is; the number done is never negative."""
    task = parse({"id": "x", "state": "running", "progress": {"items_total": 4, "items_left": 9}})
    assert (task.processed, task.expected) == (0, 4)


async def test_a_task_that_the_server_does_not_know() -> None:
    """404 with a bare string is the server's own answer; a page is somebody else's."""
    with pytest.raises(TaskNotFound, match="Task not found: 7e419e4f"):
        await fetched(recorded("pulp1/unknown_task.json", 404))
    with pytest.raises(Rejected):
        await fetched(answer(b"<html>Not Found</html>", 404))


async def test_forbidden_comes_as_401() -> None:
    """Pulp 1 says 401 for no permission too, with a bare string."""
    with pytest.raises(Unauthorized, match=r"HTTP 401: .*Permission denied"):
        await fetched(answer("Permission denied: user can not READ /tasks/", 401))


@pytest.mark.parametrize("call", ["fetch", "list"])
async def test_a_server_error_tells_the_last_line_of_its_traceback(call: str) -> None:
    """A 500 is a traceback in JSON; what matters is at its end."""
    api = Pulp1(FakeHttp({None: recorded("pulp1/server_error.json", 500)}), NoOptions())
    with pytest.raises(
        ServerFailed, match=r"^HTTP 500: AutoReconnect: could not connect to localhost:27017$"
    ):
        await (api.fetch("x") if call == "fetch" else api.list(LATELY))


async def test_a_server_error_of_a_proxy_is_told_too() -> None:
    """Not every 502 is Pulp's."""
    with pytest.raises(ServerFailed, match="HTTP 502: Bad Gateway"):
        await fetched(answer(b"<html>Bad Gateway</html>", 502))


async def test_the_queue_is_enough_while_it_reaches_back() -> None:
    """Ended tasks stay in the queue for an hour, so the history is not asked for every time."""
    http = FakeHttp({CURRENT: answer([document("running")])})
    listing = await Pulp1(http, NoOptions()).list(LATELY)
    assert [task.operation for task in listing.tasks] == ["RepoApi._sync"]
    assert [request.target for request in http.requests] == [CURRENT]
    assert (listing.as_of, listing.complete) == (NOW, True)


async def test_an_interval_task_whose_schedule_moved_is_looked_up_in_the_history() -> None:
    """It goes back to waiting the moment its run ends: only the history tells how that was."""
    queue = [document("waiting")]
    ended = document("archived")[0] | {"id": queue[0]["id"], "finish_time": LATELY.isoformat()}
    asked = f"{ARCHIVED}&id={queue[0]['id']}"
    told: dict[str | None, Answer] = {CURRENT: answer(queue), asked: answer([])}
    http = FakeHttp(told)
    pulp = Pulp1(http, NoOptions())
    assert len((await pulp.list(LATELY)).tasks) == 1
    assert len((await pulp.list(LATELY)).tasks) == 1
    told |= {CURRENT: answer([queue[0] | {"scheduled_time": "2012-01-06T06:00:00Z"}]), asked: answer([ended])}
    statuses = [task.status for task in (await pulp.list(LATELY)).tasks]
    assert statuses == [parse(ended).status, Status.PENDING]
    assert [request.target for request in http.requests] == [CURRENT, asked, CURRENT, CURRENT, asked]


async def test_an_end_is_looked_up_again_when_the_history_could_not_be_read() -> None:
    """A schedule is only taken for known when the whole listing has succeeded."""
    asked = f"{ARCHIVED}&id={document('waiting')['id']}"
    told: dict[str | None, Answer] = {CURRENT: answer([document("waiting")]), asked: answer("oops", 500)}
    http = FakeHttp(told)
    pulp = Pulp1(http, NoOptions())
    for _ in range(2):
        with pytest.raises(ServerFailed):
            await pulp.list(LATELY)
    assert [request.target for request in http.requests] == [CURRENT, asked, CURRENT, asked]


@pytest.mark.parametrize("clock", [True, False])
async def test_after_a_gap_the_history_is_asked_for_as_well(*, clock: bool) -> None:
    """Beyond fifty minutes, or where no Date tells how long it was, the history fills in; queue first."""
    queue = answer([document("waiting")])
    queue = queue if clock else Answer(queue.status, queue.headers, queue.body)
    http = FakeHttp({CURRENT: queue, ARCHIVED: recorded("pulp1/archived.json")})
    since = datetime(2012, 1, 3, 6, 0, 8, tzinfo=UTC) if clock else LATELY
    tasks = (await Pulp1(http, NoOptions()).list(since)).tasks
    assert [request.target for request in http.requests] == [CURRENT, ARCHIVED]
    assert len(tasks) == (3 if clock else 1)


async def test_runs_of_one_id_come_oldest_first() -> None:
    """The history of an interval task, then the run that waits; what ended before is left out."""
    since = datetime(2012, 1, 3, tzinfo=UTC)
    tasks = await listed(since, recorded("pulp1/list.json"), recorded("pulp1/archived.json"))
    runs = [(task.status, task.run) for task in tasks if task.operation == "cull_history"]
    assert runs == [
        (Status.SUCCESS, "2012-01-03T06:00:00+00:00"),
        (Status.ERROR, "2012-01-04T06:00:00+00:00"),
        (Status.PENDING, ""),
    ]


async def test_a_task_that_ended_between_the_two_answers_has_ended() -> None:
    """The same run in queue and history is one task, and the later answer holds."""
    since = datetime(2012, 1, 1, tzinfo=UTC)
    tasks = await listed(since, answer([document("running")]), answer([document("finished")]))
    assert [task.status for task in tasks] == [Status.SUCCESS]


def test_an_archived_task_reads_like_any_other() -> None:
    """The history adds fields and leaves some out."""
    newest = document("archived")[0]
    assert "scheduler" not in newest
    assert parse(newest).finished_at == datetime(2012, 1, 4, 6, 0, 9, tzinfo=UTC)


def test_ended_tasks_without_an_end_are_not_dropped() -> None:
    """Where no time tells that it is old, a task is handed over."""
    assert len(parse_list([{"id": "x", "state": "finished", "finish_time": None}], NOW)) == 1


@pytest.mark.parametrize("told", [{}, "Unknown state: x", None, 5, [None], ["x"], [{"state": "running"}]])
def test_a_list_in_another_shape_is_malformed(told: Any) -> None:  # noqa: ANN401 - JSON
    """Maps, strings, nulls, and tasks without an id are no list of tasks."""
    with pytest.raises(Malformed, match="unexpected document"):
        parse_list(told, NOW)
