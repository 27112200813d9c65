"""A stream of simulated tasks, of which the truth is known at every moment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from exporter.clock import Clock
from exporter.demo.tasks import SimTask, Truth, truth_of
from exporter.demo.workload import Planner, Recurring, Workload
from exporter.model import Status

_SCRIPTED = 1_000_000
"""Where the numbers of added tasks begin, so that they do not shift those of the stream."""


class World:
    """Everything that one simulated API is doing.

    The same workload, seed, speed and beginning give the same tasks, whenever it is looked at.

    Args:
        workload: what there is to do.
        clock: tells when it is; the world never waits for it.
        seed: chooses one of many possible streams.
        speed: gaps and lengths of tasks are divided by this.
        keep: how long ended tasks are remembered; None for ever.
        outcomes: how many of so many tasks end in each way, where not as the workload says.
    """

    def __init__(
        self,
        workload: Workload,
        clock: Clock,
        *,
        seed: int = 0,
        speed: float = 1.0,
        keep: timedelta | None = None,
        outcomes: Mapping[Status, int] | None = None,
    ) -> None:
        self.workload = workload
        self.clock = clock
        self.speed = speed
        self._keep = keep
        self._runs: dict[str, list[SimTask]] = {}
        outcomes = outcomes or workload.outcomes
        self._stream = _Stream(_planner(workload, f"{seed}:stream", speed, 1), outcomes)
        self._script = _Stream(_planner(workload, f"{seed}:script", speed, _SCRIPTED), outcomes)
        self._next_at = self._after(clock.now())
        self._swept_at = clock.now()
        self._schedules = [
            _Schedule(_planner(workload, f"{seed}:{place}", speed, place + 1), recurring, clock.now())
            for place, recurring in enumerate(workload.recurring)
        ]

    @property
    def source(self) -> str:
        """The name under which the exporter watches this API."""
        return self.workload.source

    def tasks(self) -> list[SimTask]:
        """The present run of every task, oldest first."""
        now = self.advance()
        shown = (_present(runs, now) for runs in self._runs.values())
        return sorted((task for task in shown if task), key=_created_at)

    def runs(self) -> list[SimTask]:
        """Every run of every task, oldest first."""
        now = self.advance()
        every = (task for runs in self._runs.values() for task in runs)
        return sorted((task for task in every if task.created_at <= now), key=_created_at)

    def task(self, task_id: str) -> SimTask | None:
        """The present run of one task, or None if there is no such task (any more)."""
        now = self.advance()
        return _present(self._runs.get(task_id, ()), now)

    def truth(self, now: datetime | None = None) -> list[Truth]:
        """Tell what became of every run by *now*, oldest first."""
        moment = now or self.clock.now()
        return [truth_of(self.source, task, moment) for task in self.runs() if task.created_at <= moment]

    def stop(self) -> None:
        """Create no more tasks; those that there are come to their ends."""
        self.advance()
        self._next_at = None
        self._schedules = []

    def launch(self, operation: str, name: str = "") -> SimTask:
        """Create a task of this kind now, as a user of the API would; how it goes is drawn.

        Raises:
            ValueError: the API does no such work.
        """
        self.workload.kind_of(operation)
        task = self._script.draw(self.clock.now(), operation)
        return self._put(replace(task, name=name or task.name))

    def add(
        self,
        operation: str = "",
        *,
        outcome: Status = Status.SUCCESS,
        created_at: datetime | None = None,
        queued: timedelta = timedelta(0),
        length: timedelta | None = timedelta(seconds=10),
        **facts: Any,  # noqa: ANN401 - any other field of SimTask
    ) -> SimTask:
        """Place exactly this task; *speed* does not touch it.

        Args:
            operation: its kind of work.
            outcome: how it ends.
            created_at: when it comes up, now by default; it may lie in the past or the future.
            queued: from its creation to its start.
            length: from its start to its end; None if it never ends.
            facts: any other field of `SimTask`. An id that there is already gets a further run.

        Raises:
            ValueError: no task of this API ends in that way; tells the ways there are.
        """
        if outcome not in self.workload.outcomes:
            raise ValueError(f"{self.source} ends tasks only as {', '.join(self.workload.outcomes)}")
        created = created_at or self.clock.now()
        started = created + queued
        task = SimTask(
            id=facts.pop("id", "") or self._script.planner.new_id(created),
            operation=operation,
            name=facts.pop("name", operation),
            outcome=outcome,
            created_at=created,
            ready_at=facts.pop("ready_at", started),
            started_at=facts.pop("started_at", started),
            finished_at=facts.pop("finished_at", None if length is None else started + length),
            planned=facts.pop("planned", timedelta(seconds=10) if length is None else length),
        )
        return self._put(replace(task, **facts))

    def advance(self) -> datetime:
        """Create what has come up by now, forget what ended long ago, and tell the time."""
        now = self.clock.now()
        while self._next_at is not None and self._next_at <= now:
            self._put(self._stream.draw(self._next_at))
            self._next_at = self._after(self._next_at)
        for schedule in self._schedules:
            for task in schedule.due(now):
                self._put(task)
        self._forget(now)
        return now

    def _after(self, moment: datetime) -> datetime | None:
        gap = self.workload.gap
        return None if gap is None else moment + self._stream.planner.pause(gap)

    def _put(self, task: SimTask) -> SimTask:
        runs = self._runs.setdefault(task.id, [])
        numbered = replace(task, run=runs[-1].run + 1) if runs else task
        runs.append(numbered)
        return numbered

    def _forget(self, now: datetime) -> None:
        """Drop what ended long ago; looked for only so often, as it looks at everything."""
        if self._keep is None or now < self._swept_at + self._keep / 20:
            return
        self._swept_at = now
        horizon = now - self._keep
        left = {
            task_id: [task for task in runs if not task.has_ended(horizon)]
            for task_id, runs in self._runs.items()
        }
        self._runs = {task_id: runs for task_id, runs in left.items() if runs}


class _Stream:
    """Draws tasks one after the other; outcomes as from a pack of cards, so that none is missing for long."""

    def __init__(self, planner: Planner, outcomes: Mapping[Status, int]) -> None:
        self.planner = planner
        self._pack = [status for status, number in outcomes.items() for _ in range(number)]
        self._cards: list[Status] = []

    def draw(self, created_at: datetime, operation: str = "") -> SimTask:
        """Decide the next task, of this kind or of any."""
        workload, random = self.planner.workload, self.planner.random
        if operation:
            kind = workload.kind_of(operation)
        else:
            (kind,) = random.choices(workload.kinds, [each.weight for each in workload.kinds])
        if not self._cards:
            self._cards = random.sample(self._pack, len(self._pack))
        return self.planner.plan(kind, self._cards.pop(), created_at)


class _Schedule:
    """The runs of one recurring task: the next one waits from the moment that the last one ended."""

    def __init__(self, planner: Planner, recurring: Recurring, begin: datetime) -> None:
        self._planner = planner
        self._recurring = recurring
        self._every = timedelta(seconds=recurring.every / planner.speed)
        self._id = planner.new_id(begin)
        self._scheduled_at = begin - self._every / 2
        self._waits_from: datetime | None = begin

    def due(self, now: datetime) -> list[SimTask]:
        """Decide every run that is in the queue by now and was not before."""
        runs = []
        while self._waits_from is not None and self._waits_from <= now:
            run = self._run(self._waits_from)
            self._waits_from = run.finished_at
            runs.append(run)
        return runs

    def _run(self, waits_from: datetime) -> SimTask:
        self._scheduled_at += self._every
        while self._scheduled_at <= waits_from:
            self._scheduled_at += self._every
        outcome = Status.ERROR if self._planner.random.random() < self._recurring.fails else Status.SUCCESS
        task = self._planner.plan(self._recurring.kind, outcome, self._scheduled_at)
        return replace(task, id=self._id, created_at=waits_from, ready_at=self._scheduled_at, recurring=True)


def _planner(workload: Workload, seed: str, speed: float, first: int) -> Planner:
    random = Random(f"{workload.source}:{seed}")
    numbers = count(first)
    return Planner(workload, random, lambda created: workload.new_id(created, next(numbers), random), speed)


def _present(runs: Sequence[SimTask], now: datetime) -> SimTask | None:
    """The run that an API shows under an id: the last one that there is."""
    created = (task for task in reversed(runs) if task.created_at <= now)
    return next(created, None)


def _created_at(task: SimTask) -> datetime:
    return task.created_at
