"""One bad source leaves the others alone."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.demo.faults import Fault
from tests.campaigns.process import Samples, scrape
from tests.e2e.harness import Exporter, configured, exporting, silent_simulation
from tests.real.waiting import until

ON_TIME = "5.0"
"""Seconds: more than a poll is late on a machine that does ten other things, less than the time-out."""
TIMEOUT = "20s"


def value(samples: Samples, name: str, **labels: str) -> float:
    """The value of one sample; 0 where there is none."""
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def polls(samples: Samples, source: str) -> tuple[float, float]:
    """How many polls of a source began on time, and how many there were."""
    on_time = value(samples, "asynctask_poll_lag_seconds_bucket", source=source, le=ON_TIME)
    return on_time, value(samples, "asynctask_poll_lag_seconds_count", source=source)


async def grown(exporter: Exporter, before: Mapping[str, float], by: float) -> bool:
    """Whether every source has been polled so much more often."""
    samples = await scrape(exporter.url)
    return all(polls(samples, source)[1] >= count + by for source, count in before.items())


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STATUS_500, Fault.FLOOD_429])
async def test_the_polls_of_the_others_stay_on_time(tmp_path: Path, fault: Fault) -> None:
    """While one source hangs, fails or floods us with 429, the others are polled when they are due."""
    async with silent_simulation(speed=2) as simulation:
        for world in simulation.worlds.values():
            for _ in range(3):
                world.add(world.workload.kinds[0].operation, length=None)
        await simulation.hand_over()
        patient = configured(
            simulation, polling={"timeout": TIMEOUT, "min_interval": "1s", "list_interval": "1s"}
        )
        async with exporting(patient, tmp_path) as exporter:
            others = ("dataarts", "pulp1", "pulp")
            await until("all are polled", lambda: grown(exporter, dict.fromkeys(simulation.worlds, 0), 1))
            simulation.apis["epmware"].faults.mode = fault
            before = await scrape(exporter.url)
            counts = {source: polls(before, source)[1] for source in others}
            await until("the others are polled on", lambda: grown(exporter, counts, 4))
            after = await scrape(exporter.url)
            for source in others:
                on_time, all_of_them = polls(after, source)
                assert on_time == all_of_them
                assert value(after, "asynctask_source_up", source=source, api=source) == 1


async def test_a_failing_source_is_told_by_its_reason_and_comes_back(tmp_path: Path) -> None:
    """Up goes to 0 with the reason counted, the last known task stays, and all is well again afterwards."""
    async with silent_simulation(speed=5) as simulation:
        world = simulation.worlds["pulp"]
        stuck = world.add(world.workload.kinds[0].operation, length=None, planned=timedelta(seconds=1))
        async with exporting(configured(simulation, only=["pulp"]), tmp_path) as exporter:
            labels = {"source": "pulp", "api": "pulp"}

            async def up(expected: float) -> bool:
                return value(await scrape(exporter.url), "asynctask_source_up", **labels) == expected

            async def seen() -> bool:
                return any(dict(key[1]).get("task_id") == stuck.id for key in await scrape(exporter.url))

            await until("the task is seen", seen)
            simulation.apis["pulp"].faults.mode = Fault.STATUS_500
            await until("it is down", lambda: up(0))
            errors = await scrape(exporter.url)
            assert value(errors, "asynctask_api_errors_total", source="pulp", reason="server") >= 1
            assert await seen()
            simulation.apis["pulp"].faults.mode = Fault.NONE
            await until("it is up again", lambda: up(1))


async def test_nothing_is_asked_after_its_end(tmp_path: Path) -> None:
    """The end of each task is told once to us, and never asked for again."""
    async with silent_simulation(speed=5) as simulation:
        for name in ("epmware", "dataarts"):
            world = simulation.worlds[name]
            for _ in range(5):
                world.add(world.workload.kinds[0].operation, length=timedelta(seconds=1))
        await simulation.hand_over()
        async with exporting(configured(simulation), tmp_path) as exporter:

            async def all_ended() -> bool:
                samples = await scrape(exporter.url)
                ends = [v for (name, _), v in samples.items() if name == "asynctask_finished_total"]
                return sum(ends) == 10

            await until("all ends are counted", all_ended)
            extra = simulation.worlds["dataarts"].add("import_job", length=timedelta(seconds=2))
            await simulation.hand_over()
            requests = simulation.apis["dataarts"].requests
            await until("a later task has ended", lambda: _is_told(requests.final_answers, extra.id))
            for name in ("epmware", "dataarts"):
                assert set(simulation.apis[name].requests.final_answers.values()) == {1}


async def _is_told(answers: Mapping[tuple[str, int], int], task_id: str) -> bool:
    await asyncio.sleep(0)
    return (task_id, 0) in answers
