"""What the operator decided about notifications, and what the rest of the exporter has to offer for them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from exporter.http.settings import HttpSettings
from exporter.model import FAILED, Status
from exporter.secret import Secret

T = TypeVar("T")
RUNBOOK = "https://github.com/asynctask-exporter/asynctask-exporter/blob/main/docs/runbook.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """What Alertmanager is told, and when."""

    job: str = "asynctask-exporter"
    """The ``job_name`` under which Prometheus scrapes us, for its rules' alerts have it as a label."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels on every alert, as Prometheus' ``external_labels`` are on its alerts."""
    external_url: str = ""
    """Where people reach the exporter, for links; empty for none."""
    runbook_url: str = RUNBOOK
    resend_delay: timedelta = timedelta(minutes=1)
    keep_firing: timedelta = timedelta(minutes=15)
    """How long an alert fires at the least, and how long it outlives an exporter that is gone."""
    log_wait: timedelta = timedelta(seconds=3)
    """How long after its task's end was seen a page waits for the log, at the most."""
    send_resolved: bool = True
    """Whether the end of an alert is told, or left to the rules that fire beside us."""
    limit: int = 10_000
    """How much may wait for receivers, and how many alerts are kept."""
    backoff: tuple[float, float] = (1.0, 60.0)
    """Seconds between attempts at a receiver that fails: the first, and the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """A receiver of events."""

    name: str
    """The label ``receiver``, and the name of its place in the outbox."""
    http: HttpSettings
    """Where it is: the URL in full."""
    on: frozenset[Status] = FAILED
    """The ends that it wants to know of."""
    secret: Secret | None = None
    secret_file: Path | None = None
    """What its events are signed with; none if neither is given."""
    backoff: tuple[float, float] = (1.0, 60.0)
    external_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerSettings:
    """One Alertmanager."""

    name: str
    """The label ``receiver``."""
    http: HttpSettings
    """Where it is: below this URL, its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What there is to know about a source of tasks."""

    labels: Mapping[str, str]
    """Its own labels."""
    keep_failed: timedelta
    fetch_log: Callable[[str], Awaitable[str]] | None = None
    """Asks for the log of a task; None where the API keeps none. Raises ``ExporterError``."""


OriginOf = Callable[[str], Origin | None]
"""Tells what there is to know about a source by its name, as it is configured now; None where it is not."""


class Observer(Protocol):
    """Is told what becomes of the notifications to one receiver; must be quick."""

    def sent(self, number: int) -> None:
        """Hear that so many were taken."""
        ...

    def failed(self) -> None:
        """Hear that an attempt failed; it will be repeated."""
        ...

    def dropped(self, number: int) -> None:
        """Hear that so many will never be taken: refused for what they are, or beyond the limit."""
        ...

    def queued(self, number: int) -> None:
        """Hear how many wait now."""
        ...


class Database(Protocol):
    """Runs SQL; ``exporter.store.ledger.Ledger`` does."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in a transaction of its own.

        Raises:
            StorageError: it cannot be done now.
        """
        ...
