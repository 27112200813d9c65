"""The landing page."""

import base64
import hashlib
import re
from datetime import UTC, datetime

from aiohttp.test_utils import TestClient, TestServer

import exporter
from exporter.model import Status
from exporter.web.application import build
from exporter.web.views import SourceInfo
from tests.web.conftest import Client
from tests.web.fake_exporter import BODY, FakeExporter

HOSTILE = "<script>alert(1)</script>\"'&"


async def test_the_page_says_what_it_is_and_links_the_rest(client: Client) -> None:
    """Name, version and links are there, as on the pages of Prometheus' exporters."""
    response = await client.get("/")
    page = await response.text()
    assert response.content_type == "text/html"
    assert "<title>asynctask-exporter</title>" in page
    assert f"Version: {exporter.__version__}" in page
    for path in re.findall(r'href="([^"]+)"', page):
        assert (await client.get(path)).status == 200
    assert set(re.findall(r'href="([^"]+)"', page)) >= {
        "/metrics",
        "/-/healthy",
        "/api/v1/sources",
        "/api/v1/tasks",
    }


async def test_sources_are_shown(client: Client, fake: FakeExporter) -> None:
    """Each source has a row with its state and its numbers."""
    fake.infos = [
        SourceInfo(
            name="epm-prod",
            api="epmware",
            url="https://acme.example.com",
            up=True,
            last_success=datetime(2026, 1, 1, 12, tzinfo=UTC),
            watched=3,
            limit=100,
            tasks={Status.RUNNING: 2, Status.ERROR: 4, Status.TIMED_OUT: 1},
        ),
        SourceInfo(name="pulp", api="pulp", url="https://pulp.example.com", up=False, last_error="HTTP 500"),
        SourceInfo(name="new", api="pulp", url="https://new.example.com"),
    ]
    page = await (await client.get("/")).text()
    cells = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr.*?>(<td>.*)</tr>", page)]
    assert cells[0][3:] == ["up", "2026-01-01 12:00:00+00:00", "3 of 100", "2", "5"]
    assert cells[1][3] == "down: HTTP 500"
    assert cells[2][3:5] == ["not asked yet", "never"]


async def test_hostile_texts_come_out_escaped(client: Client, fake: FakeExporter) -> None:
    """Whatever an API put into an error message is text on the page, never markup."""
    fake.infos = [SourceInfo(name=HOSTILE, api=HOSTILE, url=HOSTILE, up=False, last_error=HOSTILE)]
    page = await (await client.get("/")).text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;") == 4


async def test_the_page_may_use_its_own_style_and_nothing_else(client: Client) -> None:
    """The content security policy names the hash of exactly the style that is on the page."""
    response = await client.get("/")
    (style,) = re.findall("<style>(.*?)</style>", await response.text(), flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert f"style-src 'sha256-{digest}'" in policy


async def test_metrics_may_take_the_place_of_the_page(fake: FakeExporter) -> None:
    """With --web.telemetry-path=/ the metrics are at / and there is no page."""
    async with TestClient(TestServer(build(fake, telemetry_path="/"))) as client:
        assert await (await client.get("/")).read() == BODY
