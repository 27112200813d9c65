"""The pages and their files, as they are served."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

import exporter
from exporter.model import Status
from exporter.web import page
from exporter.web.application import build
from exporter.web.views import ReceiverInfo, SourceInfo
from grafana.colors import COLORS
from tests.web.conftest import Client
from tests.web.fake_exporter import BODY, FakeExporter

HOSTILE = "<script>alert(1)</script>\"'&"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"
PAGES = ["/", "/tasks/epm/7", "/config", "/status"]
STATIC = Path("exporter/web/static")


async def links(client: Client, path: str) -> set[str]:
    """What a page refers to."""
    return set(re.findall(r'(?:href|src)="(/[^"]*)"', await (await client.get(path)).text()))


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_the_frame(client: Client, path: str) -> None:
    """Name, version and the other pages are on each of them, and nothing that they refer to is missing."""
    response = await client.get(path)
    text = await response.text()
    assert response.content_type == "text/html"
    assert f"asynctask-exporter {exporter.__version__}" in text
    found = await links(client, path)
    assert {"/", "/status", "/config", "/metrics", "/api/v1/openapi.json"} <= found
    for link in found:
        assert (await client.get(link)).status == 200, link


@pytest.mark.parametrize("path", PAGES)
async def test_only_files_of_ours_run(client: Client, path: str) -> None:
    """The policy allows no inline script or style, nor are there any; texts cannot become markup."""
    response = await client.get(path)
    text, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "trusted-types 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text)


async def test_a_page_says_where_it_is(client: Client) -> None:
    """The link to the present page is marked for people who hear it."""
    assert '<a href="/status" aria-current="page">' in await (await client.get("/status")).text()


@pytest.mark.parametrize(
    "path", ["/static/0/tasks.js", "/static/{digest}/frame.html", "/static/{digest}/..%2fpage.py"]
)
async def test_other_files_are_not_served(client: Client, path: str) -> None:
    """Neither files of another release, nor the frame, nor anything outside of the folder."""
    digest = page.load("/metrics").digest
    assert (await client.get(path.format(digest=digest))).status == 404


async def test_files_are_kept_for_good(client: Client) -> None:
    """Files may be kept for a year, as their address changes with them; asking again costs nothing."""
    (style,) = [link for link in await links(client, "/") if link.endswith(".css")]
    response = await client.get(style)
    assert response.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    again = await client.get(style, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


def test_the_address_changes_with_any_file() -> None:
    """One letter more in any file is another address for all of them."""
    site = page.load("/metrics")
    assert page.digest_of(site.content) == site.digest
    for name in site.content:
        assert page.digest_of({**site.content, name: site.content[name] + b" "}) != site.digest


async def test_the_page_is_small(client: Client) -> None:
    """Everything that the page needs fits into 30 kB as it is sent, without any framework."""
    sizes = []
    for path in ["/", *(f"/static/{page.load('/metrics').digest}/{file.name}" for file in STATIC.iterdir())]:
        response = await client.get(path, headers={"Accept-Encoding": "gzip"})
        sizes.append(len(await response.read()))
    assert sum(sizes) < 30_000


def test_nothing_comes_from_elsewhere() -> None:
    """Without the internet the page is the same: no file refers to another host."""
    for file in STATIC.iterdir():
        found = re.findall(r"https?://[^\s\"')]+", file.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file


def test_statuses_look_the_same_as_in_grafana() -> None:
    """A status has one color, wherever it is shown."""
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    told = dict(re.findall(r"--(\w+): (#\w+);", style.partition("}")[0]))
    assert {status: told[status] for status in Status} == {
        status: color.lower() for status, color in COLORS.items()
    }


def test_scripts_have_no_way_to_markup() -> None:
    """No script writes markup or evaluates text; what the browser would refuse is not even there."""
    for file in STATIC.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", text
        )


async def test_metrics_may_take_the_place_of_the_page(fake: FakeExporter) -> None:
    """With --web.telemetry-path=/ the metrics are at /, and a task's page is where it was."""
    async with TestClient(TestServer(build(fake, telemetry_path="/"))) as client:
        assert await (await client.get("/")).read() == BODY
        assert (await client.get("/tasks/epm/7")).status == 200
        assert '<a href="/">Metrics</a>' in await (await client.get("/status")).text()


async def test_the_configuration_is_shown_as_text(client: Client, fake: FakeExporter) -> None:
    """What is in the configuration is text on its page, never markup."""
    fake.yaml = f"sources: [{{name: {HOSTILE}}}]"
    text = await (await client.get("/config")).text()
    assert ESCAPED in text
    assert "<script>" not in text


async def test_the_status_page_shows_sources(client: Client, fake: FakeExporter) -> None:
    """Each source has a row with its state and its numbers, whatever its API wrote into an error."""
    fake.infos = [
        SourceInfo(
            name="epm-prod",
            api="epmware",
            url="https://acme.example.com",
            up=True,
            last_success=datetime(2026, 1, 1, 12, tzinfo=UTC),
            watched=3,
            limit=100,
            registration=True,
            tasks={Status.RUNNING: 2, Status.ERROR: 4, Status.TIMED_OUT: 1},
        ),
        SourceInfo(name="pulp", api="pulp", url="https://pulp.example.com", up=False, last_error=HOSTILE),
        SourceInfo(name="new", api="pulp", url="https://new.example.com"),
    ]
    text = await (await client.get("/status")).text()
    cells = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(<td>.*)</tr>", text)]
    assert cells[0][3:] == ["up", "2026-01-01 12:00:00 UTC", "3 of 100", "2", "5", "yes"]
    assert cells[1][3] == f"down: {ESCAPED}"
    assert cells[2][3:5] == ["not asked yet", "never"]


async def test_the_status_page_shows_receivers(client: Client, fake: FakeExporter) -> None:
    """Where notifications go, each receiver has a row."""
    assert "Notifications" not in await (await client.get("/status")).text()
    receiver = ReceiverInfo(name="ops", sent=5, errors=1, dropped=2, waiting=3)
    fake.about = replace(fake.about, receivers=[receiver], storage="")
    text = await (await client.get("/status")).text()
    assert "<tr><td>ops</td><td>5</td><td>3</td><td>1</td><td>2</td></tr>" in text
    assert "in memory only" in text
