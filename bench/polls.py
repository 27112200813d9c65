"""CPU per status poll of 10,000 watched ids, beside a bare loop and beside json_exporter."""

import asyncio
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from statistics import NormalDist

import aiohttp
import orjson
import uvloop

from bench.boards import ended
from bench.figures import Figure, Part, at_most, ratios
from bench.isolated import measure
from bench.server import serving
from exporter.apis.epmware import Epmware, EpmwareOptions
from exporter.clock import SystemClock
from exporter.http.client import HttpClient
from exporter.http.settings import HttpSettings
from exporter.metrics.own import SourceStats
from exporter.model import WatchedId
from exporter.polling.poller import Poller
from exporter.polling.schedule import Bounds
from exporter.polling.settings import PollSettings
from exporter.store.board import Board
from exporter.store.entry import BoardRules
from exporter.store.ledger import Change, Ledger, LedgerSettings

IDS = [str(244591 + number) for number in range(10_000)]
_POLLS = 10_000
_PROBES = 3_000
_TOGETHER = 4
_PAST = sorted(7200 * math.exp(0.3 * NormalDist().inv_cdf((run + 0.5) / 50)) for run in range(50))
"""Seconds that earlier runs took: what the next poll is planned by."""
_ENDPOINT = "service/api/task/get_status"
_CACHE = Path(".cache")
_PEER = "github.com/prometheus-community/json_exporter"
_PEER_VERSION = "v0.7.0"
_PEER_CONFIG = """
modules:
  epmware:
    metrics:
      - {name: task, help: A task., type: object, path: '{$}',
         labels: {task_id: '{.taskId}', status: '{.status}'},
         values: {progress: '{.percentCompleted}', processed: '{.recordsProcessed}',
                  expected: '{.totalRecords}'}}
"""


def bare(url: str) -> float:
    """CPU seconds per request of a loop that fetches the documents, reads the JSON and does nothing else."""
    return uvloop.run(_bare(url))


async def _bare(url: str) -> float:
    rest = iter(IDS[:_POLLS])

    async def work(session: aiohttp.ClientSession) -> None:
        for task_id in rest:
            async with session.get(f"{url}/{_ENDPOINT}/{task_id}") as answer:
                orjson.loads(await answer.read())

    async with aiohttp.ClientSession() as session:
        began = time.process_time()
        await asyncio.gather(*(work(session) for _ in range(_TOGETHER)))
        return (time.process_time() - began) / _POLLS


def ours(url: str) -> float:
    """CPU seconds per poll of the exporter: answers read, applied, stored behind, and planned anew."""
    return uvloop.run(_ours(url))


async def _ours(url: str) -> float:
    async with polling(url) as (stats, _):
        await until(stats, len(IDS) + 1_000)  # The first sight of each task is not the usual poll.
        before, began = answers(stats), time.process_time()
        await until(stats, before + _POLLS)
        return (time.process_time() - began) / (answers(stats) - before)


@asynccontextmanager
async def polling(url: str) -> AsyncIterator[tuple[SourceStats, Board]]:
    """Poll all ids as fast as it goes, with a ledger on the disk."""
    clock, stats, board = SystemClock(), SourceStats("epm", "epmware"), Board("epm", BoardRules())
    settings = HttpSettings(url=url, requests_per_second=math.inf, concurrency=_TOGETHER)
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger.open(LedgerSettings(path=Path(directory)), clock)
        async with HttpClient(settings, clock=clock, observer=stats) as client:
            poller = Poller(
                api=Epmware(client, EpmwareOptions()),
                board=board,
                ledger=ledger,
                state=ledger.declare("epm", ["import"]),
                settings=PollSettings(bounds=Bounds(least=0.01, most=0.01), concurrency=_TOGETHER),
                observer=stats,
                clock=clock,
                dice=Random(1),  # noqa: S311 - jitter
                hide=client.hide,
            )
            await ledger.start()
            await ledger.record(
                Change(transitions=[ended(run, seconds) for run, seconds in enumerate(_PAST)])
            )
            await poller.watch("static", [WatchedId(id=task_id, operation="import") for task_id in IDS])
            running = asyncio.create_task(poller.run())
            yield stats, board
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await ledger.close()


