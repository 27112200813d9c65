"""A simulated task: everything that will ever happen to it, decided when it is created."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.model import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A subtask: it runs from one moment to another and ends in one way."""

    id: str
    name: str
    outcome: Status
    started_at: datetime
    finished_at: datetime | None

    def status_at(self, now: datetime) -> Status:
        """Tell what the part is doing at a moment after its start."""
        return self.outcome if _passed(self.finished_at, now) else Status.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class SimTask:
    """One run of a task. What it is doing at any time follows from the clock alone."""

    id: str
    operation: str
    """The kind of work in the words that the exporter is expected to use."""
    name: str
    """What the API calls this very task."""
    outcome: Status
    created_at: datetime
    ready_at: datetime
    """When nothing but a free worker kept it from starting: its schedule, or when it was unblocked."""
    started_at: datetime | None
    """None for a task that ends without ever starting."""
    finished_at: datetime | None
    """None for a task that never ends."""
    planned: timedelta
    """How long all of the work takes."""
    reach: float = 1.0
    """The part of the work that is done before the task ends, or gets stuck."""
    records: int = 0
    cancel_at: datetime | None = None
    """When somebody asked to cancel it; it ends a little later."""
    run: int = 0
    """Counts the runs of one id, from 0."""
    recurring: bool = False
    error_code: str = ""
    message: str = ""
    form: str = ""
    """Which of the published forms the API tells this task in; each API has its own."""
    parts: tuple[Part, ...] = ()

    def status_at(self, now: datetime) -> Status:
        """Tell what the task is doing."""
        if _passed(self.finished_at, now):
            return self.outcome
        return Status.RUNNING if _passed(self.started_at, now) else Status.PENDING

    def done_at(self, now: datetime) -> float:
        """Tell the part of the work that is done, from 0 to 1; it never goes back."""
        if self.started_at is None or now < self.started_at:
            return 0.0
        if not self.planned:
            return self.reach
        return min((now - self.started_at) / self.planned, self.reach)

    def records_at(self, now: datetime) -> int:
        """Tell how many records are done."""
        return int(self.records * self.done_at(now) + 1e-6)

    def has_started(self, now: datetime) -> bool:
        """Tell whether it has begun to work."""
        return _passed(self.started_at, now)

    def has_ended(self, now: datetime) -> bool:
        """Tell whether nothing will happen to it any more."""
        return _passed(self.finished_at, now)

    def is_being_cancelled(self, now: datetime) -> bool:
        """Tell whether it has been asked to stop and has not yet."""
        return _passed(self.cancel_at, now) and not self.has_ended(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really became of one run of a task by a moment; what the exporter shows must agree."""

    source: str
    id: str
    run: int
    operation: str
    name: str
    status: Status
    error_code: str
    """The code that the API tells; empty unless it has failed."""
    form: str
    """The form in which the API tells the task; in some it tells no times."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def duration(self) -> timedelta | None:
        """The time from start to end, where it has had both."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def truth_of(source: str, task: SimTask, now: datetime) -> Truth:
    """Tell what became of *task* by *now*; what is still to come is left out."""
    return Truth(
        source=source,
        id=task.id,
        run=task.run,
        operation=task.operation,
        name=task.name,
        status=task.status_at(now),
        error_code=task.error_code if task.has_ended(now) else "",
        form=task.form,
        created_at=task.created_at,
        started_at=task.started_at if task.has_started(now) else None,
        finished_at=task.finished_at if task.has_ended(now) else None,
    )


def _passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
