"""When a task is due next."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.schedule import Bounds, Schedule, backoff, interval, jittered, learned

BOUNDS = Bounds()


@pytest.mark.parametrize(
    ("ages", "least", "most"),
    [(range(60), 2, 3), (range(75, 600), 5, 10), (range(750, 100_000, 250), 30, 60)],
)
def test_intervals_stay_inside_the_table_that_the_vendor_recommends(
    ages: range, least: float, most: float
) -> None:
    """2-3 s below a minute, 5-10 s up to ten minutes, 30-60 s beyond, but for the ramps between."""
    assert all(least <= interval(age, BOUNDS) <= most for age in ages)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_older_task_is_never_asked_for_more_often(one: float, other: float) -> None:
    """The interval grows with age, without steps back."""
    young, old = sorted((one, other))
    assert interval(young, BOUNDS) <= interval(old, BOUNDS)


def test_the_curve_has_no_steps() -> None:
    """A second more of age changes the interval by less than a second and a half."""
    waits = [interval(age, BOUNDS) for age in range(4000)]
    assert max(after - before for before, after in itertools.pairwise(waits)) < 1.5


def test_a_task_from_the_future_is_as_young_as_can_be() -> None:
    """A skewed clock gives no negative age a meaning."""
    assert interval(-3600, BOUNDS) == 2.0


def test_the_configuration_bounds_the_interval() -> None:
    """The operator's bounds win over the curve."""
    assert interval(0, Bounds(least=20, most=30)) == 20
    assert interval(9999, Bounds(least=20, most=30)) == 30


TEN_MINUTES = [590.0 + second for second in range(20)]
"""What twenty runs took that all took about ten minutes."""
pasts = st.lists(st.floats(0, 1e6), max_size=50).map(sorted)


def test_the_middle_of_a_task_is_asked_about_rarely() -> None:
    """Where no earlier run ended, the interval is several times the one that the age alone would give."""
    assert learned(100, TEN_MINUTES, BOUNDS) > 3 * interval(100, BOUNDS)


def test_the_expected_end_is_asked_about_often() -> None:
    """Where earlier runs ended, the interval is a fraction of the one that the age alone would give."""
    assert learned(598, TEN_MINUTES, BOUNDS) < interval(598, BOUNDS) / 3


def test_a_long_wait_ends_before_the_expected_end_is_over() -> None:
    """A rare request in the middle does not sleep through the ends of earlier runs."""
    age = 100.0
    while age < 590:
        age += learned(age, TEN_MINUTES, BOUNDS)
    assert age < 600


def test_what_outlives_all_earlier_runs_is_asked_about_by_its_age() -> None:
    """History has nothing to say about it."""
    assert learned(700, TEN_MINUTES, BOUNDS) == interval(700, BOUNDS)


@pytest.mark.parametrize("few", [[], [600.0], [600.0] * 4])
def test_a_few_runs_teach_nothing(few: list[float]) -> None:
    """Up to four past runs, age alone decides."""
    assert learned(100, few, BOUNDS) == interval(100, BOUNDS)


@given(st.floats(0, 1e6), pasts, st.floats(0.5, 50), st.floats(1, 20))
def test_what_was_learned_stays_within_the_bounds(
    age: float, past: list[float], least: float, ratio: float
) -> None:
    """Whatever the past, nobody is asked more or less often than the operator allows."""
    bounds = Bounds(least=least, most=least * ratio)
    assert bounds.least <= learned(age, past, bounds) <= bounds.most


@given(st.floats(0.1, 1000), st.integers())
def test_jitter_is_a_tenth_at_the_most(wait: float, seed: int) -> None:
    """Neither way."""
    assert 0.9 * wait - 1e-9 <= jittered(wait, Random(seed)) <= 1.1 * wait + 1e-9


def test_backing_off_doubles_up_to_the_cap() -> None:
    """A source that fails is asked ever less often, but never given up."""
    bounds = Bounds(least=2, most=300)
    assert [backoff(failures, bounds) for failures in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert backoff(1000, bounds) == 300


def test_the_earliest_comes_first_and_not_before_its_time() -> None:
    """Due ids come in the order of their due times."""
    schedule = Schedule()
    schedule.put("b", 2.0)
    schedule.put("a", 1.0)
    assert schedule.pop(0.5) is None
    assert schedule.pop(5.0) == ("a", 1.0)
    assert schedule.pop(5.0) == ("b", 2.0)
    assert schedule.pop(5.0) is None


def test_a_new_plan_replaces_the_old_one() -> None:
    """An id that is planned again is due once, at its new time."""
    schedule = Schedule()
    schedule.put("a", 1.0)
    schedule.put("a", 3.0)
    assert schedule.pop(2.0) is None
    assert schedule.next_due() == 3.0
    schedule.remove("a")
    assert schedule.next_due() is None
    assert len(schedule) == 0
