"""What the past of an operation advises, worked out once for all its tasks of about the same age."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from exporter.polling.schedule import PRICE, Bounds, learned

_STEPS = 100
"""In so many steps an age grows by a factor of e: what a hundredth more or less would advise is the same."""


@dataclass(frozen=True, slots=True)
class _Advice:
    """The waits that are known, in seconds by the step of the age."""

    past: Sequence[float]
    waits: dict[int, float] = field(default_factory=dict)


class Habits:
    """The operations of a source, each with its present past."""

    def __init__(self, bounds: Bounds, price: float = PRICE) -> None:
        self._bounds = bounds
        self._price = price
        self._advice: dict[str, _Advice] = {}

    def wait(self, operation: str, age: float, durations: Sequence[float]) -> float:
        """How long to wait before asking again for a task of this age; see `learned`.

        Args:
            operation: whose habits they are.
            age: seconds since the task began to run.
            durations: what earlier runs took, in seconds, in any order; never altered, only replaced.
        """
        advice = self._advice.get(operation)
        if advice is None or advice.past is not durations:
            advice = self._advice[operation] = _Advice(durations)
        step = int(_STEPS * math.log1p(age))
        wait = advice.waits.get(step)
        if wait is None:
            known = math.expm1(step / _STEPS)
            wait = advice.waits[step] = learned(known, sorted(durations), self._bounds, self._price)
        return wait
