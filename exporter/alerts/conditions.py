"""Which end of a task is an alert, how it reads, and when it is over. Pure.

Names, labels and words are those of the rules AsyncTaskFailed, AsyncTaskTimedOut and AsyncTaskWarning in
``prometheus/alerts.yml``: for Alertmanager an alert is its labels, so what both tell is one alert.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.alerts.events import link
from exporter.alerts.settings import AlertSettings, Origin
from exporter.alerts.texts import message, tail
from exporter.model import Status, Task, Transition
from exporter.store.alert import Alert

Identity = frozenset[tuple[str, str]]
RESOLVED_RETENTION = timedelta(minutes=15)
"""How long Alertmanager is told that an alert is over, as by Prometheus."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The alert for one kind of end."""

    alertname: str
    severity: str
    summary: str
    ended: str
    advice: str


RULES: Mapping[Status, Rule] = {
    Status.ERROR: Rule(
        "AsyncTaskFailed",
        "critical",
        "A task ended in error.",
        "ended in error",
        "Read its message and log on the exporter's page or in the watched system before starting it again.",
    ),
    Status.TIMED_OUT: Rule(
        "AsyncTaskTimedOut",
        "critical",
        "A task was ended by its system for taking too long.",
        "timed out",
        "Find out what it waited for before starting it again.",
    ),
    Status.WARNING: Rule(
        "AsyncTaskWarning",
        "warning",
        "A task ended with warnings.",
        "ended with warnings",
        "It is done, but not all of what it was given may be.",
    ),
}
_OF_THE_TARGET = {"job": "exported_job", "instance": "exported_instance"}
"""What Prometheus calls labels of ours that it sets itself (``honor_labels: false``)."""
_AGGREGATED_AWAY = frozenset({"instance", "pod"})
"""The ``replica_labels`` of the rules."""


def new_alert(
    event: str,
    transition: Transition,
    origin: Origin,
    settings: AlertSettings,
    *,
    log: str = "",
    others: Container[Identity] = (),
) -> Alert:
    """The alert about a run that ended badly.

    Args:
        event: the id of the news.
        transition: the end, with a status that has a rule.
        origin: its source.
        settings: what the operator decided.
        log: the task's log, or as much as there is; "" for none.
        others: the identities of the alerts that are being told.
    """
    task = transition.task
    told = labels(transition, origin, settings)
    if identity(told) in others:  # Another run of the id: as the same alert it would page nobody.
        told["run"] = transition.run
    return Alert(
        event=event,
        source=transition.source,
        task_id=task.id,
        run=transition.run,
        operation=task.operation,
        status=task.status,
        labels=told,
        annotations=annotations(transition, settings, log),
        ended_at=_ended_at(transition),
        starts_at=transition.at,
    )


def identity(labels: Mapping[str, str]) -> Identity:
    """What makes an alert this one and no other."""
    return frozenset(labels.items())


def labels(transition: Transition, origin: Origin, settings: AlertSettings) -> dict[str, str]:
    """The labels that the rule gives its alert when Prometheus sends it."""
    task, rule = transition.task, RULES[transition.task.status]
    own = {_OF_THE_TARGET.get(name, name): value for name, value in origin.labels.items()}
    series = {
        **own,
        "job": settings.job,
        "source": transition.source,
        "operation": task.operation,
        "task_id": task.id,
        "status": task.status.value,
    }
    told = {name: value for name, value in series.items() if name not in _AGGREGATED_AWAY}
    told |= {"alertname": rule.alertname, "severity": rule.severity}
    # An empty label is for Prometheus the same as none, and external labels override nothing.
    known = {name: value for name, value in told.items() if value}
    return {**settings.labels, **known}


def annotations(transition: Transition, settings: AlertSettings, log: str) -> dict[str, str]:
    """What a person needs to know, at three in the morning as well."""
    task, rule = transition.task, RULES[transition.task.status]
    ended = f"{rule.ended} at {_shown(_ended_at(transition))}"
    told = {
        "summary": rule.summary,
        "description": f"{_the_task(transition)} {ended}. {rule.advice}",
        "runbook_url": f"{settings.runbook_url}#{rule.alertname.lower()}" if settings.runbook_url else "",
        "message": message(task.message),
        "error_code": message(task.error_code),
        "log": tail(log),
        "url": link(settings.external_url, transition.source, task.id),
    }
    return {name: text for name, text in told.items() if text}


def why_over(
    alert: Alert,
    *,
    now: datetime,
    keep_firing: timedelta,
    origin: Origin | None,
    on_board: Status | None,
    success_at: datetime | None,
) -> str:
    """Why nobody has to know of an alert any more, or "" while somebody has to.

    Args:
        alert: one that fires.
        now: by the clock of this machine.
        keep_firing: how long it fires at the least, from when an Alertmanager took it.
        origin: its source; None if that is not configured any more.
        on_board: what the board says of its run; None when it has left.
        success_at: the end of the latest success of its operation.
    """
    if alert.acknowledged_at is not None:
        return "it was acknowledged"
    if origin is None:
        return "its source is not configured any more"
    if alert.accepted_at is None or now - alert.accepted_at < keep_firing:
        return ""  # As long as nobody was told, or as Alertmanager may still wait to tell it.
    if on_board is not alert.status:
        return "its task left the board"
    if alert.operation and success_at is not None and success_at > alert.ended_at:
        return "its operation succeeded again"
    told_long = now - alert.accepted_at >= max(origin.keep_failed, keep_firing)
    return "it was told for as long as a failed task is shown" if told_long else ""


def is_forgotten(alert: Alert, now: datetime) -> bool:
    """Whether an alert was resolved long enough ago that it need not be told any more."""
    return alert.resolved_at is not None and now - alert.resolved_at >= RESOLVED_RETENTION


def _the_task(transition: Transition) -> str:
    task: Task = transition.task
    name = f' "{message(task.name)}"' if task.name else ""
    operation = f", operation {task.operation}," if task.operation else ""
    return f"Task {task.id}{name} of source {transition.source}{operation}"


def _ended_at(transition: Transition) -> datetime:
    return transition.task.finished_at or transition.at


def _shown(at: datetime) -> str:
    """A time as the templates of Prometheus show it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
