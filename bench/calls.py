# ruff: noqa: S311 - a simulation wants repeatable dice
"""API calls per task, and the delay until its end is noticed: simulated, no clock and no network.

Operations have log-normal lengths around a median of their own, and all tasks together are
log-normal from 5 seconds to 8 hours. The runs of an operation come one after the other, so that
what is learned is learned from nothing, and its past are the last 50.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import NormalDist, mean, median

from bench.figures import Figure, Part, at_most, ratios
from exporter.polling.habits import Habits
from exporter.polling.schedule import PRICE, Bounds, interval, jittered
from exporter.store.totals import REMEMBERED

SHORTEST, LONGEST = 5.0, 8 * 3600.0
_MIDDLE = (math.log(SHORTEST) + math.log(LONGEST)) / 2
_ALL = (math.log(LONGEST) - math.log(SHORTEST)) / 4
"""The spread of all tasks: two of it either way reach from the shortest to the longest."""
_TYPICAL, _OTHERS = 0.3, (0.1, 0.6)
"""How much the runs of one operation differ; with 0.3, two thirds are within a third of the middle."""
_OPERATIONS, _RUNS = 30, 40
_BOUNDS = Bounds()
_PRICES = (5e-6, 1e-5, PRICE, 3e-5, 1e-4, 4e-4)
_SEEDS_FROM = 200
"""The price was chosen by looking at smaller seeds; these it has not seen."""
_BY_AGE_ALONE = 0.02
_PROPORTIONS = (0.01, 0.02, 0.04, 0.08)

Wait = Callable[[float, Sequence[float], Random], float]
"""Tells the wait from a task's age, the operation's past durations in rising order, and dice."""
Outcome = tuple[float, float, float]
"""Calls per task on average, the median relative delay, and the 95th percentile of the delay in seconds."""


def lengths(spread: float, seed: int) -> list[list[float]]:
    """The lengths of the runs of each operation, in seconds."""
    dice = Random(seed)
    between = NormalDist(_MIDDLE, math.sqrt(_ALL**2 - spread**2))
    # Evenly spread over the distribution: drawn by dice, a few operations would decide the result.
    middles = [between.inv_cdf((number + 0.5) / _OPERATIONS) for number in range(_OPERATIONS)]
    return [
        [min(LONGEST, max(SHORTEST, math.exp(dice.gauss(middle, spread)))) for _ in range(_RUNS)]
        for middle in middles
    ]


def simulate(operations: Sequence[Sequence[float]], wait: Wait, seed: int) -> Outcome:
    """Ask until each task has ended."""
    dice = Random(seed)
    calls: list[int] = []
    delays: list[float] = []
    relative: list[float] = []
    for operation in operations:
        past: deque[float] = deque(maxlen=REMEMBERED)
        for length in operation:
            rising = sorted(past)
            now, asked = 0.0, 1
            while now < length:
                now += wait(now, rising, dice)
                asked += 1
            calls.append(asked)
            delays.append(now - length)
            relative.append((now - length) / length)
            past.append(length)
    return mean(calls), median(relative), sorted(delays)[int(0.95 * len(delays))]


def constant(seconds: float) -> Wait:
    """The seed's loop."""
    return lambda _age, _past, _dice: seconds


def three_steps(age: float, _past: Sequence[float], _dice: Random) -> float:
    """The seed's table, the middle of each step."""
    return 2.5 if age < 60 else 7.5 if age < 600 else 45.0  # noqa: PLR2004 - the table's own numbers


def by_age(age: float, _past: Sequence[float], dice: Random) -> float:
    """The table as a curve: what is done for an operation without a past."""
    return jittered(interval(age, _BOUNDS), dice)


def proportional(share: float) -> Wait:
    """An interval in proportion to the age."""
    return lambda age, _past, dice: jittered(_BOUNDS.clamp(share * age), dice)


def learning(price: float) -> Wait:
    """What the exporter does, at any price of a request."""
    habits = Habits(_BOUNDS, price)
    return lambda age, past, dice: jittered(habits.wait("", age, past), dice)


def strategies(prices: Sequence[float], shares: Sequence[float]) -> dict[str, Wait]:
    """All that are compared, by name."""
    return {
        "every 5 s": constant(5.0),
        "every 10 s": constant(10.0),
        "three steps": three_steps,
        "by age (the curve)": by_age,
        **{_in_proportion(share): proportional(share) for share in shares},
        **{f"learned, price {price:g}": learning(price) for price in prices},
    }


def run(runs: int) -> Sequence[Figure]:
    """Compare them; the loop of 5 s is the measure."""
    whole_curve = _compare(_TYPICAL, runs, strategies(_PRICES, _PROPORTIONS))
    others = (_compare(spread, runs, strategies([PRICE], [_BY_AGE_ALONE])) for spread in _OTHERS)
    return [*whole_curve, *(figure for figures in others for figure in figures)]


def _compare(spread: float, runs: int, compared: Mapping[str, Wait]) -> list[Figure]:
    found: dict[str, list[Outcome]] = {}
    for seed in range(_SEEDS_FROM, _SEEDS_FROM + runs):
        operations = lengths(spread, seed)
        for name, wait in compared.items():
            found.setdefault(name, []).append(simulate(operations, wait, seed))
    loop, ours = found["every 5 s"], found[f"learned, price {PRICE:g}"]
    alone = found[_in_proportion(_BY_AGE_ALONE)]
    place = f"runs differ by {spread}"
    return [
        at_most(f"{place}: our calls, of those of the 5 s loop", _of(ours, loop, 0), "x", 0.25),
        at_most(f"{place}: our median relative delay, of the 5 s loop's", _of(ours, loop, 1), "x", 1.0),
        at_most(f"{place}: our calls, of those in proportion to age alone", _of(ours, alone, 0), "x", 1.0),
        at_most(f"{place}: our median relative delay, of that in proportion", _of(ours, alone, 1), "x", 1.0),
        *(figure for name, outcomes in found.items() for figure in _told(spread, name, outcomes)),
    ]


def _of(ours: Sequence[Outcome], others: Sequence[Outcome], which: int) -> list[float]:
    return ratios([one[which] for one in ours], [one[which] for one in others])


def _in_proportion(share: float) -> str:
    return f"in proportion, {share:.0%} of the age"


def _told(spread: float, name: str, outcomes: Sequence[Outcome]) -> list[Figure]:
    place = f"runs differ by {spread}: {name}"
    return [
        Figure(what=f"{place}: calls per task", values=[one[0] for one in outcomes], unit=""),
        Figure(what=f"{place}: median relative delay", values=[100 * one[1] for one in outcomes], unit="%"),
        Figure(what=f"{place}: delay, 95th percentile", values=[one[2] for one in outcomes], unit="s"),
    ]


PART = Part(title="API calls per task and delay of noticing its end (an oracle: 1 call, no delay)", run=run)
