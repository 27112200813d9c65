"""How long the event loop is held up while 10,000 tasks are polled as fast as it goes, and scraped."""

import asyncio
import gzip
import time
from collections.abc import Sequence

import uvloop

from bench.boards import scraped
from bench.figures import Figure, Part, at_most, quantile
from bench.isolated import measure
from bench.polls import IDS, answers, polling, until
from bench.server import serving
from exporter.metrics.exposition import Snapshot, families, render
from exporter.store.board import Board

_TICK = 0.002
_SECONDS = 12.0
_SCRAPE_EVERY = 1.0
"""Prometheus comes every 15 seconds; this is fifteen of them."""
_LEVEL = 5
Found = dict[str, float]


def held_up(url: str) -> Found:
    """Milliseconds by which ticks came late, and polls and scrapes a second meanwhile."""
    return uvloop.run(_held_up(url))


async def _held_up(url: str) -> Found:
    async with polling(url) as (stats, board):
        await until(stats, len(IDS) + 1_000)
        before = answers(stats)
        scraping = asyncio.create_task(_scrape_on(board))
        late = await _ticks()
        scraping.cancel()
        return {
            "p99.9": quantile(late, 0.999),
            "longest": max(late),
            "median": quantile(late, 0.5),
            "polls": (answers(stats) - before) / _SECONDS,
        }


async def _ticks() -> list[float]:
    """By how many milliseconds the loop was late, tick by tick."""
    late: list[float] = []
    end = time.perf_counter() + _SECONDS
    while (began := time.perf_counter()) < end:
        await asyncio.sleep(_TICK)
        late.append(1e3 * max(0.0, time.perf_counter() - began - _TICK))
    return late


async def _scrape_on(board: Board) -> None:
    while True:
        await asyncio.to_thread(_answer, scraped(board))
        await asyncio.sleep(_SCRAPE_EVERY)


def _answer(taken: Snapshot) -> bytes:
    return gzip.compress(render(families(taken))[0], _LEVEL, mtime=0)


def run(runs: int) -> Sequence[Figure]:
    """Measure in a process of its own each time."""
    with serving() as url:
        found: list[Found] = [measure("blocking:held_up", url=url) for _ in range(runs)]
    return [
        at_most("late ticks, p99.9", [one["p99.9"] for one in found], "ms", 15),
        Figure(what="late ticks, the latest", values=[one["longest"] for one in found], unit="ms"),
        Figure(what="late ticks, median", values=[one["median"] for one in found], unit="ms"),
        Figure(what="polls meanwhile", values=[one["polls"] for one in found], unit="/s"),
    ]


PART = Part(title="How long the event loop is held up at full load", run=run)
