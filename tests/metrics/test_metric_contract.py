"""The documents, the tables in the code and a real answer name the same metrics."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import Moment
from exporter.metrics import events, own, tasks
from exporter.metrics.exposition import families, render, snapshot
from exporter.metrics.family import Metric
from exporter.metrics.own import ExporterStats, ReceiverStats, SourceStats
from exporter.metrics.tasks import SourceView
from exporter.model import Status, Subtask, Task
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.totals import COUNTERS, HISTOGRAMS, Latest, Totals

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \| (?P<labels>[\w, ]*?) ?\|", re.MULTILINE)
TABLES: tuple[Metric[Any], ...] = (
    *tasks.METRICS,
    *events.METRICS,
    *own.SOURCE_METRICS,
    *own.EXPORTER_METRICS,
)
NOW = Moment(datetime(2026, 1, 1, tzinfo=UTC), 1000.0)

Contract = dict[str, tuple[str, frozenset[str]]]
"""Kind and label names by metric."""


def documented() -> Contract:
    """What docs/metrics.md says."""
    rows = ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))
    return {row["name"]: (row["kind"], frozenset(re.findall(r"\w+", row["labels"]))) for row in rows}


def coded() -> Contract:
    """What the tables in the code say."""
    return {metric.name: (metric.kind, frozenset(metric.labels)) for metric in TABLES}


def served() -> Contract:
    """What is in the answer when everything is known that can be."""
    found: Contract = {}
    for family in text_string_to_metric_families(everything()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        if family.samples and not name.startswith(("process_", "python_")):
            found[name] = (family.type, frozenset(labels - {"le"}))
    return found


def everything() -> str:
    """An answer in which no metric is without a sample."""
    view = SourceView(name="epm", api="epmware", board=busy_board(), max_task_series=10)
    stats = SourceStats("epm", "epmware")
    stats.requested("get_status", "200", 0.1)
    stats.succeeded(NOW.wall)
    receivers = {"webhook/events": ReceiverStats()}
    exporter = ExporterStats(reloaded_at=NOW.wall, certificate_expires_at=NOW.wall, receivers=receivers)
    taken = snapshot([view], counted(), [stats], exporter, released=100, now=NOW)
    return b"".join(render(families(taken))[0]).decode()


def busy_board() -> Board:
    """A board with a task that tells everything, and one that has ended."""
    board = Board("epm", BoardRules())
    seen = Sighting(at=NOW, asked=NOW.mono, wanted=True)
    part = Subtask(id="1.1", status=Status.RUNNING)
    told = {"progress": 0.5, "started_at": NOW.wall - timedelta(minutes=1), "processed": 1, "expected": 2}
    board.apply(Task(id="1", status=Status.RUNNING, subtasks=(part,), **told), seen)  # type: ignore[arg-type]
    board.apply(Task(id="2", status=Status.ERROR, finished_at=NOW.wall), seen)
    return board


def counted() -> Totals:
    """Totals with a series of each metric."""
    totals = Totals(bounds=dict.fromkeys(HISTOGRAMS, (1.0,)))
    names = {metric.name: ("epm", *metric.labels[1:]) for metric in events.METRICS}
    for birth, name in enumerate(COUNTERS, 1):
        totals.counter((name, names[name]), birth)
    for birth, name in enumerate(HISTOGRAMS, 11):
        totals.histogram((name, names[name]), birth)
    totals.latest["epm", ""] = Latest(NOW.wall, NOW.wall, timedelta(seconds=1))
    return totals


def test_documented() -> None:
    """docs/metrics.md and the code agree on names, types and labels."""
    assert documented() == coded()


def test_served() -> None:
    """What Prometheus sees is what the tables say."""
    assert served() == coded()


def test_unique() -> None:
    """No two metrics have one name."""
    assert len(coded()) == len(TABLES)


@pytest.mark.parametrize("metric", TABLES, ids=lambda metric: metric.name)
def test_name(metric: Metric[Any]) -> None:
    """Counters, and only they, end in _total; each help is one sentence."""
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created"))
    assert metric.help.endswith(".")
