"""All four together: what they show in the end is the truth, and an exporter is told how to watch them."""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession

from exporter.demo import dataarts, epmware
from exporter.demo.__main__ import main
from exporter.demo.simulation import WORKLOADS, Simulation
from exporter.model import Status
from tests.demo.fakes import Caller, StillClock

WORDS = {
    "epmware": {
        "S": Status.SUCCESS,
        "E": Status.ERROR,
        "W": Status.WARNING,
        "C": Status.CANCELLED,
        "SUCCESS": Status.SUCCESS,
        "FAILED": Status.ERROR,
    },
    "dataarts": {"SUCCESSFUL": Status.SUCCESS, "FAILED": Status.ERROR, "WARNING": Status.WARNING},
    "pulp1": {
        "finished": Status.SUCCESS,
        "error": Status.ERROR,
        "timed out": Status.TIMED_OUT,
        "canceled": Status.CANCELLED,
    },
    "pulp": {
        "completed": Status.SUCCESS,
        "failed": Status.ERROR,
        "canceled": Status.CANCELLED,
        "skipped": Status.SKIPPED,
    },
}
"""The final words of each API, from its documents."""


@pytest.fixture
async def simulation(clock: StillClock) -> AsyncIterator[Simulation]:
    """All four, with everything that they ever did, and nothing limited."""
    async with Simulation(seed=7, clock=clock, keep=None) as simulation:
        for api in simulation.apis.values():
            api.limit = None
        yield simulation


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """A client's connections."""
    async with ClientSession() as session:
        yield session


def _basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(text.encode()).decode()}


async def _one_by_one(caller: Caller, path: str, ids: list[str]) -> list[dict[str, Any]]:
    return [(await caller.get(path + task_id)).json() for task_id in ids]


def _ids(simulation: Simulation, source: str) -> list[str]:
    return [truth.id for truth in simulation.truth() if truth.source == source]


async def _shown(simulation: Simulation, source: str, session: ClientSession) -> list[str]:
    """The words for the status of all tasks, got as a client would get them."""
    url, ids = simulation.urls[source], _ids(simulation, source)
    if source == "epmware":
        caller = Caller(session, url, {"Authorization": f"Token {epmware.TOKEN}"})
        return [task["status"] for task in await _one_by_one(caller, "/service/api/task/get_status/", ids)]
    if source == "dataarts":
        headers = {"X-Auth-Token": dataarts.TOKEN, "workspace": dataarts.WORKSPACE}
        path = f"/v1/{dataarts.PROJECT_ID}/system-tasks/"
        return [task["status"] for task in await _one_by_one(Caller(session, url, headers), path, ids)]
    if source == "pulp1":
        reply = await Caller(session, url, _basic("admin:admin")).get("/tasks/?state=archived")
        return [task["state"] for task in reply.json()]
    reply = await Caller(session, url, _basic("admin:password")).get("/pulp/api/v3/tasks/?limit=10000")
    return [task["state"] for task in reply.json()["results"]]


@pytest.mark.parametrize("source", [workload.source for workload in WORKLOADS])
async def test_what_an_api_shows_in_the_end_is_the_truth(
    simulation: Simulation, clock: StillClock, session: ClientSession, source: str
) -> None:
    """As many ends of each kind as the truth has, by the vendor's own words."""
    clock.forward(300)
    simulation.stop()
    clock.forward(3600)
    shown = Counter(WORDS[source][word] for word in await _shown(simulation, source, session))
    true = Counter(truth.status for truth in simulation.truth() if truth.source == source)
    assert shown == true
    assert sum(true.values()) > 50


async def test_the_configuration_watches_all_four(simulation: Simulation) -> None:
    """Names, addresses and each API's kind of credentials."""
    sources = {source["name"]: source for source in yaml.safe_load(simulation.config_yaml())["sources"]}
    assert {name: source["url"] for name, source in sources.items()} == simulation.urls
    assert sources["epmware"]["authorization"] == {"type": "Token", "credentials": epmware.TOKEN}
    assert sources["dataarts"]["http_headers"] == {"X-Auth-Token": {"secrets": [dataarts.TOKEN]}}
    assert sources["dataarts"]["options"]["project_id"] == dataarts.PROJECT_ID
    assert {sources[name]["basic_auth"]["username"] for name in ("pulp1", "pulp")} == {"admin"}
    assert all(sources[name]["registration"] for name in ("epmware", "dataarts"))


def _listed(simulation: Simulation, source: str) -> dict[str, dict[str, str]]:
    """The ids in a source's file, with their labels."""
    sources = {each["name"]: each for each in yaml.safe_load(simulation.config_yaml())["sources"]}
    (path,) = sources[source]["file_sd_configs"][0]["files"]
    groups = json.loads(Path(path).read_text("utf-8"))
    return {target: group["labels"] for group in groups for target in group["targets"]}


async def test_new_ids_are_handed_over_in_a_file(simulation: Simulation, clock: StillClock) -> None:
    """All of them, and gone some time after their end; EPMware's with the operation."""
    assert _listed(simulation, "epmware") == {}
    clock.forward(60)
    await simulation.hand_over()
    labels = {
        truth.id: {"operation": truth.operation, "name": truth.name}
        for truth in simulation.truth()
        if truth.source == "epmware"
    }
    assert _listed(simulation, "epmware") == labels
    assert set(_listed(simulation, "dataarts")) == set(_ids(simulation, "dataarts"))
    simulation.stop()
    clock.forward(3600)
    await simulation.hand_over()
    assert _listed(simulation, "epmware") == {}


@pytest.mark.parametrize("accepted", [True, False])
async def test_every_third_id_is_registered(
    simulation: Simulation, clock: StillClock, *, accepted: bool
) -> None:
    """By the hook, if there is one; what it does not accept goes into the file."""
    registered = []

    async def register(source: str, task_id: str, operation: str) -> bool:
        registered.append((source, task_id, operation))
        return accepted

    simulation.on_launch = register
    clock.forward(120)
    await simulation.hand_over()
    ids = _ids(simulation, "epmware")
    offered = [task_id for source, task_id, _ in registered if source == "epmware"]
    assert offered == ids[2::3]
    missing = set(ids) - set(_listed(simulation, "epmware"))
    assert missing == (set(offered) if accepted else set())


def test_a_speed_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the flag and the value."""
    with pytest.raises(SystemExit):
        main(["--speed", "0"])
    assert "--speed: 0 is not between 0 and 1000" in capsys.readouterr().err


async def test_the_module_prints_addresses_and_ends_when_told() -> None:
    """``python -m exporter.demo`` runs until SIGTERM and leaves with 0."""
    command = [sys.executable, "-m", "exporter.demo", "--seed", "7", "--speed", "5"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(120):
        lines = [(await process.stdout.readline()).decode() for _ in WORKLOADS]
        process.terminate()
        assert await process.wait() == 0
    assert [line.split()[0] for line in lines] == [workload.source for workload in WORKLOADS]
    assert all(" http://127.0.0.1:" in line for line in lines)
