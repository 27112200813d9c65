"""The alerts that are being told, in memory and in the database: a restart neither loses nor repeats one."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from heapq import nsmallest

from sqlalchemy import Connection

from exporter.alerts.settings import Database
from exporter.store import alerting, outbox
from exporter.store.alert import Alert


class Registry:
    """All alerts that Alertmanager is told. Every change is in the database before it shows here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._alerts: dict[str, Alert] = {}
        self._listeners: list[Callable[[], None]] = []
        self._lock = asyncio.Lock()
        """Held from reading an alert to writing its newer self, lest one change undoes another."""

    def __iter__(self) -> Iterator[Alert]:
        return iter(self._alerts.values())

    def __len__(self) -> int:
        return len(self._alerts)

    def get(self, event: str) -> Alert | None:
        """Look up an alert by its event."""
        return self._alerts.get(event)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call *listener* when there is something new to tell."""
        self._listeners.append(listener)

    async def load(self) -> None:
        """Go on from what is in the database."""
        async with self._lock:
            self._alerts = {alert.event: alert for alert in await self._database.transact(alerting.read)}

    def clear(self) -> int:
        """Forget all alerts, which the database has forgotten already; return how many nobody was told."""
        untold = sum(alert.accepted_at is None and alert.resolved_at is None for alert in self)
        self._alerts = {}
        return untold

    async def add(self, new: Collection[Alert], receiver: str, position: int) -> None:
        """Take in new alerts, and note in the same transaction how far that is in the outbox."""

        def work(connection: Connection) -> None:
            alerting.write(connection, new)
            outbox.advance(connection, receiver, position)

        async with self._lock:
            await self._database.transact(work)
            self._put(new)

    async def accept(self, events: Iterable[str], now: datetime) -> None:
        """Note that an Alertmanager took alerts; only the first time counts."""
        async with self._lock:
            known = (self._alerts.get(event) for event in events)
            first = [replace(a, accepted_at=now) for a in known if a is not None and a.accepted_at is None]
            await self._write(first)

    async def resolve(self, events: Iterable[str], now: datetime) -> None:
        """Note that alerts are over."""
        async with self._lock:
            over = (self._alerts[event] for event in events)
            await self._write([replace(alert, resolved_at=max(now, alert.starts_at)) for alert in over])

    async def acknowledge(
        self, source: str, task_id: str, *, by: str, comment: str, now: datetime
    ) -> Alert | None:
        """Resolve a task's alerts because a person has seen them; return the latest, or None without any.

        Who was first stays noted.
        """
        async with self._lock:
            mine = [alert for alert in self if (alert.source, alert.task_id) == (source, task_id)]
            new = [_acknowledged(a, by, comment, now) for a in mine if a.acknowledged_at is None]
            await self._write(new)
            return max((self._alerts[alert.event] for alert in mine), key=_by_age, default=None)

    async def forget(self, events: Collection[str]) -> None:
        """Tell alerts no more."""
        if not events:
            return
        async with self._lock:
            await self._database.transact(lambda connection: alerting.remove(connection, events))
            for event in events:
                self._alerts.pop(event, None)

    def surplus(self, limit: int) -> list[Alert]:
        """What is too much: first what is over, then what is oldest."""
        return nsmallest(
            len(self) - limit, self, key=lambda alert: (alert.resolved_at is None, alert.starts_at)
        )

    async def _write(self, changed: Collection[Alert]) -> None:
        if changed:
            await self._database.transact(lambda connection: alerting.write(connection, changed))
            self._put(changed)

    def _put(self, changed: Collection[Alert]) -> None:
        self._alerts.update((alert.event, alert) for alert in changed)
        for listener in self._listeners:
            listener()


def _acknowledged(alert: Alert, by: str, comment: str, now: datetime) -> Alert:
    return replace(
        alert,
        acknowledged_at=now,
        acknowledged_by=by,
        comment=comment,
        resolved_at=alert.resolved_at or max(now, alert.starts_at),
    )


def _by_age(alert: Alert) -> datetime:
    return alert.starts_at
