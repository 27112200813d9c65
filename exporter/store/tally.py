"""What each transition moves. Pure: which runs are news is told by the ledger."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exporter.model import FINAL, Status, Transition
from exporter.store.schema import micros
from exporter.store.totals import (
    DISCOVERED,
    DURATION,
    ERRORS,
    FINISHED,
    LOST,
    LOST_REASONS,
    QUEUE_DURATION,
    UNKNOWN_STATUS,
    Delta,
    Exemplar,
    Latest,
    Observations,
    OperationKey,
    SeriesKey,
)

OTHER = "other"
_MAX_CODE = 64


@dataclass(slots=True)
class Vocabulary:
    """The operations and error codes that have series in the ledger."""

    operations: set[OperationKey] = field(default_factory=set)
    codes: dict[str, set[str]] = field(default_factory=dict)
    """By source, without the empty code and ``other``."""

    def learn(self, keys: Iterable[SeriesKey]) -> None:
        """Take note of series that were committed."""
        for name, labels in keys:
            if name == DISCOVERED:
                self.operations.add((labels[0], labels[1]))
            elif name == ERRORS and labels[2] not in ("", OTHER):
                self.codes.setdefault(labels[0], set()).add(labels[2])


@dataclass(slots=True)
class Tally:
    """The sum of what one commit moves."""

    bounds: Mapping[str, tuple[int, ...]]
    """Bucket bounds in microseconds by histogram."""
    max_error_codes: int
    known: Vocabulary
    """Read only: what is not committed may have to be tallied again."""
    delta: Delta = field(default_factory=Delta)
    ended: dict[OperationKey, list[Transition]] = field(default_factory=dict)
    """The runs that ended, for the latest end of their operation."""
    _codes: dict[str, set[str]] = field(default_factory=dict)

    def declare(self, source: str, operations: Iterable[str]) -> None:
        """Create the series of a source that can be known, at zero."""
        for reason in LOST_REASONS:
            self._count(LOST, source, reason, by=0)
        self._count(UNKNOWN_STATUS, source, by=0)
        for operation in operations:
            self._declare_operation(source, operation)

    def discover(self, transition: Transition) -> None:
        """A run is seen for the first time."""
        source, operation = self._operation(transition)
        self._count(DISCOVERED, source, operation)

    def puzzle(self, transition: Transition) -> None:
        """A task has a status that nobody knows."""
        source, _ = self._operation(transition)
        self._count(UNKNOWN_STATUS, source)

    def finish(self, transition: Transition) -> None:
        """A run has ended."""
        source, operation = key = self._operation(transition)
        task = transition.task
        self._count(FINISHED, source, operation, task.status.value)
        if task.status.is_failed:
            self._count(ERRORS, source, operation, self._code(source, task.error_code))
        if transition.duration is not None:
            series = (DURATION, (source, operation, task.status.value))
            self._observe(series, transition.duration, transition)
        if transition.queued is not None:
            self._observe((QUEUE_DURATION, key), transition.queued, transition)
        self.ended.setdefault(key, []).append(transition)

    def lose(self, source: str, reason: str) -> None:
        """An API does not know an id (any more)."""
        self._count(LOST, source, reason)

    def _operation(self, transition: Transition) -> OperationKey:
        """The operation, whose series are all born when it first turns up: long before they move."""
        key = (transition.source, transition.task.operation)
        if key not in self.known.operations and (DISCOVERED, key) not in self.delta.counters:
            self._declare_operation(*key)
        return key

    def _declare_operation(self, source: str, operation: str) -> None:
        self._count(DISCOVERED, source, operation, by=0)
        self._count(ERRORS, source, operation, "", by=0)
        self.delta.histograms.setdefault((QUEUE_DURATION, (source, operation)), Observations())
        for status in sorted(FINAL):
            self._count(FINISHED, source, operation, status.value, by=0)
            self.delta.histograms.setdefault((DURATION, (source, operation, status.value)), Observations())

    def _count(self, name: str, *labels: str, by: int = 1) -> None:
        key = (name, labels)
        self.delta.counters[key] = self.delta.counters.get(key, 0) + by

    def _observe(self, key: SeriesKey, took: timedelta, transition: Transition) -> None:
        amount = micros(took)
        bucket = bisect_left(self.bounds[key[0]], amount)
        observations = self.delta.histograms.setdefault(key, Observations())
        observations.counts[bucket] = observations.counts.get(bucket, 0) + 1
        observations.sum_us += amount
        exemplar = Exemplar(transition.task.id, took.total_seconds(), transition.at)
        observations.exemplars[bucket] = exemplar

    def _code(self, source: str, told: str) -> str:
        """The label value of an error code: short, clean, and one of not too many."""
        code = "".join(filter(str.isprintable, told))[:_MAX_CODE].strip()
        known, new = self.known.codes.get(source, set()), self._codes.setdefault(source, set())
        if code in ("", OTHER) or code in known or code in new:
            return code
        if len(known | new) >= self.max_error_codes:
            return OTHER
        new.add(code)
        return code


def end_time(transition: Transition) -> datetime:
    """When a run ended: by its API where that tells, otherwise when it was seen."""
    return transition.task.finished_at or transition.at


def later(known: Latest, transition: Transition) -> Latest:
    """The latest end of an operation after one more run has ended."""
    at = end_time(transition)
    success_at = known.success_at
    if transition.task.status is Status.SUCCESS:
        success_at = max(at, success_at or at)
    if known.finish_at is not None and at < known.finish_at:
        return Latest(success_at, known.finish_at, known.duration)
    return Latest(success_at, at, transition.duration)


def remember(durations: deque[float], transition: Transition) -> None:
    """Keep the duration of a run that succeeded; the deque forgets the oldest."""
    if transition.task.status is Status.SUCCESS and transition.duration is not None:
        durations.append(transition.duration.total_seconds())
