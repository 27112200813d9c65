"""What kinds of work an API does, how long they take and how they end."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from exporter.demo.tasks import Part, SimTask
from exporter.model import Status

NewId = Callable[[datetime], str]
"""Gives a fresh id to something created at that moment."""
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of work."""

    operation: str
    names: tuple[str, ...]
    """What the API may call such a task."""
    weight: int = 1
    """How often it comes up, relative to the other kinds."""
    seconds: Range
    """The shortest and longest time all of the work takes."""
    records: tuple[int, int] = (0, 0)
    failures: tuple[tuple[str, str], ...] = (("", ""),)
    """Error code and message of the ways it fails."""
    fails_at: Range = (0.1, 0.9)
    """The part of the work that is done when it fails or is cancelled."""
    parts: tuple[str, ...] = ()
    """Names of its subtasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A task that runs on a schedule, again and again under one id."""

    kind: Kind
    every: float
    """Seconds from one scheduled time to the next."""
    fails: float = 0.2
    """How probable it is that a run fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """All that one simulated API is given to do."""

    source: str
    new_id: Callable[[datetime, int, Random], str]
    kinds: tuple[Kind, ...]
    outcomes: Mapping[Status, int]
    """How many of so many tasks end in each way; every way comes up once in so many."""
    gap: Range | None = (2.0, 4.0)
    """Seconds between new tasks; None for no tasks but those that a test adds."""
    queue: Range = (0.2, 3.0)
    """Seconds from creation to start."""
    unstarted: Mapping[Status, float] = field(default_factory=dict)
    """How probable it is that a task with this outcome never started."""
    forms: Mapping[Status, tuple[str, ...]] = field(default_factory=dict)
    """The forms in which a task with this outcome may be told."""
    coded: tuple[str, ...] = ("",)
    """Those of the forms that tell error codes."""
    recurring: tuple[Recurring, ...] = ()

    def silent(self) -> "Workload":
        """The same API with nothing to do, for tests that add every task themselves."""
        return replace(self, gap=None, recurring=())

    def kind_of(self, operation: str) -> Kind:
        """Find a kind of work by its operation.

        Raises:
            ValueError: this API does no such work; tells what it does.
        """
        for kind in self.kinds:
            if kind.operation == operation:
                return kind
        known = ", ".join(kind.operation for kind in self.kinds)
        raise ValueError(f"{self.source} does not do {operation!r}, only {known}")


@dataclass(frozen=True, slots=True)
class Planner:
    """Decides how a new task will go: with the same randomness always in the same way."""

    workload: Workload
    random: Random
    new_id: NewId
    speed: float = 1.0
    """All lengths are divided by this."""

    def plan(self, kind: Kind, outcome: Status, created_at: datetime) -> SimTask:
        """Decide all that will happen to a task that is created now."""
        ready_at = created_at + self.pause(self.workload.queue)
        draft = self._draft(kind, outcome, created_at, ready_at)
        if self.random.random() < self.workload.unstarted.get(outcome, 0.0):
            task = replace(draft, started_at=None, reach=0.0, finished_at=ready_at + self.pause((1.0, 8.0)))
        else:
            task = replace(draft, finished_at=ready_at + _milliseconds(draft.planned * draft.reach))
        return self._with_parts(self._with_cancel(task), kind)

    def pause(self, seconds: Range) -> timedelta:
        """Draw a length of time; short ones are as likely as long ones, on a logarithmic scale."""
        shortest, longest = seconds
        if longest <= 0:
            return timedelta(0)
        drawn = math.exp(self.random.uniform(math.log(shortest), math.log(longest)))
        return _milliseconds(timedelta(seconds=drawn / self.speed))

    def _draft(self, kind: Kind, outcome: Status, created_at: datetime, ready_at: datetime) -> SimTask:
        code, message = self.random.choice(kind.failures)
        forms = self.workload.forms.get(outcome, ("",))
        form = self.random.choice(forms)
        return SimTask(
            id=self.new_id(created_at),
            operation=kind.operation,
            name=self.random.choice(kind.names),
            outcome=outcome,
            created_at=created_at,
            ready_at=ready_at,
            started_at=ready_at,
            finished_at=None,
            planned=self.pause(kind.seconds),
            reach=1.0 if outcome in _WHOLE else self.random.uniform(*kind.fails_at),
            records=self.random.randint(*kind.records),
            error_code=code if outcome is Status.ERROR and form in self.workload.coded else "",
            message=message if outcome.is_failed else "",
            form=form,
        )

    def _with_cancel(self, task: SimTask) -> SimTask:
        if task.outcome is not Status.CANCELLED or task.finished_at is None:
            return task
        earliest = task.started_at or task.created_at
        return replace(task, cancel_at=max(earliest, task.finished_at - self.pause((1.0, 6.0))))

    def _with_parts(self, task: SimTask, kind: Kind) -> SimTask:
        if task.started_at is None or task.finished_at is None:
            return task
        listed_at = task.started_at + _milliseconds(task.planned * 0.1)
        if not kind.parts or listed_at > task.finished_at:
            return task
        step = (task.started_at + task.planned - listed_at) / len(kind.parts)
        parts = [
            self._part(task, name, listed_at, listed_at + step * (place + 1))
            for place, name in enumerate(kind.parts)
        ]
        if task.outcome is Status.WARNING:
            parts[-1] = replace(parts[-1], outcome=Status.WARNING)
        return replace(task, parts=tuple(parts))

    def _part(self, task: SimTask, name: str, started_at: datetime, due: datetime) -> Part:
        whole = task.finished_at is not None and due <= task.finished_at + timedelta(milliseconds=1)
        return Part(
            id=self.new_id(started_at),
            name=name,
            outcome=Status.SUCCESS if whole or task.outcome in _WHOLE else task.outcome,
            started_at=started_at,
            finished_at=due if whole else task.finished_at,
        )


_WHOLE = frozenset({Status.SUCCESS, Status.WARNING})
"""The ends that come after all of the work."""


def _milliseconds(length: timedelta) -> timedelta:
    """Round to what every API can tell, or nearly so."""
    return timedelta(milliseconds=round(length / timedelta(milliseconds=1)))
