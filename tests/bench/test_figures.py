"""The arithmetic of the benchmarks; what they measure is no test's business."""

from random import Random

from bench import calls
from bench.figures import at_least, at_most, quantile, ratios
from bench.report import table


def test_the_median_decides() -> None:
    """One bad run out of three neither reaches a figure nor misses it."""
    assert at_most("x", [1.0, 2.0, 99.0], "s", 2).reached
    assert not at_most("x", [1.0, 3.0, 99.0], "s", 2).reached
    assert at_least("x", [0.0, 2.0, 99.0], "s", 2).reached


def test_ratios_are_of_the_same_run() -> None:
    """Each run is compared with its own neighbour, so that a slow minute slows both."""
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_a_quantile_is_one_of_the_values() -> None:
    """The value that this share does not exceed; the largest for nearly all of them."""
    values = [float(number) for number in range(100)]
    assert quantile(values, 0.5) == 50.0
    assert quantile(values, 0.999) == 99.0


def test_a_constant_loop_asks_as_often_as_one_would_reckon() -> None:
    """A task of 12 s, asked at 0, 5, 10 and 15: four calls, and 3 s of delay, a quarter of its length."""
    assert calls.simulate([[12.0]], calls.constant(5.0), seed=1) == (4, 0.25, 3.0)


def test_lengths_are_repeatable_and_within_their_bounds() -> None:
    """The same seed gives the same tasks, from 5 seconds to 8 hours."""
    lengths = calls.lengths(0.3, seed=1)
    assert lengths == calls.lengths(0.3, seed=1)
    assert all(calls.SHORTEST <= length <= calls.LONGEST for operation in lengths for length in operation)


def test_three_steps_are_the_vendor_s() -> None:
    """The middle of each step of the table, whatever is known of the past."""
    steps = [calls.three_steps(age, [1.0], Random(1)) for age in (0.0, 60.0, 600.0)]
    assert steps == [2.5, 7.5, 45.0]


def test_a_figure_that_is_not_reached_is_told() -> None:
    """The table says it in bold, with the median, the spread and the target."""
    figure = {
        "what": "scrape",
        "values": [1.0, 2.0, 3.0],
        "median": 2.0,
        "unit": "s",
        "target": "at most 1",
        "reached": False,
    }
    text = table({"scrape": {"title": "A scrape", "machine": {"python": "3.11"}, "figures": [figure]}})
    assert "| scrape | 2 | 1 to 3 | s | at most 1 | **no** |" in text
