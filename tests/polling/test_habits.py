"""What an operation's past advises is worked out once, and again when it has another past."""

import math
from collections import deque
from collections.abc import Iterator
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.habits import Habits
from exporter.polling.schedule import Bounds, learned

BOUNDS = Bounds()
TEN_MINUTES = deque(590.0 + second for second in range(20))
AN_HOUR = deque(3590.0 + second for second in range(20))


@given(st.integers(0, 1400), st.lists(st.floats(0, 1e6), max_size=50))
def test_the_advice_is_that_for_an_age_a_hundredth_less_at_the_most(step: int, past: list[float]) -> None:
    """What is remembered is what would be learned for a task that is a little younger."""
    age, younger = math.expm1((step + 0.9) / 100), math.expm1(step / 100)
    assert Habits(BOUNDS).wait("import", age, past) == learned(younger, sorted(past), BOUNDS)


def test_it_is_worked_out_once_for_tasks_of_about_the_same_age() -> None:
    """Ten thousand tasks that come and go together cost as much thought as a few."""
    counted = CountedDeque(TEN_MINUTES)
    habits, dice = Habits(BOUNDS), Random(1)
    waits = {habits.wait("import", 100 * dice.uniform(1, 1.005), counted) for _ in range(10_000)}
    assert len(waits) <= 2
    assert counted.read <= 2


def test_another_past_gives_another_advice() -> None:
    """After a run has ended its duration counts, for its own operation only."""
    habits = Habits(BOUNDS)
    near_the_end = habits.wait("import", 598, TEN_MINUTES)
    assert habits.wait("import", 598, AN_HOUR) > 3 * near_the_end
    assert habits.wait("import", 598, TEN_MINUTES) == near_the_end
    assert habits.wait("export", 598, AN_HOUR) > 3 * near_the_end


class CountedDeque(deque[float]):
    """Durations that count how often they are gone through."""

    read = 0

    def __iter__(self) -> Iterator[float]:
        self.read += 1
        return super().__iter__()
