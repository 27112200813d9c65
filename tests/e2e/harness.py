"""The whole exporter inside a test, on a port and a ledger that outlive it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from exporter import config
from exporter.app import App, Flags
from exporter.demo.simulation import WORKLOADS, Simulation
from exporter.web.server import Address
from tests.real.program import free_port
from tests.real.prometheus import PrometheusServer


def silent_simulation(**more: Any) -> Simulation:  # noqa: ANN401 - what a Simulation takes
    """The four simulated systems with nothing to do but what the test adds."""
    return Simulation(workloads=tuple(workload.silent() for workload in WORKLOADS), keep=None, **more)


def configured(simulation: Simulation, only: Sequence[str] = (), **every: object) -> str:
    """The simulation's own configuration, for some of its sources, with the same settings in *every* one."""
    told = yaml.safe_load(simulation.config_yaml())
    sources = [source | every for source in told["sources"] if not only or source["name"] in only]
    return yaml.safe_dump({"sources": sources})


class Exporter:
    """An exporter that may be stopped and started again."""

    def __init__(self, configuration: str, folder: Path) -> None:
        self.address = Address("127.0.0.1", free_port())
        self.url = f"http://{self.address}"
        self.configuration = configuration
        self._flags = Flags(addresses=[self.address], storage=folder / "ledger")
        self._folder = folder
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        app = App.open(config.parse(self.configuration, self._folder), self._flags)
        self._running = asyncio.create_task(app.run())
        serving = asyncio.create_task(app.serving.wait())
        await asyncio.wait([self._running, serving], return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            serving.cancel()
            self._running.result()

    async def stop(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None


@asynccontextmanager
async def exporting(configuration: str, folder: Path) -> AsyncIterator[Exporter]:
    """Run an exporter for as long as the block."""
    exporter = Exporter(configuration, folder)
    await exporter.start()
    try:
        yield exporter
    finally:
        await exporter.stop()


def scraping(exporter: Exporter, interval: str = "1s") -> PrometheusServer:
    """A real Prometheus that scrapes it."""
    return PrometheusServer(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": interval, "scrape_timeout": "1s"},
                "scrape_configs": [
                    {"job_name": "asynctask", "static_configs": [{"targets": [str(exporter.address)]}]}
                ],
            }
        )
    )
