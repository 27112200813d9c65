"""The demo with a real Prometheus and Alertmanager beside it, as `make stack` starts them."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.grafana.reading import Query, filled, queries
from tests.real.program import free_port
from tests.real.waiting import until

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\\basynctask[a-z0-9_:]*\\b(?=[{\\[)\\s]|$)")
"""A metric in a rule."""


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
        await asyncio.wait_for(process.wait(), 120)


ABSENT = {
    "Duration against last week": "there was no last week",
    "Notification queue": "no receiver is configured",
    "Notifications": "no receiver is configured",
}
"""Panels that have nothing to draw."""
NOT_THERE = re.compile(r"asynctask_notifications_.*|asynctask:not_succeeded_threshold:seconds")
"""What rules ask for that the demo has not: receivers, and the operator's own thresholds."""


async def test_the_shipped_files_fit_together() -> None:
    """Failures reach Alertmanager; every rule finds what it asks for; every panel has something to draw."""
    async with stack() as running:

        async def told() -> bool:
            alerts = await running.get("ALERTMANAGER", "/api/v2/alerts")
            return bool(alerts) and any(one["labels"]["alertname"] == "AsyncTaskFailed" for one in alerts)

        async def all_drawn() -> bool:
            return not [query.panel for query in await undrawn(running)]

        await until("a failure has reached Alertmanager", told)
        try:
            await until("every panel has something to draw", all_drawn)
        except TimeoutError:
            assert await undrawn(running) == []
        groups = (await running.get("PROMETHEUS", "/api/v1/rules"))["data"]["groups"]
        all_rules = [rule for group in groups for rule in group["rules"]]
        assert [rule["name"] for rule in all_rules if rule["health"] == "err"] == []
        for name in {name for rule in all_rules for name in NAME.findall(rule["query"])}:
            assert NOT_THERE.fullmatch(name) or await running.query(name), name


async def undrawn(running: Stack) -> list[Query]:
    """The queries that have no data, of panels that ought to have some."""
    asked = [query for query in queries() if query.panel not in ABSENT]
    return [query for query in asked if not await running.query(any_task(query.expr))]


def any_task(expr: str) -> str:
    """A panel's query with its variables filled in, and any task for the one that a person would choose."""
    return filled(expr.replace('task_id="$task"', 'task_id=~".+"'))
