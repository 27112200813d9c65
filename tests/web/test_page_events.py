"""What the live page is told, over a real connection and without."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.model import Status, Subtask, Task
from exporter.web import events
from exporter.web.changes import AllTasks, News, OneTask
from exporter.web.server import Address, Server
from exporter.web.views import SourceInfo
from tests.web.conftest import Client
from tests.web.fake_exporter import START, FakeExporter, moment, running

TICK = 0.01
READERS = 2


@pytest.fixture
async def quick(fake: FakeExporter) -> AsyncIterator[Client]:
    """A client of streams that tick fast."""
    application = web.Application()
    stream = events.Events(fake, tick_seconds=TICK, max_readers=READERS)
    application.add_routes(stream.routes())
    application.on_shutdown.append(stream.close)
    async with TestClient(TestServer(application)) as client:
        yield client


async def told(response: aiohttp.ClientResponse) -> tuple[str, Any]:
    """The next event."""
    name = (await response.content.readline()).decode().removeprefix("event: ").strip()
    data = (await response.content.readline()).decode().removeprefix("data: ")
    assert await response.content.readline() == b"\n"
    return name, json.loads(data)


def must(news: News | None) -> Any:  # noqa: ANN401 - JSON
    """News that is there."""
    assert news is not None
    return news


def ids(news: News | None) -> list[str]:
    """The tasks in the news."""
    return [task["task_id"] for task in must(news)["tasks"]]


async def test_a_reader_is_told_everything_and_then_what_changes(quick: Client, fake: FakeExporter) -> None:
    """The first event tells all tasks; the next one comes when a task has moved, and tells only that one."""
    fake.add("epm", running("1"), running("2"))
    async with quick.get("/api/v1/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        name, first = await told(response)
        assert (name, [task["task_id"] for task in first["tasks"]]) == ("change", ["1", "2"])
        fake.add("epm", running("2", progress=0.0), at=1)
        name, second = await told(response)
        assert (name, [task["task_id"] for task in second["tasks"]]) == ("change", ["2"])
        assert second["tasks"][0]["progress"] == 0.0


async def test_a_quiet_stream_says_that_it_lives(quick: Client) -> None:
    """A reader without news knows that the connection is there."""
    async with quick.get("/api/v1/events") as response:
        assert (await told(response))[0] == "change"
        assert await told(response) == ("alive", {})


async def test_line_breaks_stay_inside_of_an_event(quick: Client, fake: FakeExporter) -> None:
    """No text of an API can end an event and begin one of its own."""
    hostile = "x\n\nevent: change\ndata: {}\r\n\r\n\u2028\ud800"
    fake.add("epm", running("1", message=hostile))
    async with quick.get("/api/v1/events") as response:
        message = (await told(response))[1]["tasks"][0]["message"]
        assert message == hostile
        assert (await told(response))[0] == "alive"


async def test_one_task_is_told_in_full(quick: Client, fake: FakeExporter) -> None:
    """The page of a task gets its details and subtasks."""
    parts = (Subtask(id="a", status=Status.ERROR),)
    fake.add("epm", running("a/b", detail="Traceback", subtasks=parts), running("2"))
    async with quick.get("/api/v1/events", params={"source": "epm", "task_id": "a/b"}) as response:
        _, news = await told(response)
    assert (news["task"]["task_id"], news["task"]["detail"]) == ("a/b", "Traceback")
    assert len(news["task"]["subtasks"]) == 1


@pytest.mark.parametrize("query", ["source=epm", "task_id=1", "source=epm&task_id=1&x=1"])
async def test_half_an_address_is_refused(client: Client, query: str) -> None:
    """A stream is of all tasks or of one."""
    response = await client.get(f"/api/v1/events?{query}")
    assert response.status == 400
    assert "both source and task_id" in (await response.json())["error"]


async def test_there_is_a_limit_of_readers(quick: Client) -> None:
    """One page more than may be open is told so, and there is room again when another is closed."""
    first, second = [await quick.get("/api/v1/events") for _ in range(READERS)]
    refused = await quick.get("/api/v1/events")
    assert (refused.status, await refused.text()) == (503, "2 pages are open already")
    first.close()
    async with asyncio.timeout(60):
        while (again := await quick.get("/api/v1/events")).status == 503:
            await asyncio.sleep(TICK)
    assert again.status == 200
    again.close()
    second.close()


def test_no_news_is_no_event(fake: FakeExporter) -> None:
    """The passing of time alone is no news."""
    fake.add("epm", running("1"))
    reader = AllTasks(fake)
    assert ids(reader.news()) == ["1"]
    fake.at = moment(10)
    assert reader.news() is None


def test_what_left_the_board_is_told_by_its_key(fake: FakeExporter) -> None:
    """A page forgets what is gone."""
    fake.add("epm", running("1"), running("2"))
    reader = AllTasks(fake)
    reader.news()
    fake.by_source["epm"].drop("1")
    news = must(reader.news())
    assert (news["gone"], news["tasks"], news["total"]) == ([["epm", "1", "#0"]], [], 1)


def test_a_task_that_stalls_is_news(fake: FakeExporter) -> None:
    """That nothing happened for too long is something that happened."""
    fake.add("epm", running("1"))
    reader = AllTasks(fake)
    reader.news()
    fake.at = moment(3600)
    assert must(reader.news())["tasks"][0]["stalled"] is True
    assert reader.news() is None


def test_an_estimate_is_told_anew_when_it_has_passed(fake: FakeExporter) -> None:
    """A task that takes longer than expected gets a new expectation, or none, but not every second."""
    fake.took["epm", "import"] = [10.0, 20.0, 30.0]
    fake.add("epm", running("1", operation="import", started_at=START))
    reader = AllTasks(fake)
    assert must(reader.news())["tasks"][0]["estimated_end_at"] == "2026-01-01T12:00:20Z"
    fake.at = moment(19)
    assert reader.news() is None
    fake.at = moment(21)
    assert must(reader.news())["tasks"][0]["estimated_end_at"] == "2026-01-01T12:00:30Z"
    fake.at = moment(31)
    assert "estimated_end_at" not in must(reader.news())["tasks"][0]
    assert reader.news() is None


def test_only_sources_that_changed_are_told(fake: FakeExporter) -> None:
    """The order tells all of them, so that one that is gone is missing in it."""
    one, other = (SourceInfo(name=name, api="pulp", url="u", up=True) for name in ("one", "other"))
    fake.infos = [one, other]
    reader = AllTasks(fake)
    assert [source["name"] for source in must(reader.news())["sources"]] == ["one", "other"]
    fake.infos = [SourceInfo(name="other", api="pulp", url="u", up=False, last_error="HTTP 500")]
    news = must(reader.news())
    assert [(source["name"], source["up"]) for source in news["sources"]] == [("other", False)]
    assert news["order"] == ["other"]
    fake.infos = []
    assert must(reader.news())["order"] == []


def test_of_too_many_tasks_the_urgent_ones_are_told(fake: FakeExporter) -> None:
    """What runs comes before what failed, and that before the rest; the total tells of all."""
    fake.add("epm", Task(id="good", status=Status.SUCCESS), Task(id="bad", status=Status.ERROR), running("1"))
    reader = AllTasks(fake, most=2)
    news = must(reader.news())
    assert ({task["task_id"] for task in news["tasks"]}, news["total"]) == ({"1", "bad"}, 3)


def test_a_task_comes_back_and_its_failed_run_stays(fake: FakeExporter) -> None:
    """The page of a task follows it through its runs, and says when it has left the board."""
    reader = OneTask(fake, "pulp", "7")
    fake.add("pulp", running("8"))
    assert must(reader.news())["task"] is None
    assert reader.news() is None
    fake.add("pulp", running("7"))
    assert must(reader.news())["task"]["status"] == "running"
    assert reader.news() is None
    fake.add("pulp", Task(id="7", status=Status.ERROR, message="boom"), at=5)
    fake.add("pulp", Task(id="7", status=Status.PENDING), at=10)
    news = must(reader.news())
    assert (news["task"]["status"], [run["message"] for run in news["earlier_runs"]]) == ("pending", ["boom"])
    fake.by_source["pulp"].drop("7")
    assert must(reader.news())["task"] is None


def test_a_page_of_a_task_hears_of_its_source(fake: FakeExporter) -> None:
    """That the source is down explains why nothing moves."""
    fake.add("pulp", running("7"))
    fake.infos = [SourceInfo(name="pulp", api="pulp", url="u", up=True)]
    reader = OneTask(fake, "pulp", "7")
    assert must(reader.news())["source"]["up"] is True
    fake.infos = [SourceInfo(name="pulp", api="pulp", url="u", up=False, last_error="HTTP 500")]
    assert must(reader.news())["source"]["last_error"] == "HTTP 500"
    assert reader.news() is None


def test_what_is_usual_is_told(fake: FakeExporter) -> None:
    """Half of the earlier runs took at most the one, nine of ten at most the other."""
    fake.add("epm", running("7", operation="import"))
    fake.took["epm", "import"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert must(OneTask(fake, "epm", "7").news())["usual"] == {"count": 10, "half": 5.0, "most": 9.0}
    fake.took["epm", "import"] = [1.0, 2.0]
    assert must(OneTask(fake, "epm", "7").news())["usual"] is None


async def test_the_server_ends_its_streams(fake: FakeExporter) -> None:
    """A server that stops ends the streams as whole answers, before it would cut them off."""
    fake.add("epm", running("1"))
    application = web.Application()
    stream = events.Events(fake)
    application.add_routes(stream.routes())
    application.on_shutdown.append(stream.close)
    server = Server(application, [Address("127.0.0.1", 0)])
    (bound,) = await server.start()
    async with aiohttp.ClientSession() as session, session.get(f"http://{bound}/api/v1/events") as response:
        await told(response)
        await server.stop()
        assert await response.content.read() == b""
