"""A scrape with 10,000 unfinished tasks, beside prometheus_client's own registry; and with 100,000."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from bench.boards import filled, scraped, tell
from bench.figures import Figure, Part, at_least, at_most, quantile, ratios
from bench.isolated import measure
from exporter.metrics.exposition import Snapshot, families, render
from exporter.metrics.family import collect
from exporter.metrics.packing import chunks, compressed
from exporter.metrics.tasks import METRICS
from exporter.store.board import Board

_OPENMETRICS = "application/openmetrics-text;version=1.0.0"
_FORMS = {"text": "", "OpenMetrics": _OPENMETRICS}
_SCRAPES = 8
_QUARTER = 4
_FEW = "1 % moved"
_USUAL = "25 % moved"
_MOVED = {_FEW: 100, _USUAL: _QUARTER}
"""How many tasks have moved since the last scrape: every hundredth is what an API is asked for that allows
seven requests a second, every fourth what all tasks beyond an hour get at one request a minute."""
Times = dict[str, list[float]]


def ours(tasks: int, scrapes: int) -> Times:
    """CPU seconds of each scrape, after the first one, by format and encoding."""
    board = filled(tasks)
    found: Times = {"the first": [_timed(lambda: _scrape(board, ""))]}
    for name, accept in _FORMS.items():
        for moved, every in _MOVED.items():
            for number in range(scrapes):
                tell(board, range(number % every, tasks, every))
                plain = _timed(partial(_scrape, board, accept))
                packed = _timed(partial(compressed, render(families(scraped(board)), accept)[0]))
                found.setdefault(f"{name}, {moved}", []).append(plain)
                found.setdefault(f"{name}, gzip, {moved}", []).append(plain + packed)
    found["lines"] = [float(sum(piece.count(b"\n") for piece in render(families(scraped(board)))[0]))]
    return found


def many(tasks: int, scrapes: int) -> Times:
    """CPU seconds of plain text scrapes, after the first one."""
    board, found = filled(tasks), []
    _scrape(board, "")
    for number in range(scrapes):
        tell(board, range(number % _QUARTER, tasks, _QUARTER))
        found.append(_timed(lambda: _scrape(board, "")))
    return {f"text, {_USUAL}": found}


def peer(tasks: int) -> Times:
    """CPU seconds of prometheus_client for the same series, set in its registry beforehand."""
    registry = _registry(scraped(filled(tasks)))
    return {
        "text": [_timed(partial(generate_latest, registry)) for _ in range(3)],
        "OpenMetrics": [_timed(partial(generate_openmetrics, registry)) for _ in range(3)],
    }


def _registry(taken: Snapshot) -> CollectorRegistry:
    registry = CollectorRegistry()
    for metric in METRICS:
        family = collect(metric, taken.tasks, taken.own_labels)
        gauge = Gauge(family.name, family.help, family.labels, registry=registry)
        for labels, value in family.samples:
            gauge.labels(*labels).set(value)  # type: ignore[arg-type]
    return registry


def _scrape(board: Board, accept: str) -> None:
    """Write an answer, and put it together as far as it is before it is sent."""
    for _ in chunks(render(families(scraped(board)), accept)[0]):
        pass


def _timed(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def run(runs: int) -> Sequence[Figure]:
    """Measure ours and the peer in turn, each in a process of its own."""
    ours_found: list[Times] = []
    many_found: list[Times] = []
    theirs: list[Times] = []
    for _ in range(runs):
        ours_found.append(measure("scrape:ours", tasks=10_000, scrapes=_SCRAPES))
        theirs.append(measure("scrape:peer", tasks=10_000))
        many_found.append(measure("scrape:many", tasks=100_000, scrapes=_SCRAPES))
    return [*_against_peer(ours_found, theirs), *_tails(ours_found), *_growth(ours_found, many_found)]


def _at(found: Sequence[Times], name: str, share: float = 0.5) -> list[float]:
    return [1e3 * quantile(times[name], share) for times in found]


def _against_peer(found: Sequence[Times], theirs: Sequence[Times]) -> list[Figure]:
    figures = []
    for form in _FORMS:
        other = _at(theirs, form)
        figures.append(Figure(what=f"{form}: prometheus_client", values=other, unit="ms"))
        for moved in _MOVED:
            what, ours = f"{form}, {moved}", _at(found, f"{form}, {moved}")
            figures += [
                Figure(what=f"{what}: ours", values=ours, unit="ms"),
                at_least(f"{what}: how much faster than prometheus_client", ratios(other, ours), "x", 10),
            ]
    return figures


def _tails(found: Sequence[Times]) -> list[Figure]:
    figures = []
    for moved in _MOVED:
        for form in _FORMS:
            plain, packed = f"{form}, {moved}", f"{form}, gzip, {moved}"
            figures.append(at_most(f"{plain}: p99", _at(found, plain, 0.99), "ms", 50))
            figures.append(at_most(f"{packed}: p99", _at(found, packed, 0.99), "ms", 100))
    return [
        *figures,
        Figure(what="the first scrape of a process", values=_at(found, "the first"), unit="ms"),
        Figure(what="lines in an answer", values=[times["lines"][0] for times in found], unit=""),
    ]


def _growth(found: Sequence[Times], many_found: Sequence[Times]) -> list[Figure]:
    name = f"text, {_USUAL}"
    few_tasks, many_tasks = _at(found, name), _at(many_found, name)
    return [
        Figure(what=f"100,000 tasks: {name}", values=many_tasks, unit="ms"),
        at_most("100,000 tasks: of the time for 10,000", ratios(many_tasks, few_tasks), "x", 10),
    ]


PART = Part(title="A scrape with 10,000 unfinished tasks (CPU time)", run=run)
