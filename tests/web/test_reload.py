"""Reloading over HTTP."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from exporter.web.access import Access
from exporter.web.application import build
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter


@pytest.fixture
async def allowed(fake: FakeExporter) -> AsyncIterator[Client]:
    """A client of an exporter that may be reloaded."""
    async with TestClient(TestServer(build(fake, access=Access(lifecycle=True)))) as client:
        yield client


async def test_a_good_file_is_answered_with_nothing(allowed: Client, fake: FakeExporter) -> None:
    """200, as by Prometheus and blackbox_exporter."""
    answer = await allowed.post("/-/reload")
    assert (answer.status, await answer.text(), fake.reloads) == (200, "", 1)


async def test_a_bad_file_is_answered_with_all_mistakes(allowed: Client, fake: FakeExporter) -> None:
    """500, one line each."""
    fake.mistakes = ["sources: is required", "sorces: unknown key; did you mean 'sources'?"]
    answer = await allowed.post("/-/reload")
    assert answer.status == 500
    assert (
        await answer.text()
        == "failed to reload config: sources: is required\nsorces: unknown key; did you mean 'sources'?\n"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_post_reloads(allowed: Client, fake: FakeExporter, method: str) -> None:
    """405, which tells what to do."""
    answer = await allowed.request(method, "/-/reload")
    assert (answer.status, answer.headers["Allow"], fake.reloads) == (405, "POST", 0)
    if method != "HEAD":
        assert await answer.text() == "This endpoint requires a POST request.\n"


async def test_nothing_reloads_unless_that_is_allowed(client: Client, fake: FakeExporter) -> None:
    """403 without --web.enable-lifecycle."""
    answer = await client.post("/-/reload")
    assert (answer.status, fake.reloads) == (403, 0)
    assert "--web.enable-lifecycle" in await answer.text()


async def test_another_web_site_reloads_nothing(allowed: Client, fake: FakeExporter) -> None:
    """What a visitor's browser sends for it is refused."""
    answer = await allowed.post("/-/reload", headers={"Origin": "https://evil.example.com"})
    assert (answer.status, fake.reloads) == (403, 0)
