"""An alert about one run of a task, as Alertmanager is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exporter.model import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One run that ended badly, from its end until nobody has to know of it any more."""

    event: str
    """The news that it comes from; the same always."""
    source: str
    task_id: str
    run: str
    operation: str
    status: Status
    labels: Mapping[str, str]
    """What identifies it for Alertmanager."""
    annotations: Mapping[str, str]
    ended_at: datetime
    """When the run ended: by its API where that tells."""
    starts_at: datetime
    """When the end was seen, by the clock of this machine."""
    accepted_at: datetime | None = None
    """When an Alertmanager first took it."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    comment: str = ""
    resolved_at: datetime | None = None
