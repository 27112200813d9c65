"""What the exporter's counters ought to say, by Pulp's own documents."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.campaigns.process import Samples
from tests_real.client import PulpTask

Counts = Counter[tuple[str, str, str]]
"""By name of the sample, operation, and status or error code; sums are in microseconds, to be exact."""
_STATUS = {"completed": "success", "failed": "error", "canceled": "cancelled", "skipped": "skipped"}
_COUNTED = ("discovered_total", "finished_total", "errors_total")
_MEASURED = ("duration_seconds", "queue_duration_seconds")
_NAMES = frozenset(_COUNTED) | {f"{name}_{part}" for name in _MEASURED for part in ("count", "sum")}
FAMILIES = tuple(f"asynctask_{name}" for name in (*_COUNTED, *_MEASURED))
"""The metrics that are compared."""
_MICROSECOND = timedelta(microseconds=1)


def expected(tasks: Iterable[PulpTask]) -> Counts:
    """What ought to be counted of these tasks."""
    counts: Counts = Counter()
    for task in tasks:
        counts["discovered_total", task["name"], ""] += 1
        if task["finished_at"] is not None:
            _count_end(counts, task)
    return counts


def observed(samples: Samples) -> Counts:
    """What the exporter has counted, without the zeros."""
    counts: Counts = Counter()
    for (name, labels), value in samples.items():
        short = name.removeprefix("asynctask_")
        told = dict(labels)
        third = told.get("error_code") or told.get("status") or ""
        if value and short in _NAMES:
            exact = round(value * 1e6) if short.endswith("_sum") else int(value)
            counts[short, told["operation"], third] = exact
    return counts


def waited(task: PulpTask) -> timedelta | None:
    """How long a task that has started was ready and had to wait."""
    begin = _span(task["unblocked_at"] or task["pulp_created"], task["started_at"])
    return begin if begin is not None and begin >= timedelta(0) else None


def took(task: PulpTask) -> timedelta | None:
    """How long a task ran, if it ever did."""
    return _span(task["started_at"], task["finished_at"])


def error_code(task: PulpTask) -> str:
    """The code that the description of an error begins with, in brackets."""
    description: str = task["error"]["description"]
    return description[1:].partition("]")[0] if description.startswith("[") else ""


def _count_end(counts: Counts, task: PulpTask) -> None:
    operation, status = task["name"], _STATUS[task["state"]]
    counts["finished_total", operation, status] += 1
    if status == "error":
        counts["errors_total", operation, error_code(task)] += 1
    _measure(counts, ("duration_seconds", operation, status), took(task))
    _measure(counts, ("queue_duration_seconds", operation, ""), waited(task))


def _measure(counts: Counts, key: tuple[str, str, str], span: timedelta | None) -> None:
    if span is not None:
        name, *labels = key
        counts[f"{name}_count", labels[0], labels[1]] += 1
        counts[f"{name}_sum", labels[0], labels[1]] += span // _MICROSECOND


def _span(begin: str | None, end: str | None) -> timedelta | None:
    return datetime.fromisoformat(end) - datetime.fromisoformat(begin) if begin and end else None
