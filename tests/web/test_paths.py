"""Where the exporter is, for those who come through a proxy."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter import config
from exporter.app.serving import located
from exporter.errors import ConfigError
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.paths import Paths, paths, read_external_url
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter


@pytest.fixture
async def below(fake: FakeExporter) -> AsyncIterator[Client]:
    """A client of an exporter below ``/inner``, which a proxy shows below ``/outer``."""
    application = build(fake, paths=Paths("/inner", "/outer"), access=Access(health_without_auth=True))
    async with TestClient[web.Request, web.Application](TestServer(application)) as client:
        yield client


@pytest.mark.parametrize(
    ("external_url", "route_prefix", "expected"),
    [
        ("", None, Paths("", "")),
        ("https://example.com", None, Paths("", "")),
        ("https://example.com/", None, Paths("", "")),
        ("https://example.com/tasks", None, Paths("/tasks", "/tasks")),
        ("https://example.com:8443/a/b/", None, Paths("/a/b", "/a/b")),
        ("https://example.com/tasks", "/", Paths("", "/tasks")),
        ("https://example.com/tasks", "", Paths("", "/tasks")),
        ("https://example.com/tasks", "inner/", Paths("/inner", "/tasks")),
        ("https://example.com", "/inner", Paths("/inner", "")),
        ("", "/inner", Paths("/inner", "/inner")),
    ],
)
def test_prefixes(external_url: str, route_prefix: str | None, expected: Paths) -> None:
    """The routes begin with the external URL's path unless told; links always do."""
    assert paths(external_url, route_prefix) == expected


@pytest.mark.parametrize(
    "url",
    [
        "example.com/tasks",
        "ftp://example.com",
        "https://",
        "https://ada:hunter2@example.com",
        "https://example.com/?a=b",
        "https://example.com/#a",
        "https://[::1",
        "https://example.com:0",
        "https://example.com/a b",
        "https://example.com/{a}",
        "https://example.com/../a",
        "https://example.com/a//b",
    ],
)
def test_bad_external_urls(url: str) -> None:
    """What is no plain URL is refused with the name of the flag, without a password that is in it."""
    with pytest.raises(ConfigError, match=r"^--web\.external-url: ") as caught:
        paths(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["/a b", "/{a}", "/a?b", "/..", "/a%2fb", "/a//b", "/\n"])
def test_bad_prefixes(prefix: str) -> None:
    """What is no plain path is refused with the name of the flag."""
    with pytest.raises(ConfigError, match=r"^--web\.route-prefix: "):
        paths("", prefix)


def test_the_external_url_has_no_slash_at_its_end() -> None:
    """Paths are put behind it."""
    assert read_external_url("https://example.com/tasks/") == "https://example.com/tasks"


async def test_everything_is_below_the_prefix(below: Client) -> None:
    """Metrics, probes, pages and the API are where the prefix says, and nowhere else."""
    for path in ("/metrics", "/-/healthy", "/-/ready", "/", "/status", "/config", "/api/v1/tasks"):
        assert (await below.get(f"/inner{path}")).status == 200
        if path != "/":
            assert (await below.get(path)).status == 404


async def test_ways_to_the_first_page(below: Client) -> None:
    """Who leaves out the prefix, or its slash, is sent to the first page."""
    for path, to in (("/", "/inner/"), ("/inner", "/outer/")):
        response = await below.get(path, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, to)


@pytest.mark.parametrize("page", ["/", "/status", "/config", "/tasks/epm/7"])
async def test_links_are_right_behind_the_proxy(below: Client, page: str) -> None:
    """Every link and file of every page begins with what browsers see."""
    text = await (await below.get(f"/inner{page}")).text()
    found = re.findall(r'(?:href|src|data-base)="([^"#]+)"', text)
    assert len(found) > 5
    assert all(link == "/outer" or link.startswith("/outer/") for link in found)
    script = re.search(r'src="/outer(/static/[^"]+)"', text)
    assert script is not None
    assert (await below.get(f"/inner{script[1]}")).status == 200


async def test_no_script_forgets_the_prefix(below: Client) -> None:
    """No file of the pages has an address of its own making."""
    text = await (await below.get("/inner/")).text()
    folder = re.search(r"/static/[0-9a-f]+", text)
    assert folder is not None
    for name in ("tasks.js", "task.js", "actions.js", "feed.js", "filters.js", "sources.js", "words.js"):
        script = await (await below.get(f"/inner{folder[0]}/{name}")).text()
        assert not re.search(r"""["'`]/(api|tasks|static|status|config|\?)""", script), name


async def test_the_document_of_the_api_tells_where_it_is(below: Client) -> None:
    """Tools that read it ask below the path that they see."""
    document = await (await below.get("/inner/api/v1/openapi.json")).json()
    assert document["servers"] == [{"url": "/outer"}]


async def test_errors_below_the_prefix(below: Client) -> None:
    """The API's errors are JSON there as well, and reloading is refused there."""
    assert (await (await below.get("/inner/api/nothing")).json())["errorType"] == "not_found"
    assert (await below.post("/inner/-/reload")).status == 403


def test_notifications_link_to_the_external_url() -> None:
    """The flag tells where people reach the exporter, unless the configuration says something else."""
    text = "sources: [{name: epm, api: epmware, url: http://localhost, registration: true}]\n"
    url = "https://example.com/tasks/"
    silent = config.parse(text, Path())
    assert located(silent, url).alerting.external_url == "https://example.com/tasks"
    assert located(silent, "") is silent
    telling = config.parse(text + "alerting: {external_url: https://other.example.com}\n", Path())
    assert located(telling, url).alerting.external_url == "https://other.example.com"
