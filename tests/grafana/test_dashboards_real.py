"""The dashboards against a real Prometheus that scrapes the demonstration, twice over."""

import asyncio
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yaml

from tests.grafana.reading import ROOT, Query, filled, queries
from tests.grafana.relay import Relay
from tests.real.program import free_port
from tests.real.prometheus import PrometheusServer
from tests.real.waiting import until

RULES = (ROOT / "prometheus" / "recording.yml").read_text(encoding="utf-8")
SPEED = 40
MOMENTS = 8
"""So many at the least are told of, for rates take several."""
RUNNING = (
    "asynctask_task_progress_ratio and on (source, task_id) asynctask_task_estimated_end_timestamp_seconds"
)
"""A task with progress that runs: only running ones have an estimate."""
ENOUGH_RUNS = 150
NOT_IN_THE_DEMONSTRATION = {
    "Duration against last week": "there was no last week",
    "Notification queue": "no receiver is configured",
    "Notifications": "no receiver is configured",
}
SUMMED = "asynctask-exporter"
"""The dashboard whose numbers are the exporters' own work: two do twice as much."""

ONE_OF_TWO = '", instance="a'
"""Put behind the sources that are chosen, it chooses one of the two exporters as well."""

Series = dict[str, float]


class ExemplaryPrometheus(PrometheusServer):
    """A Prometheus that keeps exemplars."""

    def command(self) -> list[str]:
        """As any other, with the feature."""
        return [*super().command(), "--enable-feature=exemplar-storage"]


def configuration(address: str) -> str:
    """Scrape the same exporter under two names, as two replicas that know the same."""
    targets = [{"targets": [address], "labels": {"instance": instance}} for instance in ("a", "b")]
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["recording.yml"],
            "scrape_configs": [{"job_name": "asynctask-exporter", "static_configs": targets}],
        }
    )


@asynccontextmanager
async def demonstration() -> AsyncIterator[str]:
    """The exporter with its simulated systems; the address of its metrics.

    Raises:
        RuntimeError: it ended by itself; tells its last words.
    """
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--speed={SPEED}", f"--web.listen-address={address}", "--log.level=warn"]
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exporter", "demo", *flags, stdout=log, stderr=log
        )
        try:
            yield f"http://{address}/metrics"
        finally:
            if process.returncode is not None:
                log.seek(0)
                raise RuntimeError(f"the demonstration ended:\n{log.read().decode()[-2000:]}")
            process.terminate()
            await process.wait()


async def begun(relay: Relay) -> None:
    """Wait until so many runs have ended that most kinds of series are there."""

    async def enough() -> bool:
        try:
            text = await relay.take()
        except aiohttp.ClientError:
            return False
        ended = re.findall(r"^asynctask_finished_total\{.*\} (\S+)$", text, flags=re.MULTILINE)
        return sum(map(float, ended)) >= ENOUGH_RUNS

    await until("enough runs ended", enough)


async def scraped(prometheus: PrometheusServer, taken_at: float) -> None:
    """Wait until both targets have been scraped since the metrics were taken."""

    async def both() -> bool:
        times = await prometheus.query("timestamp(asynctask_exporter_build_info)")
        return len(times) == 2 and min(sample.value for sample in times) >= taken_at

    await until("both targets are scraped", both)


@asynccontextmanager
async def stack() -> AsyncIterator[PrometheusServer]:
    """A Prometheus with some seconds of the demonstration, the last one at a moment when some task runs."""
    async with demonstration() as url, Relay(url) as relay:
        await begun(relay)
        files = {"recording.yml": RULES}
        async with ExemplaryPrometheus(configuration(relay.address), files) as prometheus:

            async def runs() -> bool:
                await relay.take()
                await scraped(prometheus, relay.taken_at)
                return bool(await prometheus.query(RUNNING))

            for _ in range(MOMENTS):
                await runs()
            await until("a task runs", runs)
            yield prometheus


async def evaluate(prometheus: PrometheusServer, query: Query, at: float, scope: str = "") -> Series:
    """The series of an answer; *scope* further narrows what sources are chosen."""
    expr = query.expr.replace('task_id="$task"', 'task_id=~".+"')
    values = {"source": f".*{scope}", "__rate_interval": "2m", "__range": "5m"}
    answer = await prometheus.get("/api/v1/query", query=filled(expr, **values), time=str(at))
    result = answer["data"]["result"]
    return {json.dumps(one["metric"], sort_keys=True): float(one["value"][1]) for one in result}


def differ(one: Series, two: Series) -> bool:
    """Whether two answers tell different stories."""
    return one.keys() != two.keys() or any(
        not math.isclose(one[key], two[key], rel_tol=1e-6, abs_tol=1e-9)
        for key in one
        if not math.isnan(one[key]) and not math.isnan(two[key])
    )


async def empty(prometheus: PrometheusServer, at: float) -> list[Query]:
    """The queries that return nothing."""
    return [query for query in queries() if not await evaluate(prometheus, query, at)]


async def doubled(prometheus: PrometheusServer, at: float) -> list[str]:
    """The queries about tasks that two exporters answer in another way than one, with both answers."""
    found = []
    for query in (query for query in queries() if query.dashboard != SUMMED):
        both, one = [await evaluate(prometheus, query, at, scope) for scope in ("", ONE_OF_TWO)]
        if differ(both, one):
            found.append(f"{query}\n{both}\n{one}")
    return found


async def exemplars(prometheus: PrometheusServer, at: float) -> list[dict[str, Any]]:
    """The exemplars of durations."""
    times = {"start": str(at - 3600), "end": str(at)}
    answer = await prometheus.get(
        "/api/v1/query_exemplars", query="asynctask_duration_seconds_bucket", **times
    )
    return [exemplar for series in answer["data"] for exemplar in series["exemplars"]]


async def test_dashboards_show_the_demonstration() -> None:
    """Every panel has data, two exporters tell what one does, and runs have exemplars."""
    naive = Query("", "", "", "", 'sum(asynctask_tasks{source=~"$source"})')
    async with stack() as prometheus:
        at = time.time()
        silent = await empty(prometheus, at)
        assert {query.panel for query in silent} <= NOT_IN_THE_DEMONSTRATION.keys(), [*map(str, silent)]
        assert all("Empty " in query.description for query in silent)
        assert await doubled(prometheus, at) == []
        assert differ(
            await evaluate(prometheus, naive, at), await evaluate(prometheus, naive, at, ONE_OF_TWO)
        )
        assert all("task_id" in exemplar["labels"] for exemplar in await exemplars(prometheus, at))
        assert await exemplars(prometheus, at)
