"""Queries that neither several exporters nor restarts double.

Exporters that watch the same source tell the same truth about its tasks, so series that differ in
nothing but the target are one: ``max by`` all of a metric's own labels comes first, sums come after.
What counts the exporters' own work (their requests, their memory) is summed instead. The labels come
from the metrics' own table, so that no query names what is not there.
"""

from collections.abc import Iterable, Sequence

from exporter.metrics import events, own, tasks
from exporter.metrics.family import Labels, Metric, Subject


def _labels(metrics: Iterable[Metric[Subject]]) -> dict[str, Labels]:
    return {metric.name: metric.labels for metric in metrics}


TASK_METRICS = _labels(tasks.METRICS) | _labels(events.METRICS)
OWN_METRICS = _labels(own.SOURCE_METRICS) | _labels(own.EXPORTER_METRICS)
PROCESS_METRICS: dict[str, Labels] = {
    f"process_{what}": ()
    for what in (
        "cpu_seconds_total",
        "max_fds",
        "open_fds",
        "resident_memory_bytes",
        "start_time_seconds",
    )
}
RECORDED = dict.fromkeys(
    ("asynctask:duration_seconds:p90_1h", "asynctask:duration_seconds:p90_1w"), ("source", "operation")
)
LABELS = RECORDED | TASK_METRICS | OWN_METRICS | PROCESS_METRICS
PER_INTERVAL = "$__rate_interval"
WHOLE_RANGE = "$__range"
SUCCEEDED = 'status=~"success|warning"'
FAILED = 'status=~"error|timed_out"'
EXPORTERS = 'job=~"$job", instance=~"$instance"'
"""The exporters that were chosen."""
JUDGED = 'status=~"success|warning|error|timed_out"'
"""What was cancelled or skipped tells neither way."""
TASK = ("source", "operation", "task_id")


def matchers(metric: str) -> str:
    """The dashboard's choice, as far as the metric has the labels."""
    choice = (f'{label}=~"${label}"' for label in ("source", "operation") if label in LABELS[metric])
    return ", ".join(choice)


def selector(metric: str, where: str = "", suffix: str = "") -> str:
    """The series of a metric that were chosen."""
    return f"{metric}{suffix}{{{', '.join(filter(None, (matchers(metric), where)))}}}"


def state(metric: str, where: str = "", by: Sequence[str] | None = None) -> str:
    """What is now, each series once; *by* those of its labels that matter, or all of them."""
    return f"max by ({', '.join(by or LABELS[metric])}) ({selector(metric, where)})"


def increase(metric: str, window: str, where: str = "") -> str:
    """How many events within the window, each once."""
    return f"max by ({', '.join(LABELS[metric])}) (increase({selector(metric, where)}[{window}]))"


def count(metric: str, where: str = "") -> str:
    """How many events within one interval of the graph, each once.

    The window of a rate is longer than the interval, so an increase would count some events twice.
    """
    rate = f"rate({selector(metric, where)}[{PER_INTERVAL}])"
    return f"max by ({', '.join(LABELS[metric])}) ({rate}) * $__interval_ms / 1000"


def buckets(metric: str, window: str, *by: str, where: str = "") -> str:
    """How many observations by bucket within the window, each once."""
    once = ", ".join((*LABELS[metric], "le"))
    increases = f"increase({selector(metric, where, '_bucket')}[{window}])"
    return f"sum by ({', '.join((*by, 'le'))}) (max by ({once}) ({increases}))"


def quantile(q: float, metric: str, window: str, *by: str, where: str = "") -> str:
    """What this share of the observations stayed below."""
    return f"histogram_quantile({q}, {buckets(metric, window, *by, where=where)})"


def total(query: str, *by: str) -> str:
    """The sum, as a whole or by labels."""
    return f"sum by ({', '.join(by)}) ({query})" if by else f"sum({query})"


def failed_share(window: str, *by: str) -> str:
    """The share of runs that failed; nothing where none ended."""
    failed = total(increase("asynctask_finished_total", window, FAILED), *by)
    ended = total(increase("asynctask_finished_total", window, JUDGED), *by)
    return f"{failed} / ({ended} > 0)"


def age(metric: str, where: str = "") -> str:
    """Seconds since a point in time."""
    return f"time() - {state(metric, where)}"


def left() -> str:
    """Seconds until a task's estimated end; not below 0, as the estimate is as old as its scrape."""
    return f"clamp_min({state('asynctask_task_estimated_end_timestamp_seconds')} - time(), 0)"


def among(query: str, which: str) -> str:
    """Only those tasks that are among others."""
    return f"{query} and on ({', '.join(TASK)}) {which}"


def with_status(statuses: str, *by: str) -> str:
    """The tasks that have one of these statuses; *by* further labels."""
    return state("asynctask_task_status", f'status=~"{statuses}"', (*TASK, *by))


def own_work(metric: str, *by: str, where: str = "", suffix: str = "") -> str:
    """What the exporters themselves do per second, in sum."""
    return total(f"rate({own_selector(metric, where, suffix)}[{PER_INTERVAL}])", *by)


def own_quantile(q: float, metric: str, *by: str) -> str:
    """What this share of the exporters' own observations stayed below."""
    return f"histogram_quantile({q}, {own_work(metric, *by, 'le', suffix='_bucket')})"


def own_selector(metric: str, where: str = "", suffix: str = "") -> str:
    """The series of the chosen exporters."""
    scope = ", ".join(filter(None, (EXPORTERS, matchers(metric), where)))
    return f"{metric}{suffix}{{{scope}}}"
