"""The loop learns from an operation's past durations."""

import asyncio
from collections import deque
from datetime import timedelta

from exporter.model import Status, Task, WatchedId
from exporter.polling.schedule import Bounds, interval
from tests.polling.harness import FakeApi, polling
from tests.store.given import FakeClock

BOUNDS = Bounds(least=0.01, most=10)
PAST = deque(0.3 + 0.03 * number for number in range(50))
"""Runs that took from 0.3 to 1.8 seconds."""
TICK = 0.01


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let time pass while the loop runs; what a busy machine keeps it waiting for does not count."""
    for _ in range(round(seconds / TICK)):
        await asyncio.sleep(TICK)
        clock.wall += timedelta(seconds=TICK)
        clock.mono += TICK


async def test_a_task_is_asked_for_often_where_earlier_runs_ended() -> None:
    """By its age alone it would be asked for the second time after nearly two seconds."""
    assert interval(0, BOUNDS) >= 2
    api, clock = FakeApi(), FakeClock()
    api.put(Task(id="1", status=Status.RUNNING))
    async with polling(api, clock=clock, bounds=BOUNDS) as rig:
        rig.ledger.totals.durations["s", "import"] = PAST
        await rig.poller.watch("static", [WatchedId(id="1", operation="import")])
        await pass_time(clock, 1.7)
        assert api.asked["1"] >= 4


async def test_what_another_operation_took_teaches_nothing() -> None:
    """Only the task's own operation speaks for it."""
    api, clock = FakeApi(), FakeClock()
    api.put(Task(id="1", status=Status.RUNNING), Task(id="2", status=Status.RUNNING))
    async with polling(api, clock=clock, bounds=BOUNDS) as rig:
        rig.ledger.totals.durations["s", "import"] = PAST
        ids = [WatchedId(id="1", operation="import"), WatchedId(id="2", operation="export")]
        await rig.poller.watch("static", ids)
        await pass_time(clock, 1.7)
        assert api.asked["1"] >= 4
        assert api.asked["2"] == 1
