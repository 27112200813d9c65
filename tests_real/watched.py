"""The exporter as a process that watches a real Pulp, and how it is compared with that Pulp."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.campaigns.process import Exporter, Samples
from tests_real.client import PulpClient, PulpTask, task_id
from tests_real.server import PASSWORD, USER
from tests_real.truth import FAMILIES, Counts, expected, observed
from tests_real.waiting import until

_A_LISTING = 2
_MORE_LISTINGS = 6
"""Requests for three listings, or for one with many pages: time enough to count something twice."""
_SETTLING = 300.0
_LAST_WORDS = 3000


class Watched:
    """A Pulp as the exporter sees it.

    Args:
        exporter: already running.
        pulp: what it watches.
        history: the ids of the tasks that had ended before the exporter first started.
    """

    def __init__(self, exporter: Exporter, pulp: PulpClient, history: frozenset[str]) -> None:
        self.exporter = exporter
        self._pulp = pulp
        self._history = history
        self._requests_before = 0.0

    async def news(self) -> list[PulpTask]:
        """Pulp's tasks since the exporter first started."""
        tasks = await self._pulp.tasks()
        return [task for task in tasks if task_id(task["pulp_href"]) not in self._history]

    async def board(self) -> dict[str, dict[str, Any]]:
        """The tasks that the exporter shows, by id."""
        url = f"{self.exporter.url}/api/v1/tasks?limit=5000"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            told = await answer.json()
        return {task["task_id"]: task for task in told["data"]["tasks"]}

    async def samples(self, name: str, **labels: str) -> list[float]:
        """The values of the samples with this name and these labels."""
        wanted = labels.items()
        shown = await self._scrape([name])
        return [
            value for (called, has), value in shown.items() if called == name and wanted <= dict(has).items()
        ]

    async def sees(self, task: str, status: str) -> None:
        """Wait until the metrics show a task in this status."""

        async def is_seen() -> bool:
            shown = await self.samples("asynctask_task_status", task_id=task_id(task), status=status)
            return shown == [1.0]

        await until(f"{task} is seen {status}", is_seen)

    async def agrees(self) -> None:
        """Wait until all that Pulp did is counted and for some more listings; compare every figure."""
        truth = expected(await self.news())

        async def is_settled() -> bool:
            return await self._counted() == truth

        with suppress(TimeoutError):  # The comparison below tells what is missing.
            await until("the counters equal Pulp's own times", is_settled, seconds=_SETTLING)
        await self.listed(_MORE_LISTINGS)
        counted, truth = await self._counted(), expected(await self.news())
        wrong = {key: (counted[key], truth[key]) for key in {*counted, *truth} if counted[key] != truth[key]}
        assert not wrong, f"what was counted, and what Pulp tells: {wrong}"

    async def listed(self, requests: int = _A_LISTING) -> None:
        """Wait until the exporter has made so many more requests."""
        before = await self._requests()

        async def is_listed() -> bool:
            return await self._requests() >= before + requests

        await until("the exporter lists", is_listed)

    async def kill(self) -> None:
        """End the exporter as a power cut would."""
        self._requests_before += await self._requests()
        await self.exporter.kill()

    async def restart(self) -> None:
        """Start it again on the same ledger."""
        await self.exporter.start()
        await self.exporter.ready()

    async def requests(self) -> float:
        """How many requests it has made, over all its processes."""
        return self._requests_before + await self._requests()

    async def delays(self) -> list[float]:
        """Seconds from the end of each task, by Pulp's clock, until the exporter knew of it."""
        ended = [task for task in (await self.board()).values() if task["finished_at"]]
        return [_since(task["finished_at"], task["status_since"]) for task in ended]

    async def _counted(self) -> Counts:
        return observed(await self._scrape(FAMILIES))

    async def _requests(self) -> float:
        return sum(await self.samples("asynctask_api_requests_total", code="200"))

    async def _scrape(self, names: Iterable[str]) -> Samples:
        query = [("name[]", name) for name in names]
        url = f"{self.exporter.url}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
            text = await answer.text()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@asynccontextmanager
async def watching(pulp: PulpClient, folder: Path, *, page_size: int = 100) -> AsyncIterator[Watched]:
    """Let an exporter without memory watch a Pulp that has been quiet for a moment."""
    await pulp.quiet()
    history = frozenset(task_id(task["pulp_href"]) for task in await pulp.tasks())
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(pulp.url, page_size)))
    with (folder / "exporter.log").open("ab") as log:
        exporter = Exporter(config, folder / "ledger", log)
        await exporter.start()
        try:
            await exporter.ready()
            watched = Watched(exporter, pulp, history)
            await watched.listed()
            yield watched
        except Exception as error:
            error.add_note((folder / "exporter.log").read_text()[-_LAST_WORDS:])
            raise
        finally:
            await exporter.stop()


def _config(url: str, page_size: int) -> dict[str, object]:
    source = {
        "name": "pulp",
        "api": "pulp",
        "url": url,
        "basic_auth": {"username": USER, "password": PASSWORD},
        "options": {"page_size": page_size},
        "polling": {"min_interval": "1s", "list_interval": "1s"},
    }
    return {"sources": [source]}


def _since(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
