"""All notifications together: every receiver at its own pace, and what they share kept within its limit."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Protocol

import structlog
from sqlalchemy import Connection

from exporter.alerts import keeper
from exporter.alerts.alertmanager import Alertmanager
from exporter.alerts.conditions import RULES
from exporter.alerts.keeper import Keeper
from exporter.alerts.receiver import Receiver
from exporter.alerts.registry import Registry
from exporter.alerts.settings import (
    AlertmanagerSettings,
    AlertSettings,
    Database,
    Observer,
    OriginOf,
    WebhookSettings,
)
from exporter.alerts.webhook import Webhook
from exporter.clock import Clock
from exporter.errors import StorageError
from exporter.model import Status
from exporter.store import alerting, outbox
from exporter.store.alert import Alert
from exporter.store.totals import Totals

TRIM_SECONDS = 5.0


class Ledger(Database, Protocol):
    """What is needed of the ledger."""

    totals: Totals

    def on_news(self, listener: Callable[[], None]) -> None:
        """Call *listener* when there may be news in the outbox."""
        ...


class Notifier:
    """Everything that is configured under ``alerting``."""

    def __init__(
        self,
        settings: AlertSettings,
        alertmanagers: Sequence[AlertmanagerSettings],
        webhooks: Sequence[WebhookSettings],
        ledger: Ledger,
        origin_of: OriginOf,
        *,
        observers: Mapping[str, Observer],
        clock: Clock,
        dice: Random,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._origin_of = origin_of
        self._observers = dict(observers)
        self._clock = clock
        self._dice = dice
        self._log = structlog.get_logger()
        self._registry = Registry(ledger)
        self._hears_of: dict[str, Collection[Status]] = {}
        self._receivers: list[Receiver] = []
        for webhook in webhooks:
            self._add_webhook(webhook)
        if alertmanagers:
            self._add_keeper([observers[one.name] for one in alertmanagers])
        for alertmanager in alertmanagers:
            self._add_alertmanager(alertmanager)

    async def begin(self) -> None:
        """Let exactly the configured receivers be told, new ones from now on; call it before polling begins.

        Raises:
            StorageError: the database cannot be written.
        """
        await self._ledger.transact(partial(_begin, names=self._hears_of.keys()))
        await self._registry.load()

    async def run(self) -> None:
        """Notify until cancelled."""
        if not self._receivers:
            return
        async with asyncio.TaskGroup() as group:
            for receiver in self._receivers:
                group.create_task(receiver.run())
            group.create_task(self._trim_on())

    def alerts(self) -> Iterable[Alert]:
        """The alerts that Alertmanager is told of, those that are just over among them."""
        return tuple(self._registry)

    async def acknowledge(self, source: str, task_id: str, *, by: str, comment: str) -> Alert | None:
        """Resolve the alerts of a task because a person has seen them; None where there are none.

        Raises:
            StorageError: it cannot be noted now.
        """
        return await self._registry.acknowledge(
            source, task_id, by=by, comment=comment, now=self._clock.now()
        )

    def _add_webhook(self, settings: WebhookSettings) -> None:
        webhook = Webhook(
            settings,
            self._ledger,
            self._origin_of,
            observer=self._observers[settings.name],
            clock=self._clock,
            dice=self._dice,
        )
        self._add_reader(webhook, settings.on)

    def _add_keeper(self, alertmanagers: Sequence[Observer]) -> None:
        self._observers[keeper.NAME] = _Together(alertmanagers)
        kept = Keeper(
            self._registry,
            self._settings,
            self._ledger,
            self._origin_of,
            self._ledger.totals,
            observer=self._observers[keeper.NAME],
            clock=self._clock,
            dice=self._dice,
        )
        self._add_reader(kept, RULES.keys())

    def _add_reader(self, reader: Receiver, statuses: Collection[Status]) -> None:
        """Add a receiver that has a place in the outbox."""
        self._hears_of[reader.name] = statuses
        self._receivers.append(reader)
        self._ledger.on_news(reader.wake)

    def _add_alertmanager(self, settings: AlertmanagerSettings) -> None:
        sender = Alertmanager(
            settings,
            self._settings,
            self._registry,
            observer=self._observers[settings.name],
            clock=self._clock,
            dice=self._dice,
        )
        self._receivers.append(sender)
        self._registry.on_change(sender.wake)

    async def _trim_on(self) -> None:
        while True:
            try:
                await self._trim()
            except StorageError as error:
                self._log.error("The outbox cannot be trimmed", err=str(error))
            await asyncio.sleep(TRIM_SECONDS)

    async def _trim(self) -> None:
        """Drop what waits beyond the limit, and tell how much waits for those who are left alone just now."""
        limit = self._settings.limit
        told = await self._ledger.transact(partial(outbox.trim, wanted=self._hears_of, limit=limit))
        for receiver, (missed, waiting) in told.items():
            self._observers[receiver].queued(waiting)
            if missed:
                self._observers[receiver].dropped(missed)
                self._log.error(
                    "Notifications beyond queue_limit are dropped", receiver=receiver, dropped=missed
                )


class _Together:
    """Passes on what concerns all Alertmanagers; each tells by itself what it was sent and what waits."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def sent(self, number: int) -> None:
        """An alert that is kept is not sent yet."""

    def failed(self) -> None:
        """Not kept now: none of them can be told."""
        for observer in self._observers:
            observer.failed()

    def dropped(self, number: int) -> None:
        """Never kept: none of them will be told."""
        for observer in self._observers:
            observer.dropped(number)

    def queued(self, number: int) -> None:
        """What waits to be kept waits for a moment only."""


def _begin(connection: Connection, names: Collection[str]) -> None:
    outbox.admit(connection, names)
    if keeper.NAME not in names:
        alerting.clear(connection)
