"""Four simulated task APIs on this machine, and the configuration of an exporter that watches them."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import yaml

from exporter.clock import Clock, SystemClock
from exporter.demo import dataarts, epmware, pulp, pulp1
from exporter.demo.handover import Handover, Register
from exporter.demo.server import Api, Server
from exporter.demo.tasks import SimTask, Truth
from exporter.demo.workload import Workload
from exporter.demo.world import World

WORKLOADS = (epmware.WORKLOAD, dataarts.WORKLOAD, pulp1.WORKLOAD, pulp.WORKLOAD)
HANDED_OVER = (epmware.WORKLOAD.source, dataarts.WORKLOAD.source)
"""The sources whose tasks nobody can list."""
CREDENTIALS: Mapping[str, Mapping[str, Any]] = {
    "epmware": {"authorization": {"type": "Token", "credentials": epmware.TOKEN}},
    "dataarts": {"http_headers": {"X-Auth-Token": {"secrets": [dataarts.TOKEN]}}},
    "pulp1": {"basic_auth": {"username": pulp1.USERNAME, "password": pulp1.PASSWORD}},
    "pulp": {"basic_auth": {"username": pulp.USERNAME, "password": pulp.PASSWORD}},
}
"""What each API wants, as the configuration of a source spells it."""


class Simulation:
    """All four simulated APIs; an async context manager.

    Args:
        seed: chooses one of many possible courses of events.
        speed: how much faster than in reality everything goes.
        clock: tells all of them the time.
        port_base: the first of four ports to listen on; 0 for free ones.
        keep: how long ended tasks are remembered, on the simulated time scale; None for ever.
        listed_for: how long ids are handed over after the end of their task, on the same scale.
        workloads: what the four have to do, in the order of `WORKLOADS`.

    Attributes:
        worlds: the truth of each source, by the source's name.
        apis: each simulated API: its faults, limit, skew and counts of requests.
        servers: each API's socket, which can go `down` and `up`.
        on_launch: registers every third new id of `HANDED_OVER`; without it all go through the files.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        speed: float = 1.0,
        clock: Clock | None = None,
        port_base: int = 0,
        keep: timedelta | None = timedelta(hours=2),
        listed_for: timedelta = timedelta(minutes=10),
        workloads: tuple[Workload, ...] = WORKLOADS,
    ) -> None:
        self.speed = speed
        self.clock = clock or SystemClock()
        self.worlds = {
            workload.source: World(workload, self.clock, seed=seed, speed=speed, keep=keep and keep / speed)
            for workload in workloads
        }
        self.apis: dict[str, Api] = _apis(self.worlds, speed)
        ports = range(port_base, port_base + len(self.apis)) if port_base else [0] * len(self.apis)
        self.servers = {
            source: Server(api, port=port)
            for (source, api), port in zip(self.apis.items(), ports, strict=True)
        }
        self.on_launch: Register | None = None
        self._listed_for = listed_for / speed
        self._folder: TemporaryDirectory[str] | None = None
        self._handovers: dict[str, Handover] = {}
        self._handing_over = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    @property
    def urls(self) -> dict[str, str]:
        """Where each API listens, with its base path."""
        return {source: server.url for source, server in self.servers.items()}

    def truth(self, now: datetime | None = None) -> list[Truth]:
        """Tell what became of every run of every task by *now*."""
        return [truth for world in self.worlds.values() for truth in world.truth(now)]

    def stop(self) -> None:
        """Create no more tasks; those that there are come to their ends."""
        for world in self.worlds.values():
            world.stop()

    async def hand_over(self) -> None:
        """Hand over the ids that are new; done by itself about once a second of simulated time."""
        async with self._handing_over:
            for handover in self._handovers.values():
                await handover.update(self.on_launch)

    def config_yaml(self) -> str:
        """The text of a configuration that watches all four."""
        return yaml.safe_dump({"sources": [self._source(name) for name in self.apis]}, sort_keys=False)

    async def __aenter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="asynctask-demo-")
        for source in HANDED_OVER:
            self._handovers[source] = Handover(
                self.worlds[source],
                Path(self._folder.name, f"{source}.json"),
                listed_for=self._listed_for,
                labels=_epmware_labels if source == "epmware" else _no_labels,
            )
        for server in self.servers.values():
            await server.up()
        await self.hand_over()
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        for server in self.servers.values():
            await server.down()
        if self._folder is not None:
            self._folder.cleanup()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(max(0.1, 1 / self.speed))
            await self.hand_over()

    def _source(self, name: str) -> dict[str, Any]:
        """One source, as the configuration spells it."""
        workload = self.worlds[name].workload
        source: dict[str, Any] = {"name": name, "api": name, "url": self.servers[name].url}
        source |= CREDENTIALS[name]
        if name == "dataarts":
            rules = [
                {"match": match, "operation": operation} for match, operation in dataarts.OPERATION_RULES
            ]
            options = {"project_id": dataarts.PROJECT_ID, "workspace": dataarts.WORKSPACE}
            source |= {"options": options, "operation_rules": rules}
        if name in HANDED_OVER:
            files = [str(self._handovers[name].path)]
            source |= {"file_sd_configs": [{"files": files}], "registration": True}
        recurring = [each.kind for each in workload.recurring]
        return source | {
            "operations": [kind.operation for kind in (*workload.kinds, *recurring)],
            "polling": self._polling(name),
            "stalled_after": self._duration(60),
            "deadline": self._duration(120),
            "keep": self._duration(120),
            "keep_failed": self._duration(300),
        }

    def _polling(self, name: str) -> dict[str, Any]:
        polling: dict[str, Any] = {
            "min_interval": self._duration(2),
            "max_interval": self._duration(30),
            "list_interval": self._duration(5),
            "max_backoff": self._duration(30),
            "timeout": "5s",
        }
        rates = {"epmware": 1.5, "dataarts": 2.5}
        return polling | ({"requests_per_second": rates[name] * self.speed} if name in rates else {})

    def _duration(self, seconds: float) -> str:
        """So many seconds of simulated time, in real milliseconds, but never too short to poll at."""
        return f"{max(200, round(seconds * 1000 / self.speed))}ms"


def _apis(worlds: Mapping[str, World], speed: float) -> dict[str, Api]:
    return {
        "epmware": epmware.Epmware(worlds["epmware"], limit=epmware.documented_limit(speed)),
        "dataarts": dataarts.Dataarts(worlds["dataarts"], limit=dataarts.documented_limit(speed)),
        "pulp1": pulp1.Pulp1(worlds["pulp1"]),
        "pulp": pulp.Pulp(worlds["pulp"]),
    }


def _epmware_labels(task: SimTask) -> dict[str, str]:
    """What the caller of the run endpoint knows, and the status does not tell."""
    return {"operation": task.operation, "name": task.name}


def _no_labels(_task: SimTask) -> dict[str, str]:
    """Nothing: the name tells the operation, by a rule in the configuration."""
    return {}
