"""What each transition moves. Pure: which runs are news is told by the ledger."""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

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
    REMEMBERED,
    UNKNOWN_STATUS,
    Delta,
    Exemplar,
    Labels,
    Latest,
    Observations,
    OperationKey,
    SeriesKey,
)

OTHER = "other"
_MAX_CODE = 64


@dataclass(slots=True)
class Vocabulary:
    """The series that are in the ledger."""

    births: dict[SeriesKey, int] = field(default_factory=dict)
    operations: dict[str, set[str]] = field(default_factory=dict)
    """By source."""
    codes: dict[str, set[str]] = field(default_factory=dict)
    """Error codes by source, without the empty one and ``other``."""

    def learn(self, births: Mapping[SeriesKey, int]) -> None:
        """Take note of series that were committed."""
        self.births.update(births)
        for name, labels in births:
            if name == DISCOVERED:
                self.operations.setdefault(labels[0], set()).add(labels[1])
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

    def discover(self, transitions: Iterable[Transition]) -> None:
        """Runs are seen for the first time."""
        for key, count in Counter((t.source, t.task.operation) for t in transitions).items():
            self._meet(key)
            self._count(DISCOVERED, *key, by=count)

    def puzzle(self, transitions: Iterable[Transition]) -> None:
        """Tasks have a status that nobody knows."""
        for transition in transitions:
            self._meet((transition.source, transition.task.operation))
            self._count(UNKNOWN_STATUS, transition.source)

    def finish(self, transitions: Iterable[Transition]) -> None:
        """Runs have ended."""
        alike: defaultdict[Labels, list[Transition]] = defaultdict(list)
        for transition in transitions:
            task = transition.task
            alike[transition.source, task.operation, task.status.value].append(transition)
        for labels, ended in alike.items():
            self._finish(labels, ended)

    def _finish(self, labels: Labels, ended: Sequence[Transition]) -> None:
        """Runs of one operation have ended with the same status."""
        source, operation, _ = labels
        self._meet((source, operation))
        self._count(FINISHED, *labels, by=len(ended))
        if ended[0].task.status.is_failed:
            for transition in ended:
                self._count(ERRORS, source, operation, self._code(source, transition.task.error_code))
        timed = [(t.duration, t) for t in ended if t.duration is not None]
        queued = [(t.queued, t) for t in ended if t.queued is not None]
        self._observe((DURATION, labels), timed)
        self._observe((QUEUE_DURATION, (source, operation)), queued)
        self.ended.setdefault((source, operation), []).extend(ended)

    def lose(self, source: str, reason: str) -> None:
        """An API does not know an id (any more)."""
        self._count(LOST, source, reason)

    def _meet(self, key: OperationKey) -> None:
        """Bear all series of an operation when it first turns up: long before they move."""
        if (DISCOVERED, key) not in self.known.births and (DISCOVERED, key) not in self.delta.counters:
            self._declare_operation(*key)

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

    def _observe(self, key: SeriesKey, observed: Sequence[tuple[timedelta, Transition]]) -> None:
        if not observed:
            return
        observations = self.delta.histograms.setdefault(key, Observations())
        amounts = [micros(took) for took, _ in observed]
        fallen = [bisect_left(self.bounds[key[0]], amount) for amount in amounts]
        observations.sum_us += sum(amounts)
        observations.counts.update(fallen)
        for bucket, (took, transition) in dict(zip(fallen, observed, strict=True)).items():
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


def later(known: Latest, ended: Sequence[Transition]) -> Latest:
    """The latest end of an operation after more runs have ended."""
    succeeded = [end_time(one) for one in ended if one.task.status is Status.SUCCESS]
    success_at = max(filter(None, [known.success_at, *succeeded]), default=None)
    newest = max(reversed(ended), key=end_time)
    at = end_time(newest)
    if known.finish_at is not None and at < known.finish_at:
        return Latest(success_at, known.finish_at, known.duration)
    return Latest(success_at, at, newest.duration)


def remembered(known: deque[float], ended: Sequence[Transition]) -> deque[float]:
    """The durations of the last runs that succeeded, after more runs have ended."""
    newest_first = (
        one.duration.total_seconds()
        for one in reversed(ended)
        if one.task.status is Status.SUCCESS and one.duration is not None
    )
    return deque((*known, *reversed(list(islice(newest_first, REMEMBERED)))), REMEMBERED)
