"""The one vocabulary that every task API is translated into."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    """What a task is doing, whatever word its API has for it."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether a task with this status has ended."""
        return self in FINAL

    @property
    def is_failed(self) -> bool:
        """Whether a task with this status has ended in a way that pages."""
        return self in FAILED


FINAL = frozenset(
    {
        Status.SUCCESS,
        Status.WARNING,
        Status.ERROR,
        Status.TIMED_OUT,
        Status.CANCELLED,
        Status.SKIPPED,
    }
)
FAILED = frozenset({Status.ERROR, Status.TIMED_OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtask:
    """A part of a task that has a status of its own."""

    id: str
    status: Status
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as its API told it at one moment. All times are aware and in UTC."""

    id: str
    status: Status
    word: str = ""
    """The status as the API spelled it; what is logged when nobody knows the word."""
    operation: str = ""
    """The low-cardinality kind of work, such as ``import``."""
    name: str = ""
    """What a person calls this very task; never a label of an aggregate."""
    progress: float | None = None
    """How far it is, from 0 to 1."""
    created_at: datetime | None = None
    ready_at: datetime | None = None
    """The earliest moment it could have started: its schedule, or when it was unblocked."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime | None = None
    duration: timedelta | None = None
    """The duration in the API's own words, for documents that tell no start and end."""
    message: str = ""
    error_code: str = ""
    detail: str = ""
    """The long form of an error: a traceback, an explanation."""
    processed: int | None = None
    expected: int | None = None
    """Records done and records in all."""
    parent_id: str = ""
    run: str = ""
    """What tells this run of the id from others, where the API uses an id more than once."""
    subtasks: tuple[Subtask, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A task's change of status: the only thing that moves a counter."""

    source: str
    task: Task
    run: str
    """The run's key in the ledger; together with source and task id it is counted once."""
    previous: Status | None
    """The status before, or None when the run is seen for the first time."""
    at: datetime
    """When it was seen, by the wall clock of this machine."""
    opens: bool
    """Whether this run is news, so that it is counted as discovered."""
    counts: bool
    """Whether it has ended just now, as against history that nobody asked for."""
    duration: timedelta | None = None
    queued: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedId:
    """A task id that somebody asked to watch, with what they know about it."""

    id: str
    operation: str = ""
    name: str = ""
