"""The demo with a real Prometheus and Alertmanager beside it, as `make stack` starts them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.grafana.reading import filled, queries
from tests.real.program import free_port
from tests.real.waiting import until

ROOT = Path(__file__).parents[2]


class Stack:
    """Where the three are."""

    def __init__(self) -> None:
        self.ports = {name: free_port() for name in ("EXPORTER", "PROMETHEUS", "ALERTMANAGER")}

    async def get(self, name: str, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON of either program
        """Ask one of them; None while it is not there yet."""
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
                return await answer.json()
        except aiohttp.ClientError:
            return None

    async def query(self, promql: str) -> list[Any]:
        """What Prometheus answers; nothing while it is not there yet."""
        answer = await self.get("PROMETHEUS", "/api/v1/query", query=promql)
        return list(answer["data"]["result"]) if answer else []


@asynccontextmanager
async def stack() -> AsyncIterator[Stack]:
    """Start it in a hurry; a signal to the script ends all three."""
    running = Stack()
    ports = {f"{name}_PORT": str(port) for name, port in running.ports.items()}
    hurry = {"SPEED": "20", "INTERVAL": "1s", "EXPORTER_PYTHON": sys.executable}
    process = await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "stack",
        env=os.environ | ports | hurry,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


async def test_failures_of_the_demo_reach_alertmanager_and_every_panel_can_be_drawn() -> None:
    """The shipped files fit together: scraped, evaluated, told; no query of a dashboard is refused."""
    async with stack() as running:

        async def told() -> bool:
            alerts = await running.get("ALERTMANAGER", "/api/v2/alerts")
            return bool(alerts) and any(one["labels"]["alertname"] == "AsyncTaskFailed" for one in alerts)

        await until("a failure has reached Alertmanager", told, seconds=90)
        assert await running.query('up{job="asynctask-exporter"} == 1')
        groups = (await running.get("PROMETHEUS", "/api/v1/rules"))["data"]["groups"]
        assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []
        for query in queries():
            answer = await running.get("PROMETHEUS", "/api/v1/query", query=filled(query.expr))
            assert answer["status"] == "success", (query, answer)
