"""What has happened: counters and histograms as the ledger has counted them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.metrics.family import Distribution, Metric, Sample
from exporter.store.totals import (
    DISCOVERED,
    DURATION,
    ERRORS,
    FINISHED,
    LOST,
    QUEUE_DURATION,
    UNKNOWN_STATUS,
    HistogramSeries,
    Latest,
    OperationKey,
    Totals,
)


@dataclass(frozen=True, slots=True)
class Events:
    """What may be shown of the totals at one moment."""

    samples: Mapping[str, Sequence[Sample]]
    """By the metric's full name."""
    latest: Mapping[OperationKey, Latest]


def take(totals: Totals, released: int) -> Events:
    """Copy what was counted; a series that was born after *released* is shown at zero."""
    samples: dict[str, list[Sample]] = {}
    for name, counters in totals.counters.items():
        samples[name] = [(c.labels, c.value if c.birth <= released else 0) for c in counters.values()]
    for name, histograms in totals.histograms.items():
        samples[name] = [(h.labels, _distribution(h, released)) for h in histograms.values()]
    return Events(samples, dict(totals.latest))


def _distribution(series: HistogramSeries, released: int) -> Distribution:
    if series.birth > released:
        return Distribution(series.bounds, [0] * len(series.counts), 0.0)
    return Distribution(
        series.bounds, series.counts.copy(), series.sum_us / 1_000_000, series.exemplars.copy()
    )


def _counted(name: str) -> Callable[[Events], Sequence[Sample]]:
    """Tell the samples of one metric."""
    return lambda events: events.samples[name]


def _last(time: Callable[[Latest], datetime | None]) -> Callable[[Events], Iterator[Sample]]:
    """Tell one of the latest times of each operation, where there is one."""

    def samples(events: Events) -> Iterator[Sample]:
        for operation, latest in events.latest.items():
            at = time(latest)
            if at is not None:
                yield operation, at.timestamp()

    return samples


def _success(latest: Latest) -> datetime | None:
    return latest.success_at


def _finish(latest: Latest) -> datetime | None:
    return latest.finish_at


def _last_duration(events: Events) -> Iterator[Sample]:
    for operation, latest in events.latest.items():
        if latest.duration is not None:
            yield operation, latest.duration.total_seconds()


_OPERATION = ("source", "operation")

METRICS: tuple[Metric[Events], ...] = (
    Metric(DISCOVERED, "counter", _OPERATION, "Runs of tasks that were seen first.", _counted(DISCOVERED)),
    Metric(
        FINISHED,
        "counter",
        (*_OPERATION, "status"),
        "Runs of tasks that ended, by status.",
        _counted(FINISHED),
    ),
    Metric(
        ERRORS,
        "counter",
        (*_OPERATION, "error_code"),
        "Runs of tasks that failed, by their API's error code.",
        _counted(ERRORS),
    ),
    Metric(
        DURATION,
        "histogram",
        (*_OPERATION, "status"),
        "How long runs took, from start to end.",
        _counted(DURATION),
    ),
    Metric(
        QUEUE_DURATION,
        "histogram",
        _OPERATION,
        "How long runs waited for their start since they could have started.",
        _counted(QUEUE_DURATION),
    ),
    Metric(
        "asynctask_last_success_timestamp_seconds",
        "gauge",
        _OPERATION,
        "When a run of the operation last succeeded.",
        _last(_success),
    ),
    Metric(
        "asynctask_last_finish_timestamp_seconds",
        "gauge",
        _OPERATION,
        "When a run of the operation last ended, whatever its status.",
        _last(_finish),
    ),
    Metric(
        "asynctask_last_duration_seconds",
        "gauge",
        _OPERATION,
        "How long the run that ended last took.",
        _last_duration,
    ),
    Metric(
        LOST,
        "counter",
        ("source", "reason"),
        "Task ids that were given up because their API does not know them (any more).",
        _counted(LOST),
    ),
    Metric(
        UNKNOWN_STATUS,
        "counter",
        ("source",),
        "Tasks that were told with a status that nobody here knows.",
        _counted(UNKNOWN_STATUS),
    ),
)
