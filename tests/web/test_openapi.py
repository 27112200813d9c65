"""The JSON API's document, held against the running server by a tool that knows neither."""

import asyncio
import sys
from pathlib import Path

import pytest

import exporter
from exporter.web.openapi import describe
from tests.e2e.harness import configured, exporting, silent_simulation
from tests.web.conftest import Client

SECONDS = 12
UNCHECKED = (
    # An id may hold a slash, so `.../tasks/7/acknowledge` is a task for GET: more is allowed than is written.
    "allow_header_conformance",
)


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


@pytest.mark.timeout(90)
async def test_the_running_server_does_what_the_document_says(tmp_path: Path) -> None:
    """Schemathesis finds no answer that the document does not tell, and no bad request that is taken."""
    async with silent_simulation() as simulation:
        for world in simulation.worlds.values():
            world.launch(world.workload.kinds[0].operation)
        for api in simulation.apis.values():
            api.limit = None  # What waits for an API that asked us to slow down is not what is tested here.
        settings = configured(simulation, polling={"requests_per_second": 1000})
        async with exporting(settings, tmp_path) as running:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/api/v1/openapi.json"),
                *("--exclude-path", "/api/v1/events", "--max-time", str(SECONDS), "--seed", "1"),
                *("--phases", "examples,coverage,fuzzing", "--checks", "all"),
                *("--exclude-checks", ",".join(UNCHECKED)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=tmp_path,
            )
            report, _ = await process.communicate()
    assert process.returncode == 0, report.decode()
    assert b"Operations:       6 selected / 7 total" in report
