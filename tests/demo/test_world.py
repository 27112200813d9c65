"""The world: the same tasks for the same seed, and a truth that follows from the clock."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from exporter.demo.simulation import WORKLOADS
from exporter.demo.tasks import SimTask
from exporter.demo.workload import Workload
from exporter.demo.world import World
from exporter.model import Status
from tests.demo.fakes import START, StillClock

HOUR = 3600
every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.source)


def _runs_after(workload: Workload, *, seed: int, steps: int) -> list[SimTask]:
    """The runs of an hour that is looked at so many times."""
    clock = StillClock()
    world = World(workload, clock, seed=seed)
    for _ in range(steps):
        clock.forward(HOUR / steps)
        world.advance()
    return world.runs()


@every_workload
def test_the_same_seed_gives_the_same_tasks_however_often_it_is_looked_at(workload: Workload) -> None:
    """A stream depends on its seed, not on when anybody looks."""
    assert _runs_after(workload, seed=7, steps=1) == _runs_after(workload, seed=7, steps=900)
    assert _runs_after(workload, seed=7, steps=1) != _runs_after(workload, seed=8, steps=1)


@every_workload
def test_added_tasks_do_not_change_the_stream(workload: Workload, clock: StillClock) -> None:
    """What a test adds leaves all other tasks as they were."""
    world = World(workload, clock, seed=7)
    added = world.add("anything")
    launched = world.launch(workload.kinds[0].operation)
    clock.forward(HOUR)
    others = [task for task in world.runs() if task.id not in (added.id, launched.id)]
    assert others == _runs_after(workload, seed=7, steps=1)


@every_workload
def test_every_kind_of_end_is_seen_within_two_minutes(workload: Workload, clock: StillClock) -> None:
    """Somebody who watches the demo for two minutes has seen all there is."""
    world = World(workload, clock, seed=7)
    clock.forward(120)
    ended = {truth.status for truth in world.truth() if truth.status.is_final}
    assert ended == set(workload.outcomes)


@every_workload
def test_every_id_is_given_once(workload: Workload, clock: StillClock) -> None:
    """Only runs of recurring tasks share an id."""
    world = World(workload, clock, seed=7)
    clock.forward(HOUR)
    ids = Counter(task.id for task in world.runs() if not task.recurring)
    assert len(ids) > 500
    assert set(ids.values()) == {1}


@every_workload
def test_a_task_goes_one_way_from_creation_to_its_end(workload: Workload, clock: StillClock) -> None:
    """Status and progress never go back, and times are in order."""
    world = World(workload, clock, seed=7)
    clock.forward(600)
    ranks = {Status.PENDING: 0, Status.RUNNING: 1}
    for task in world.runs():
        moments = [task.created_at + timedelta(seconds=second) for second in range(0, 600, 5)]
        seen = [(ranks.get(task.status_at(at), 2), task.done_at(at)) for at in moments]
        assert seen == sorted(seen)
        assert task.started_at is None or task.created_at <= task.ready_at <= task.started_at
        assert task.finished_at is not None
        assert (task.started_at or task.created_at) <= task.finished_at


@every_workload
def test_a_stopped_world_comes_to_an_end(workload: Workload, clock: StillClock) -> None:
    """After `stop` every run ends, so that counters can be compared with the truth."""
    world = World(workload, clock, seed=7)
    clock.forward(120)
    world.stop()
    number = len(world.runs())
    clock.forward(HOUR)
    assert len(world.truth()) == number
    assert all(truth.status.is_final for truth in world.truth())


@every_workload
def test_the_memory_of_a_world_stays_flat(workload: Workload, clock: StillClock) -> None:
    """Tasks that ended long ago are forgotten."""
    world = World(workload, clock, seed=7, keep=timedelta(minutes=10))
    sizes = []
    for _ in range(8):
        clock.forward(HOUR)
        sizes.append(len(world.runs()))
    assert max(sizes) < 500


def test_speed_divides_gaps_and_lengths(clock: StillClock) -> None:
    """At speed 10, the tasks of an hour are there after six minutes."""
    world = World(WORKLOADS[0], clock, seed=7, speed=10)
    clock.forward(HOUR / 10)
    runs, slow = world.runs(), _runs_after(WORKLOADS[0], seed=7, steps=1)
    assert len(runs) == pytest.approx(len(slow), abs=2)
    assert runs[0].planned.total_seconds() == pytest.approx(slow[0].planned.total_seconds() / 10, abs=0.001)


def test_outcomes_may_be_chosen(clock: StillClock) -> None:
    """A world that is told to fail always fails."""
    world = World(WORKLOADS[0], clock, outcomes={Status.ERROR: 1})
    clock.forward(HOUR)
    assert {task.outcome for task in world.runs()} == {Status.ERROR}


def test_an_added_task_is_exactly_as_told(clock: StillClock) -> None:
    """A script decides times, outcome and facts, and the truth follows the clock."""
    world = World(WORKLOADS[0].silent(), clock)
    world.add(
        "import",
        outcome=Status.ERROR,
        queued=timedelta(seconds=5),
        length=timedelta(seconds=20),
        error_code="IMP_001",
    )
    seen = []
    for seconds in (0, 5, 20):
        clock.forward(seconds)
        (truth,) = world.truth()
        seen.append((truth.status, truth.error_code, truth.duration))
    assert seen == [
        (Status.PENDING, "", None),
        (Status.RUNNING, "", None),
        (Status.ERROR, "IMP_001", timedelta(seconds=20)),
    ]


def test_a_task_may_be_stuck_for_ever(clock: StillClock) -> None:
    """Without a length a task runs on, and its progress stays where it is told to."""
    world = World(WORKLOADS[0].silent(), clock)
    task = world.add("import", length=None, reach=0.3)
    clock.forward(100 * HOUR)
    assert world.truth()[0].status is Status.RUNNING
    assert task.done_at(clock.now()) == pytest.approx(0.3)


def test_a_task_may_lie_in_the_future(clock: StillClock) -> None:
    """What is added for later is not there before."""
    world = World(WORKLOADS[0].silent(), clock)
    task = world.add("import", created_at=START + timedelta(seconds=60))
    assert (world.task(task.id), world.tasks(), world.truth()) == (None, [], [])
    clock.forward(60)
    assert world.tasks() == [task]


def test_adding_an_id_again_is_a_further_run(clock: StillClock) -> None:
    """Two runs of one id are told apart by their number, and the last is the present one."""
    world = World(WORKLOADS[0].silent(), clock)
    first = world.add("import", length=timedelta(seconds=1))
    clock.forward(10)
    second = world.add("import", id=first.id)
    assert [task.run for task in world.runs()] == [0, 1]
    assert world.task(first.id) == second


def test_an_outcome_that_the_api_does_not_have_is_refused(clock: StillClock) -> None:
    """DataArts cancels nothing, so no script can make it."""
    world = World(WORKLOADS[1], clock)
    with pytest.raises(ValueError, match="dataarts ends tasks only as success, error, warning"):
        world.add("import_job", outcome=Status.CANCELLED)


def test_an_operation_that_the_api_does_not_do_is_refused(clock: StillClock) -> None:
    """Launching names what there is to launch."""
    with pytest.raises(ValueError, match="epmware does not do 'fly', only import, export, deploy"):
        World(WORKLOADS[0], clock).launch("fly")


def test_recurring_runs_follow_one_another_under_one_id(clock: StillClock) -> None:
    """The next run waits from the moment that the last one ended, until its schedule."""
    world = World(replace(WORKLOADS[2], gap=None), clock, seed=7)
    clock.forward(HOUR)
    cull = [task for task in world.runs() if task.name == "cull_history"]
    assert len({task.id for task in cull}) == 1
    assert [task.run for task in cull] == list(range(len(cull)))
    assert len(cull) == pytest.approx(HOUR / 45, abs=2)
    for last, following in pairwise(cull):
        assert last.finished_at == following.created_at < following.ready_at
