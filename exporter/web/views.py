"""What the web layer shows and takes: the wiring offers it, the handlers only translate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from exporter.clock import Moment
from exporter.errors import ExporterError
from exporter.metrics.births import Caller
from exporter.model import Status, WatchedId
from exporter.store.board import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeRequest:
    """One request for the metrics."""

    caller: Caller
    accept: str = ""
    """The formats it takes, as in its ``Accept`` header."""
    names: tuple[str, ...] = ()
    """The families it asks for by ``?name[]=``; all when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """The metrics as one request is to get them.

    One of the two functions is called, once, when it is known what became of the answer; they
    neither wait nor raise.
    """

    pieces: Sequence[bytes]
    """The body."""
    content_type: str
    delivered: Callable[[], None]
    """The whole body was written, and the connection is still open."""
    abandoned: Callable[[], None]
    """The client went away before that, or did not ask for a body (HEAD)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A source as operators see it. Nothing in it is secret."""

    name: str
    api: str
    url: str
    """Where the API is, with credentials masked."""
    labels: Mapping[str, str] = field(default_factory=dict)
    up: bool | None = None
    """Whether the last request succeeded; None before the first one has ended."""
    last_success: datetime | None = None
    last_error: str = ""
    """What went wrong last, if it goes wrong still."""
    registration: bool = False
    acknowledgement: bool = False
    """Whether its failures can be acknowledged: that takes registration, and an Alertmanager that we tell."""
    keeps_logs: bool = True
    """Whether its API keeps logs of tasks."""
    watched: int = 0
    limit: int = 0
    """How many tasks it may watch at a time."""
    tasks: Mapping[Status, int] = field(default_factory=dict)
    """How many tasks are on its board, by status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverInfo:
    """A receiver of notifications, and how many it took."""

    name: str
    sent: int
    errors: int
    dropped: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterInfo:
    """The exporter as operators see it. Nothing in it is secret."""

    started_at: datetime
    config_loaded_at: datetime
    storage: str
    """Where the ledger is; "" when it is in memory only."""
    storage_errors: int = 0
    pending_changes: int = 0
    """Changes that are not in the database yet."""
    requests_failed: int = 0
    """Requests that were answered with 500."""
    receivers: Sequence[ReceiverInfo] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of the ids that were posted."""

    new: Sequence[str]
    known: Sequence[str] = ()
    """Those that were watched, or had ended, before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Who has seen a task's alert, and when; the first who said so."""

    at: datetime
    by: str
    comment: str


class NoAlert(ExporterError):
    """No alert of the task fires."""


class UnknownSource(ExporterError):
    """No source of this name is configured."""


class RegistrationOff(ExporterError):
    """The source does not let anybody act on it over HTTP."""


class TooManyTasks(ExporterError):
    """The source watches as many tasks as it may; there is room again when some have ended."""


class Health(Protocol):
    """Knows whether the exporter does its work."""

    def not_ready(self) -> str:
        """Tell what is still waited for, or "" when the configuration is loaded and polling has begun."""
        ...

    def request_failed(self) -> None:
        """Count a request that was answered with 500 because of a defect of ours."""
        ...


class Metrics(Protocol):
    """Renders what Prometheus sees."""

    async def scrape(self, request: ScrapeRequest) -> Exposition:
        """Render the metrics; what their being shown changes waits for ``delivered``."""
        ...


class Tasks(Protocol):
    """Knows the sources and their tasks."""

    def sources(self) -> Sequence[SourceInfo]:
        """All sources, as configured now and in that order."""
        ...

    def boards(self) -> Mapping[str, Board]:
        """The board of every source, by name."""
        ...

    def now(self) -> Moment:
        """The time by which ages are told."""
        ...

    def durations(self, source: str, operation: str) -> Sequence[float]:
        """What the last successful runs of an operation took, in seconds, the shortest first."""
        ...


class Setup(Protocol):
    """Knows how the exporter was set up, and how it does."""

    def configuration(self) -> str:
        """The configuration in use as YAML, with its secrets masked."""
        ...

    def info(self) -> ExporterInfo:
        """How the exporter does."""
        ...


class Registrar(Protocol):
    """Takes ids to watch."""

    async def register(self, source: str, watched: Sequence[WatchedId]) -> Registered:
        """Watch these ids, all or none; returns when they are committed.

        Doing it twice is the same as doing it once. It may be cancelled when it takes too long: then
        the ids are committed or not, and the client is told to try again.

        Raises:
            UnknownSource: there is no such source.
            RegistrationOff: its configuration does not say ``registration: true``.
            TooManyTasks: not all of them fit under the source's limit.
            StorageError: the ids could not be committed.
        """
        ...


class Logs(Protocol):
    """Fetches the logs of tasks."""

    async def fetch_log(self, source: str, task_id: str) -> str:
        """Ask the source's API for the log of a task.

        Raises:
            UnknownSource: there is no such source.
            NoLog: its API keeps none, or has none yet.
            TaskNotFound: its API does not know the task.
            SourceError: its API let us down.
        """
        ...


class Pager(Protocol):
    """Tells people of failed tasks until one of them has seen it."""

    async def acknowledge(self, source: str, task_id: str, *, by: str, comment: str) -> Acknowledged:
        """Resolve the alert of a task, because a person has seen it; doing it twice changes nothing.

        Raises:
            UnknownSource: there is no such source.
            RegistrationOff: its configuration does not say ``registration: true``.
            NoAlert: no alert of this task fires.
            StorageError: it could not be noted.
        """
        ...


class Reloads(Protocol):
    """Takes the configuration file into use again."""

    async def reload(self) -> Sequence[str]:
        """Load the file; return what is wrong with it, one line each, or nothing if it is in use now."""
        ...


class Exporter(Health, Metrics, Tasks, Setup, Registrar, Logs, Pager, Reloads, Protocol):
    """All that the web application needs."""
