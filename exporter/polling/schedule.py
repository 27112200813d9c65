"""When a task is due next. Pure: the time and the dice are passed in."""

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

_CURVE = ((0.0, 2.0), (60.0, 3.0), (75.0, 5.0), (600.0, 10.0), (750.0, 30.0), (3600.0, 60.0))
"""Age and interval in seconds: the three steps that EPMware's task module recommends (2-3 s below a
minute, 5-10 s up to ten minutes, 30-60 s beyond), joined by short ramps."""
_AGES = tuple(age for age, _ in _CURVE)
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
