"""How long the event loop is held up while 10,000 tasks are polled as fast as it goes, and scraped."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.boards import scraped
from bench.figures import Figure, Part, at_most, quantile
from bench.isolated import measure
from bench.polls import IDS, answers, polling, until
from bench.server import serving
from exporter.metrics.exposition import Snapshot, families, render
from exporter.metrics.packing import compressed
from exporter.store.board import Board

_TICK = 0.002
_SECONDS = 8.0
_SCRAPE_EVERY = 1.0
"""Prometheus comes every 15 seconds; this is as if fifteen came."""
Found = dict[str, float]


def held_up(url: str) -> Found:
    """Milliseconds by which ticks came late, and polls and scrapes a second meanwhile."""
    return uvloop.run(_held_up(url))


async def _held_up(url: str) -> Found:
    async with polling(url) as (stats, board):
        await until(stats, len(IDS) + 1_000)
        before = answers(stats)
        scraping = asyncio.create_task(_scrape_on(board))
        late, ours, busy = await _ticks()
        scraping.cancel()
        return {
            "late p99.9": quantile(late, 0.999),
            "latest": max(late),
            "ours p99.9": quantile(ours, 0.999),
            "busy p99.9": quantile(busy, 0.999),
            "busiest": max(busy),
            "polls": (answers(stats) - before) / _SECONDS,
        }


def idle() -> Found:
    """The same of a loop that has nothing to do: what the machine alone makes late."""
    late, _, _ = uvloop.run(_ticks())
    return {"late p99.9": quantile(late, 0.999)}


async def _ticks() -> tuple[list[float], list[float], list[float]]:
    """By how many milliseconds each tick was late, the same without the wait for a core, and the own work."""
    late: list[float] = []
    ours: list[float] = []
    busy: list[float] = []
    end = time.perf_counter() + _SECONDS
    while (began := time.perf_counter()) < end:
        worked, waited = time.thread_time(), _waited()
        await asyncio.sleep(_TICK)
        over = time.perf_counter() - began - _TICK
        late.append(1e3 * max(0.0, over))
        ours.append(1e3 * max(0.0, over - (_waited() - waited)))
        busy.append(1e3 * max(0.0, time.thread_time() - worked - _TICK))
    return late, ours, busy


def _waited() -> float:
    """Seconds for which this thread could have run and had no core, as Linux' scheduler tells."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


async def _scrape_on(board: Board) -> None:
    while True:
        await asyncio.to_thread(_answer, scraped(board))
        await asyncio.sleep(_SCRAPE_EVERY)


def _answer(taken: Snapshot) -> Sequence[bytes]:
    return compressed(render(families(taken))[0])


def run(runs: int) -> Sequence[Figure]:
    """Measure in a process of its own each time."""
    with serving() as url:
        found: list[Found] = [measure("blocking:held_up", url=url) for _ in range(runs)]
    alone: list[Found] = [measure("blocking:idle") for _ in range(runs)]
    return [
        at_most("late ticks, p99.9", _all(found, "late p99.9"), "ms", 15),
        Figure(what="late ticks of an idle loop, p99.9", values=_all(alone, "late p99.9"), unit="ms"),
        at_most("late ticks without the wait for a core, p99.9", _all(found, "ours p99.9"), "ms", 15),
        Figure(what="late ticks, the latest", values=_all(found, "latest"), unit="ms"),
        at_most("the loop's own work between two ticks, p99.9", _all(found, "busy p99.9"), "ms", 15),
        Figure(
            what="the loop's own work between two ticks, the most", values=_all(found, "busiest"), unit="ms"
        ),
        Figure(what="polls meanwhile", values=_all(found, "polls"), unit="/s"),
    ]


def _all(found: Sequence[Found], name: str) -> list[float]:
    return [one[name] for one in found]


PART = Part(title="How long the event loop is held up at full load", run=run)
