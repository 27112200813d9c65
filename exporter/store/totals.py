"""What was counted so far, as the metrics show it: a copy in memory that moves only after a commit."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

DISCOVERED = "asynctask_discovered_total"
"""Labels: source, operation."""
FINISHED = "asynctask_finished_total"
"""Labels: source, operation, status."""
ERRORS = "asynctask_errors_total"
"""Labels: source, operation, error_code."""
LOST = "asynctask_lost_total"
"""Labels: source, reason."""
UNKNOWN_STATUS = "asynctask_unknown_status_total"
"""Labels: source."""
DURATION = "asynctask_duration_seconds"
"""Labels: source, operation, status."""
QUEUE_DURATION = "asynctask_queue_duration_seconds"
"""Labels: source, operation."""

COUNTERS = (DISCOVERED, FINISHED, ERRORS, LOST, UNKNOWN_STATUS)
HISTOGRAMS = (DURATION, QUEUE_DURATION)
LOST_REASONS = ("not_found", "vanished")
REMEMBERED = 50
"""How many durations of successful runs are kept for estimates."""

Labels = tuple[str, ...]
SeriesKey = tuple[str, Labels]
"""A metric's full name and its label values."""
OperationKey = tuple[str, str]
"""Source and operation."""


class Exemplar(NamedTuple):
    """The task that was counted last in a bucket."""

    task_id: str
    seconds: float
    at: datetime


@dataclass(slots=True)
class CounterSeries:
    """One counter with its label values."""

    labels: Labels
    birth: int
    """Rises with each new series of the ledger, so that a new one can be told from those served before."""
    value: int = 0


@dataclass(slots=True)
class HistogramSeries:
    """One histogram with its label values."""

    labels: Labels
    birth: int
    bounds: tuple[float, ...]
    """Upper bounds in seconds, without +Inf."""
    counts: list[int]
    """Observations by bucket, not cumulative; the last one is +Inf."""
    sum_us: int = 0
    """The sum of all observations in microseconds: an integer, so that it is exact."""
    exemplars: list[Exemplar | None] = field(default_factory=list)
    """By bucket, as *counts*; kept in memory only."""


@dataclass(frozen=True, slots=True)
class Latest:
    """When an operation ended last, and how long that run took."""

    success_at: datetime | None = None
    finish_at: datetime | None = None
    duration: timedelta | None = None
    """Of the run with the latest end; None where nobody can tell."""


@dataclass(slots=True)
class Observations:
    """What one commit adds to one histogram."""

    counts: Counter[int] = field(default_factory=Counter)
    """By the bucket's position."""
    sum_us: int = 0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)


@dataclass(slots=True)
class Delta:
    """What one commit adds to the totals; a series in it that is new is born, even with zero."""

    counters: dict[SeriesKey, int] = field(default_factory=dict)
    histograms: dict[SeriesKey, Observations] = field(default_factory=dict)
    births: dict[SeriesKey, int] = field(default_factory=dict)
    latest: dict[OperationKey, Latest] = field(default_factory=dict)
    """These replace what was known."""
    durations: dict[OperationKey, deque[float]] = field(default_factory=dict)
    """These too."""


@dataclass(slots=True)
class Totals:
    """Every counter and histogram with what is in the ledger; read by the metrics, moved by the ledger."""

    bounds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The bucket bounds in seconds by histogram name."""
    counters: dict[str, dict[Labels, CounterSeries]] = field(
        default_factory=lambda: {name: {} for name in COUNTERS}
    )
    """By full metric name, then by label values."""
    histograms: dict[str, dict[Labels, HistogramSeries]] = field(
        default_factory=lambda: {name: {} for name in HISTOGRAMS}
    )
    latest: dict[OperationKey, Latest] = field(default_factory=dict)
    durations: dict[OperationKey, deque[float]] = field(default_factory=dict)
    """Seconds of the last successful runs, oldest first."""
    last_birth: int = 0

    def move(self, delta: Delta) -> None:
        """Add what was committed."""
        for key, amount in delta.counters.items():
            self.counter(key, delta.births[key]).value += amount
        for key, observations in delta.histograms.items():
            self._observe(self.histogram(key, delta.births[key]), observations)
        self.latest.update(delta.latest)
        self.durations.update(delta.durations)

    def counter(self, key: SeriesKey, birth: int) -> CounterSeries:
        """Look up a counter; one that is not there is born at zero."""
        name, labels = key
        series = self.counters[name].get(labels)
        if series is None:
            series = self.counters[name][labels] = CounterSeries(labels, birth)
            self.last_birth = max(self.last_birth, birth)
        return series

    def histogram(self, key: SeriesKey, birth: int) -> HistogramSeries:
        """Look up a histogram; one that is not there is born empty."""
        name, labels = key
        series = self.histograms[name].get(labels)
        if series is None:
            bounds = self.bounds[name]
            buckets = len(bounds) + 1
            series = HistogramSeries(labels, birth, bounds, [0] * buckets, 0, [None] * buckets)
            self.histograms[name][labels] = series
            self.last_birth = max(self.last_birth, birth)
        return series

    def _observe(self, series: HistogramSeries, observations: Observations) -> None:
        for bucket, count in observations.counts.items():
            series.counts[bucket] += count
        for bucket, exemplar in observations.exemplars.items():
            series.exemplars[bucket] = exemplar
        series.sum_us += observations.sum_us
