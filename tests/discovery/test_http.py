"""An address with task ids is asked as Prometheus asks, and its failures cost no id."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.apis.base import Answer
from exporter.clock import SystemClock
from exporter.discovery.http import HttpDiscovery
from exporter.errors import ConnectFailed
from exporter.http import HttpClient, HttpSettings
from tests.discovery.fakes import Failures, Loop

ONE = b'[{"targets": ["1"], "labels": {"operation": "import"}}]'
TWO = b'[{"targets": [1, 2]}]'


@dataclass
class FakeHttp:
    """Answers with what it was given, one after the other; the last again and again."""

    answers: list[Answer | Exception]
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    async def get(
        self,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Note the question and give the next answer."""
        assert not query
        self.asked.append((endpoint, path, headers or {}))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body: bytes) -> Answer:
    """A good answer."""
    return Answer(200, {}, body, hide=lambda words: words.replace("hush", "<secret>"))


def discovery(http: FakeHttp, loop: Loop, failures: Failures) -> HttpDiscovery:
    """The discovery of a fake address."""
    return HttpDiscovery(http, place="http://launcher/tasks", observer=failures, sleep=loop.sleep)


async def test_it_asks_as_prometheus_does(loop: Loop, failures: Failures) -> None:
    """The address itself is asked, with the refresh interval in the header of Prometheus."""
    http = FakeHttp([ok(ONE)])
    await discovery(http, loop, failures).refresh()
    assert http.asked == [
        ("http_sd", "", {"Accept": "application/json", "X-Prometheus-Refresh-Interval-Seconds": "60"})
    ]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ConnectFailed("GET http://launcher/tasks: refused"), "GET http://launcher/tasks: refused"),
        (Answer(503, {}, ONE), "HTTP 503 instead of 200"),
        (Answer(204, {}, b""), "HTTP 204 instead of 200"),
        (ok(b"<html>"), "expected JSON, got '<html>'"),
        (ok(b'{"targets": []}'), "must be a list of groups such as"),
        (ok(b'[{"targets": [""]}]'), "[0].targets[0]: a task id is empty"),
        (ok(b'[{"not hush": 1}]'), "[0]: unknown key 'not <secret>'"),
    ],
)
async def test_a_failure_keeps_the_last_ids(
    loop: Loop, failures: Failures, logged: list[Any], failure: Answer | Exception, told: str
) -> None:
    """Whatever goes wrong, the ids stay, the failure is counted each time and told once."""
    found = discovery(FakeHttp([ok(ONE), failure, failure, ok(TWO)]), loop, failures)
    lists = [await found.refresh() for _ in range(4)]
    assert [[watched.id for watched in ids or ()] for ids in lists] == [["1"], ["1"], ["1"], ["1", "2"]]
    assert failures.mechanisms == ["http", "http"]
    assert [line["event"] for line in logged] == [
        "Cannot read task ids; the last ones stay in use",
        "Task ids can be read again",
    ]
    assert told in str(logged[0]["err"])


async def test_the_loop_publishes_what_is_new(loop: Loop, failures: Failures) -> None:
    """A list is published after the first success and when it has changed; once a refresh interval."""
    http = FakeHttp([Answer(500, {}, b""), ok(ONE), ok(ONE), ok(TWO), ok(b"[]")])
    steps = [lambda: None] * 4
    assert await loop.run(discovery(http, loop, failures).run(loop.publish), *steps) == [
        ["1"],
        ["1", "2"],
        [],
    ]
    assert loop.clock.seconds == 300.0


@pytest.fixture
async def launcher() -> AsyncIterator[TestServer]:
    """A server that tells task ids to those who know the key, with the wrong content type."""

    async def tasks(request: web.Request) -> web.Response:
        known = (
            request.rel_url.raw_query_string == "key=a%20b"
            and request.headers["Accept"] == "application/json"
        )
        return web.Response(
            body=TWO if known else b"", status=200 if known else 403, content_type="text/plain"
        )

    app = web.Application()
    app.router.add_get("/tasks", tasks)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def test_a_real_address_is_asked_to_the_letter(
    launcher: TestServer, loop: Loop, failures: Failures
) -> None:
    """Through the real client the address keeps its path and query, and the content decides what it is."""
    settings = HttpSettings(url=str(launcher.make_url("/tasks")) + "?key=a%20b")
    async with HttpClient(settings, clock=SystemClock()) as http:
        found = HttpDiscovery(http, place="launcher", observer=failures, sleep=loop.sleep)
        assert [watched.id for watched in await found.refresh() or ()] == ["1", "2"]
    assert failures.mechanisms == []