def peer(url: str) -> float:
    """CPU seconds per probe of json_exporter, each mapping the document of one task."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "config.yml"
        config.write_text(_PEER_CONFIG)
        with _probed(config) as (process, address):
            asyncio.run(_probe(address, url, 300))
            began = _cpu(process)
            asyncio.run(_probe(address, url, _PROBES))
            return (_cpu(process) - began) / _PROBES


@contextmanager
def _probed(config: Path) -> Iterator[tuple[int, str]]:
    port = 17979
    command = [
        str(_peer()),
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command) as process:  # noqa: S603 - built by us
        try:
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


async def _probe(address: str, url: str, probes: int) -> None:
    rest = iter(range(probes))

    async def work(session: aiohttp.ClientSession) -> None:
        for number in rest:
            query = {"module": "epmware", "target": f"{url}/{_ENDPOINT}/{IDS[number]}"}
            async with session.get(f"{address}/probe", params=query) as answer:
                text = await answer.text()
                if answer.status != 200 or "task_progress" not in text:  # noqa: PLR2004 - OK
                    raise RuntimeError(text)

    async with aiohttp.ClientSession() as session:
        await _reached(session, address)
        await asyncio.gather(*(work(session) for _ in range(_TOGETHER)))


async def _reached(session: aiohttp.ClientSession, address: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with session.get(address):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def _peer() -> Path:
    return (_CACHE / "bin" / "json_exporter").resolve()


def has_peer() -> bool:
    """Whether json_exporter is there; it is built where Go is."""
    if not _peer().exists() and shutil.which("go"):
        module = _CACHE / "json_exporter"
        module.mkdir(parents=True, exist_ok=True)
        (module / "go.mod").write_text(f"module peer\n\ngo 1.23\n\nrequire {_PEER} {_PEER_VERSION}\n")
        environ = {**os.environ, "GOPATH": str((_CACHE / "go").resolve()), "GOFLAGS": "-mod=mod"}
        build = ["go", "build", "-o", str(_peer()), _PEER]
        subprocess.run(build, cwd=module, env=environ, check=False)  # noqa: S603 - from above
    return _peer().exists()


def _cpu(process: int) -> float:
    """Seconds that a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(stats: SourceStats) -> int:
    """How many polls were answered."""
    return stats.requests["get_status", "200"]


async def until(stats: SourceStats, polls: int) -> None:
    """Wait for so many answers."""
    while answers(stats) < polls:  # noqa: ASYNC110 - nobody announces answers
        await asyncio.sleep(0.02)


def run(runs: int) -> Sequence[Figure]:
    """Measure all in turn, so that the machine's moods hit all alike."""
    known = ["bare", "ours", *(["peer"] if has_peer() else [])]
    found: dict[str, list[float]] = {name: [] for name in known}
    with serving() as url:
        for _ in range(runs):
            for name in known:
                found[name].append(1e6 * measure(f"polls:{name}", url=url))
    figures = [
        at_most("CPU per poll, of the bare loop's", ratios(found["ours"], found["bare"]), "x", 1.5),
        Figure(what="CPU per poll: ours", values=found["ours"], unit="us"),
        Figure(
            what="CPU per poll: bare aiohttp, uvloop and orjson (the limit)", values=found["bare"], unit="us"
        ),
    ]
    if "peer" not in found:
        return [
            *figures,
            Figure(what="json_exporter: left out, as Go is missing", values=[math.nan], unit=""),
        ]
    return [
        *figures,
        at_most("CPU per task status, of json_exporter's", ratios(found["ours"], found["peer"]), "x", 1.0),
        Figure(what=f"CPU per task status: json_exporter {_PEER_VERSION}", values=found["peer"], unit="us"),
    ]


PART = Part(title="CPU per status poll, 10,000 watched ids", run=run)
