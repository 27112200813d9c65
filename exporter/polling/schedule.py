"""When a task is due next. Pure: the time and the dice are passed in."""

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

_CURVE = ((0.0, 2.0), (60.0, 3.0), (75.0, 5.0), (600.0, 10.0), (750.0, 30.0), (3600.0, 60.0))
"""Age and interval in seconds: the three steps that EPMware's task module recommends (2-3 s below a
minute, 5-10 s up to ten minutes, 30-60 s beyond), joined by short ramps."""
_AGES = tuple(age for age, _ in _CURVE)
_LEAST_DURATIONS = 5
"""From fewer past runs nothing is learned."""
PRICE = 1.3e-5
"""What one request is worth: it may cost as much as to notice an end later by this part of the task's
length. `docs/performance.md` shows what other prices would buy."""
_DOUBT = 2.0
"""How many past runs the curve counts as much as: a task may end like none before it."""
_SMOOTHING = 0.7
_NARROWEST, _WIDEST = 0.03, 0.5
"""Past durations stand for those near them: within this part of their spread, in logarithms."""
_JITTER = 0.1
_FIRST_DOUBT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The shortest and the longest interval between two polls of a task, in seconds."""

    least: float = 2.0
    most: float = 60.0

    def clamp(self, interval: float) -> float:
        """The nearest interval that is allowed."""
        return min(max(interval, self.least), self.most)


def interval(age: float, bounds: Bounds) -> float:
    """How long to wait before asking again for a task of this age, both in seconds."""
    right = bisect_right(_AGES, age)
    if right == len(_CURVE):
        return bounds.clamp(_CURVE[-1][1])
    (age0, wait0), (age1, wait1) = _CURVE[max(right - 1, 0)], _CURVE[max(right, 1)]
    share = max(0.0, (age - age0) / (age1 - age0))
    return bounds.clamp(wait0 * math.pow(wait1 / wait0, share))


def learned(age: float, durations: Sequence[float], bounds: Bounds, price: float = PRICE) -> float:
    """How long to wait before asking again for a task of this age, if earlier runs took *durations*.

    Rarely in the middle, often near the expected end. The curve of `interval` stays in it, so that a
    task that outlives all earlier runs is asked for as if nothing was known.

    Args:
        age: seconds since the task began to run.
        durations: what earlier runs took, in seconds, rising.
        bounds: what the operator allows.
        price: what one request is worth.
    """
    if len(durations) < _LEAST_DURATIONS or age >= durations[-1]:
        return interval(age, bounds)
    width = _width(durations)
    at, share = max(age, bounds.least), 1.0
    while at < age + bounds.most:
        wait, step = _wait_at(at, durations, width, bounds, price), width * at
        if share * wait <= step:
            return bounds.clamp(at + share * wait - age)
        share -= step / wait
        at += step
    return bounds.most


def _wait_at(age: float, durations: Sequence[float], width: float, bounds: Bounds, price: float) -> float:
    """The interval at which requests cost as much as the delay that they save, at this very age.

    With a chance *h* a second that the task ends, an interval *w* costs 1 / *w* requests a second, and
    *h* * *w* / 2 seconds of delay. Both cost least together at the square root of 2 * price * age / *h*.
    """
    ending = bisect_right(durations, age * math.exp(width)) - bisect_right(durations, age * math.exp(-width))
    left = len(durations) - bisect_right(durations, age)
    unknown = 2.0 * price * (age / interval(age, bounds)) ** 2
    chance = (_DOUBT * unknown + ending / (2.0 * width)) / (_DOUBT + left)
    return age * math.sqrt(2.0 * price / chance)


def _width(durations: Sequence[float]) -> float:
    """How far one past duration speaks for others, as a logarithm: part of the middle two thirds' spread."""
    early, late = durations[len(durations) // 6], durations[-1 - len(durations) // 6]
    spread = math.log(late / early) / 2.0 if early > 0.0 else _WIDEST
    return min(max(_SMOOTHING * spread, _NARROWEST), _WIDEST)


def jittered(wait: float, dice: Random) -> float:
    """The same wait, up to a tenth shorter or longer, so that tasks do not march in step."""
    return wait * (1.0 + _JITTER * (2.0 * dice.random() - 1.0))


def backoff(failures: int, bounds: Bounds) -> float:
    """How long to leave a source or a task alone after so many failures in a row, in seconds."""
    doublings = min(max(failures - 1, 0), 30)
    return bounds.clamp(max(bounds.least, _FIRST_DOUBT) * 2.0**doublings)


@dataclass(slots=True)
class Schedule:
    """Which id is due when; the earliest first. An id stands in it at most once."""

    _due: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._due

    def __iter__(self) -> Iterator[str]:
        return iter(self._due)

    def put(self, task_id: str, due: float) -> None:
        """Make an id due then, whatever was planned for it before."""
        self._due[task_id] = due
        heapq.heappush(self._heap, (due, task_id))

    def remove(self, task_id: str) -> None:
        """Forget an id; one that is not planned is no mistake."""
        self._due.pop(task_id, None)

    def next_due(self) -> float | None:
        """When the earliest id is due, or None when there is none."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> tuple[str, float] | None:
        """Take out the earliest id that is due, with the time it was due at."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, task_id = heapq.heappop(self._heap)
        del self._due[task_id]
        return task_id, due
