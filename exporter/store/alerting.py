"""The alerts in the database, so that a restart neither resolves nor repeats them.

All of this is SQL, to be run by ``Ledger.transact``.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, and_, delete, select

from exporter.model import Status
from exporter.store.alert import Alert
from exporter.store.jsontext import entry_from_json
from exporter.store.prepared import Values
from exporter.store.schema import alerts, entries, put, stamp, take, time

_TIMES = ("ended_at", "starts_at", "accepted_at", "acknowledged_at", "resolved_at")
_TEXTS = ("labels", "annotations")


def read(connection: Connection) -> Sequence[Alert]:
    """Read all alerts, oldest first."""
    rows = connection.execute(select(alerts).order_by(alerts.c.starts_at, alerts.c.event)).mappings()
    return [_alert(dict(row)) for row in rows]


def write(connection: Connection, changed: Collection[Alert]) -> None:
    """Write alerts over those with the same event."""
    put(connection, alerts, [_row(alert) for alert in changed])


def remove(connection: Connection, events: Collection[str]) -> None:
    """Delete the alerts of these events."""
    take(connection, alerts, [(event,) for event in events])


def clear(connection: Connection) -> None:
    """Delete all alerts: there is no Alertmanager to be told any more."""
    connection.execute(delete(alerts))


def on_board(connection: Connection) -> Mapping[str, Status]:
    """Look up what the board says of the runs with alerts, by event; those that left it are not told."""
    same_run = and_(*(alerts.c[name] == entries.c[name] for name in ("source", "task_id", "run")))
    query = select(alerts.c.event, entries.c.entry).where(alerts.c.resolved_at.is_(None))
    found = connection.execute(query.join_from(alerts, entries, same_run))
    return {event: status for event, text in found if (status := _status(text)) is not None}


def _status(entry: str) -> Status | None:
    try:
        return entry_from_json(entry).task.status
    except ValueError:
        return None


def _row(alert: Alert) -> Values:
    row: dict[str, Any] = asdict(alert) | {"status": alert.status.value}
    row |= {name: json.dumps(row[name]) for name in _TEXTS}
    row |= {name: None if row[name] is None else stamp(row[name]) for name in _TIMES}
    return tuple(row[column.name] for column in alerts.columns)


def _alert(row: dict[str, Any]) -> Alert:
    row |= {name: json.loads(row[name]) for name in _TEXTS}
    row |= {name: None if row[name] is None else time(row[name]) for name in _TIMES}
    return Alert(**row | {"status": Status(row["status"])})
