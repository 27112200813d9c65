"""The JSON API's document, held against the running server by a tool that knows neither."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import exporter
from exporter.secret import Secret
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.openapi import PATH, describe
from exporter.web.settings import RateLimit, WebSettings
from tests.e2e.harness import configured, exporting, silent_simulation
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

SECONDS = 12
UNCHECKED = (
    # An id may hold a slash, so `.../tasks/7/acknowledge` is a task for GET: more is allowed than is written.
    "allow_header_conformance",
)

BUSY_IS_NO_DEFECT = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""
"""For Schemathesis any 5xx is a defect. A 503 is none where the document tells it, which is checked all the
same: on a busy machine a commit may take longer than whoever registers a task is kept waiting."""


async def test_the_document_tells_this_version(client: Client) -> None:
    """Tools are told what they talk to."""
    document = await (await client.get("/api/v1/openapi.json")).json()
    assert document["info"]["version"] == exporter.__version__


def test_the_document_names_the_sources() -> None:
    """A tool offers the sources that there are, and what was read from the file stays as it was."""
    written = {"info": {}, "components": {"schemas": {"SourceName": {"type": "string"}}}}
    told = describe(written, ["epm", "pulp"])
    assert told["components"]["schemas"]["SourceName"]["enum"] == ["epm", "pulp"]
    assert written["info"] == {}


def refusals(document: dict[str, Any]) -> dict[str, set[str]]:
    """The refusals of each operation that the document tells."""
    operations = [
        item[method] for item in document["paths"].values() for method in ("get", "post") if method in item
    ]
    return {each["operationId"]: {code for code in each["responses"] if code >= "400"} for each in operations}


@pytest.mark.parametrize(
    ("settings", "code", "kind"),
    [
        (WebSettings(users={"ada": Secret("$2y$04$" + "." * 53)}), "401", "unauthorized"),
        (WebSettings(rate_limit=RateLimit(3600.0, 2)), "429", "limit_exceeded"),
    ],
)
async def test_refusals_of_the_web_configuration_are_told(
    fake: FakeExporter, settings: WebSettings, code: str, kind: str
) -> None:
    """Where passwords or a limit are configured, every operation may answer 401 or 429, and is told to."""
    in_force = WebSettings()
    application = build(fake, access=Access(current=lambda: in_force))
    async with TestClient[web.Request, web.Application](TestServer(application)) as client:
        document = await (await client.get(PATH)).json()
        in_force = settings
        *_, last = [await client.get("/api/v1/sources") for _ in range(3)]
        assert (str(last.status), (await last.json())["errorType"]) == (code, kind)
    told = refusals(describe(document, [], "", settings))
    assert told == {name: codes | {code} for name, codes in refusals(document).items()}


async def test_an_open_exporter_asks_for_no_login(client: Client) -> None:
    """Without a web configuration nothing answers 401, and the only limit is that of watched tasks."""
    document = await (await client.get(PATH)).json()
    told = refusals(document)
    assert not any("401" in codes for codes in told.values())
    assert [name for name, codes in told.items() if "429" in codes] == ["watchTasks"]
    assert "security" not in document


async def test_the_document_follows_the_web_configuration(fake: FakeExporter) -> None:
    """What is told is what is in force when it is asked for."""
    in_force = WebSettings()
    application = build(fake, access=Access(current=lambda: in_force))
    async with TestClient[web.Request, web.Application](TestServer(application)) as client:
        in_force = WebSettings(rate_limit=RateLimit(0.001, 100))
        document = await (await client.get(PATH)).json()
    assert all("429" in codes for codes in refusals(document).values())


async def test_every_path_of_the_api_is_in_the_document(client: Client) -> None:
    """A new request cannot be forgotten in the document."""
    document = await (await client.get("/api/v1/openapi.json")).json()
    routes = client.app.router.routes()
    served = {
        (route.resource.canonical, route.method.lower())
        for route in routes
        if route.resource is not None and route.resource.canonical.startswith("/api/v1/")
    }
    written = {(path, method) for path, item in document["paths"].items() for method in item}
    unwritten = {(path, method) for path, method in served if method != "head"} - written
    assert unwritten == {("/api/v1/openapi.json", "get")}


async def test_the_running_server_does_what_the_document_says(tmp_path: Path) -> None:
    """Schemathesis finds no answer that the document does not tell, and no bad request that is taken."""
    async with silent_simulation() as simulation:
        for world in simulation.worlds.values():
            world.launch(world.workload.kinds[0].operation)
        for api in simulation.apis.values():
            api.limit = None  # What waits for an API that asked us to slow down is not what is tested here.
        settings = configured(simulation, polling={"requests_per_second": 1000})
        (tmp_path / "schemathesis.toml").write_text(BUSY_IS_NO_DEFECT)
        async with exporting(settings, tmp_path) as running:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/api/v1/openapi.json"),
                *("--exclude-path", "/api/v1/events", "--max-time", str(SECONDS), "--seed", "1"),
                *("--request-timeout", "60"),
                *("--phases", "examples,coverage,fuzzing", "--checks", "all"),
                *("--exclude-checks", ",".join(UNCHECKED)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=tmp_path,
            )
            report, _ = await process.communicate()
    assert process.returncode == 0, report.decode()
    assert b"Operations:       6 selected / 7 total" in report
