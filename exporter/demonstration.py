"""The command ``asynctask-exporter demo``: simulated systems, and an exporter that watches them."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter import config
from exporter.app import App, Flags
from exporter.demo.simulation import Simulation
from exporter.watch import NotWatched, watch


async def run(flags: Flags, *, seed: int, speed: float) -> None:
    """Run until cancelled; the ledger goes when the demonstration does."""
    with TemporaryDirectory(prefix="asynctask-demo-") as folder:
        async with Simulation(seed=seed, speed=speed) as simulation:
            configuration = config.parse(simulation.config_yaml(), Path(folder))
            app = App.open(configuration, replace(flags, storage=Path(folder, "ledger")))
            greets = asyncio.create_task(greet(app, flags.telemetry_path, simulation))
            try:
                await app.run()
            finally:
                greets.cancel()


async def greet(app: App, telemetry_path: str, simulation: Simulation) -> None:
    """Once it serves, say where, and hand over what is started from then on."""
    await app.serving.wait()
    url = address(app)
    simulation.on_launch = Launcher(url).register
    sys.stdout.write(greeting(url, telemetry_path, simulation))
    sys.stdout.flush()


class Launcher:
    """Whoever starts a task and hands its id to the exporter, as a script would."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def register(self, source: str, task_id: str, operation: str) -> bool:
        """Register a task; tell whether that was accepted."""
        try:
            await watch(self._url, source, [task_id], operation=operation)
        except NotWatched:
            return False
        return True


def address(app: App) -> str:
    """Where a browser on this machine finds the exporter."""
    first = app.addresses[0]
    host = "localhost" if first.host in ("", "0.0.0.0", "::") else first.host  # noqa: S104 - read, not bound
    return f"http://[{host}]:{first.port}" if ":" in host else f"http://{host}:{first.port}"


def greeting(url: str, telemetry_path: str, simulation: Simulation) -> str:
    """Where to look."""
    lines = [
        "",
        "Four simulated systems are up, and the exporter watches their tasks:",
        *(f"  {source:10} {at}" for source, at in simulation.urls.items()),
        "",
        f"  {url}/                    start here",
        f"  {url}{telemetry_path:20} what Prometheus scrapes",
        f"  {url}/api/v1/tasks        the tasks as JSON",
        f"  {url}/api/v1/sources      the sources as JSON",
        "",
        "Tasks of all kinds of ends appear within two minutes. Ctrl-C ends it.",
        "",
        "",
    ]
    return "\n".join(lines)
