"""When a task is due next."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.polling.schedule import Bounds, Schedule, backoff, interval, jittered

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
