"""Python itself holds up the event loop only for short."""

import gc
import sys
from collections.abc import Iterator

import pytest

from exporter import pauses


@pytest.fixture
def _shortened() -> Iterator[None]:
    """The interpreter as the program has it; put back afterwards."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    pauses.shorten()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("_shortened")
def test_what_stays_is_not_looked_at_again_and_again() -> None:
    """Half a million objects that are kept lead to no collection of all objects."""
    gc.collect()
    before = gc.get_stats()

    kept = [[number] for number in range(500_000)]

    young, middle, old = (
        now["collections"] - then["collections"] for now, then in zip(gc.get_stats(), before, strict=True)
    )
    assert kept
    assert (young > 0, middle > 0, old) == (True, True, 0)


@pytest.mark.usefixtures("_shortened")
def test_other_threads_give_the_interpreter_back_soon() -> None:
    """Sooner than Python's own 5 ms, several of which would follow one another."""
    assert sys.getswitchinterval() <= 0.001
