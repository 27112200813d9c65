"""Logs of tasks over HTTP: plain text that no browser runs, or the reason why there is none."""

from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from exporter.errors import ConnectFailed, NoLog, RateLimited, TaskNotFound
from exporter.web import log
from exporter.web.views import UnknownSource
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

PATH = "/api/v1/sources/epm/tasks/1/log"


async def test_a_log_is_plain_text_to_be_saved(client: Client, fake: FakeExporter) -> None:
    """What looks like a page is none: its type is told, not guessed, and it is not shown."""
    fake.logs["epm", "1"] = "<script>alert(1)</script>\n\u00e4\n"
    response = await client.get(PATH)
    assert (response.status, await response.text()) == (200, "<script>alert(1)</script>\n\u00e4\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''epm-1.log"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("task_id", ["/pulp/api/v3/tasks/01/", "a b", '"; x="', "\u00e4", "log"])
async def test_any_id_can_be_asked_for(client: Client, fake: FakeExporter, task_id: str) -> None:
    """Ids with slashes and quotes are ids, also in the header."""
    fake.logs["epm", task_id] = "text"
    url = URL(f"/api/v1/sources/epm/tasks/{quote(task_id, safe='')}/log", encoded=True)
    response = await client.get(url)
    assert (response.status, await response.text()) == (200, "text")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (UnknownSource("no source is called 'x'"), 404, "no source is called 'x'"),
        (NoLog("EPMware has no log of task '1', or not yet"), 404, "or not yet"),
        (TaskNotFound("1"), 404, "not known to the API"),
        (ConnectFailed("GET http://x: cannot connect"), 503, "did not give the log: GET http://x"),
        (RateLimited("HTTP 429"), 503, "HTTP 429"),
    ],
)
async def test_there_is_a_reason_for_no_log(
    client: Client, fake: FakeExporter, error: Exception, status: int, reason: str
) -> None:
    """404 where there is none, 503 where it cannot be had now; the body tells which."""
    fake.error = error
    response = await client.get(PATH)
    assert response.status == status
    assert reason in (await response.json())["error"]


async def test_a_source_that_does_not_answer_is_not_waited_for(fake: FakeExporter) -> None:
    """After some seconds it is 503."""
    application = web.Application()
    application.add_routes(log.routes(fake, seconds=0.01))
    fake.committed.clear()
    async with TestClient(TestServer(application)) as client:
        response = await client.get(PATH)
        assert response.status == 503
        assert "within 0.01 seconds" in await response.text()


async def test_of_a_long_log_the_end_is_shown(client: Client, fake: FakeExporter) -> None:
    """At most 1 MiB, from the beginning of a line on."""
    fake.logs["epm", "1"] = "".join(f"line {number} \u00e4\n" for number in range(200_000))
    body = await (await client.get(PATH)).read()
    assert log.MAX_LOG - 20 < len(body) <= log.MAX_LOG
    assert body.startswith(b"line ")
    assert body.endswith("line 199999 \u00e4\n".encode())


def test_a_long_line_is_cut_between_characters() -> None:
    """The end of a log without lines is UTF-8 as well."""
    body = log.end_of("x" + "\u00e4" * log.MAX_LOG)
    assert len(body) <= log.MAX_LOG
    assert body.decode() == "\u00e4" * (log.MAX_LOG // 2)


async def test_nothing_but_reading(client: Client) -> None:
    """A log cannot be written."""
    assert (await client.post(PATH)).status == 405
