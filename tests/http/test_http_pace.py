"""The pace of a source: evenly spaced, paused for all, first come first served."""

import asyncio
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.http import MAX_PAUSE
from exporter.http.pace import Pacer, Spacing
from tests.http.fake_clock import FakeClock


def a_pacer(
    clock: FakeClock, *, rate: float = 1.5, concurrency: int = 4, waited: list[float] | None = None
) -> Pacer:
    """A pacer whose time is the test's."""
    heard = [] if waited is None else waited
    return Pacer(rate, concurrency, clock=clock, sleep=clock.sleep, throttled=heard.append)


async def starts(pacer: Pacer, clock: FakeClock, count: int) -> list[float]:
    """Ask this often at once and tell when each started, in seconds."""
    moments: list[float] = []

    async def ask() -> None:
        async with pacer:
            moments.append(clock.monotonic() - 1000.0)

    await asyncio.gather(*(ask() for _ in range(count)))
    return moments


@given(st.lists(st.floats(0, 5), max_size=400), st.sampled_from([0.1, 1.5, 5.0]))
def test_no_arrival_pattern_exceeds_the_rate(gaps: list[float], rate: float) -> None:
    """However requests arrive, a minute holds at most rate times 60 starts and one."""
    spacing, now, taken = Spacing(rate), 0.0, list[float]()
    for gap in gaps:
        now += gap
        now += spacing.wait(now)
        spacing.take(now)
        taken.append(now)
    in_each_minute = (sum(start <= moment <= start + 59.999 for moment in taken) for start in taken)
    assert max(in_each_minute, default=0) <= rate * 60 + 1


def test_idle_time_is_not_saved_up() -> None:
    """After an idle hour one request starts at once, the next one an interval later."""
    spacing = Spacing(2.0)
    spacing.take(0.0)
    assert spacing.wait(3600.0) == 0.0
    spacing.take(3600.0)
    assert spacing.wait(3600.0) == 0.5


def test_a_pause_is_never_made_shorter() -> None:
    """A pause stays when a shorter one is asked for, and reaches beyond the pace."""
    spacing = Spacing(1.0)
    spacing.pause_until(30.0)
    spacing.pause_until(10.0)
    assert spacing.wait(0.0) == 30.0
    assert spacing.wait(31.0) == 0.0


async def test_ten_at_once_are_spaced_exactly() -> None:
    """Ten that come at once at 1.5 a second start two thirds of a second apart."""
    clock = FakeClock()
    assert await starts(a_pacer(clock), clock, 10) == pytest.approx([i / 1.5 for i in range(10)])


async def test_no_limit_waits_for_nothing() -> None:
    """An infinite rate makes nobody wait, and reports no wait."""
    clock, waited = FakeClock(), list[float]()
    assert await starts(a_pacer(clock, rate=math.inf, waited=waited), clock, 10) == [0.0] * 10
    assert waited == []
    assert clock.slept == []


async def test_the_wait_of_each_is_reported() -> None:
    """Each request's wait for its turn is reported in seconds; the first has none."""
    clock, waited = FakeClock(), list[float]()
    await starts(a_pacer(clock, rate=1.0, waited=waited), clock, 4)
    assert waited == [1.0, 2.0, 3.0]


async def test_a_pause_holds_for_those_already_waiting() -> None:
    """Who waited in line when the pause began starts after it as well, still evenly spaced."""
    clock = FakeClock()
    pacer = a_pacer(clock, rate=1.0)
    waiting = asyncio.ensure_future(starts(pacer, clock, 3))
    while not clock.slept:
        await asyncio.sleep(0)
    pacer.pause_until(clock.monotonic() + 60)
    assert await waiting == [0.0, 60.0, 61.0]


async def test_an_endless_pause_is_capped() -> None:
    """A pause until the end of time lasts a quarter of an hour."""
    clock = FakeClock()
    pacer = a_pacer(clock)
    pacer.pause_until(math.inf)
    assert await starts(pacer, clock, 1) == [MAX_PAUSE]
    assert MAX_PAUSE == 900.0


async def test_no_more_than_the_concurrency_at_once() -> None:
    """With two places the third starts when one of the two has ended."""
    pacer = a_pacer(FakeClock(), rate=math.inf, concurrency=2)
    inside, let_go = list[int](), [asyncio.Event() for _ in range(3)]

    async def ask(number: int) -> None:
        async with pacer:
            inside.append(number)
            await let_go[number].wait()

    asking = [asyncio.ensure_future(ask(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    assert inside == [0, 1]
    let_go[1].set()
    await asking[1]
    await asyncio.sleep(0.01)
    assert inside == [0, 1, 2]
    let_go[0].set()
    let_go[2].set()
    await asyncio.gather(*asking)


async def test_who_is_cancelled_takes_no_turn() -> None:
    """A request that is cancelled in line gives its turn and its place to the next."""
    clock = FakeClock()
    asleep = asyncio.Event()
    never = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if not asleep.is_set():
            asleep.set()
            await never.wait()
        await clock.sleep(seconds)

    pacer = Pacer(1.0, 1, clock=clock, sleep=sleep, throttled=list[float]().append)
    assert await starts(pacer, clock, 1) == [0.0]
    cancelled = asyncio.ensure_future(starts(pacer, clock, 1))
    await asleep.wait()
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    assert await starts(pacer, clock, 1) == [1.0]
