"""Makes the receivers, each with its place, and knows which of them are configured as before."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

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
from exporter.model import Status
from exporter.store.totals import Totals


class Ledger(Database, Protocol):
    """What is needed of the ledger."""

    totals: Totals

    def on_news(self, listener: Callable[[], None]) -> None:
        """Call *listener* when there may be news in the outbox."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """Who is to be told, and what they share."""

    settings: AlertSettings
    alertmanagers: Sequence[AlertmanagerSettings] = ()
    webhooks: Sequence[WebhookSettings] = ()

    @property
    def names(self) -> Sequence[str]:
        """Those of the receivers."""
        return [one.name for one in self.alertmanagers] + [one.name for one in self.webhooks]


@dataclass(frozen=True, slots=True)
class Place:
    """A receiver, and what it was made from: whoever is made from the same goes on undisturbed."""

    receiver: Receiver
    origin: object
    hears_of: Collection[Status] | None = None
    """What it is told from the outbox; None for one that has no place there."""


_Wanted = tuple[str, object, Callable[[], Receiver], Collection[Status] | None]
"""A receiver's name, what it is made from, how it is made, and what it is told from the outbox."""


class Maker:
    """Makes receivers.

    Args:
        registry: the alerts that Alertmanagers are told of.
        ledger: where the outbox is.
        origin_of: tells what there is to know about a source.
        told_now: tells who is told at the moment.
        observers: who keeps the numbers about each receiver, by its name.
        clock: tells when.
        dice: spreads attempts.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        origin_of: OriginOf,
        told_now: Callable[[], Told],
        *,
        observers: Mapping[str, Observer],
        clock: Clock,
        dice: Random,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._origin_of = origin_of
        self._told_now = told_now
        self._observers = observers
        self._clock = clock
        self._dice = dice

    def places(self, told: Told, known: Mapping[str, Place]) -> Mapping[str, Place]:
        """The place of each receiver: that in *known*, where nothing about it is another.

        Raises:
            ConfigError: a proxy's address in the environment is none.
        """
        made = {}
        for name, origin, make, hears_of in self._wanted(told):
            before = known.get(name)
            made[name] = before if before and before.origin == origin else Place(make(), origin, hears_of)
        return made

    def _wanted(self, told: Told) -> Iterator[_Wanted]:
        for webhook in told.webhooks:
            yield webhook.name, webhook, partial(self._webhook, webhook), webhook.on
        if told.alertmanagers:
            yield keeper.NAME, told.settings, partial(self._keeper, told.settings), RULES.keys()
        for one in told.alertmanagers:
            yield one.name, (one, told.settings), partial(self._alertmanager, one, told.settings), None

    def _webhook(self, settings: WebhookSettings) -> Receiver:
        return Webhook(
            settings,
            self._ledger,
            self._origin_of,
            observer=self._observers[settings.name],
            clock=self._clock,
            dice=self._dice,
        )

    def _keeper(self, settings: AlertSettings) -> Receiver:
        return Keeper(
            self._registry,
            settings,
            self._ledger,
            self._origin_of,
            self._ledger.totals,
            observer=_Together(self._alertmanager_observers),
            clock=self._clock,
            dice=self._dice,
        )

    def _alertmanager_observers(self) -> Sequence[Observer]:
        return [self._observers[one.name] for one in self._told_now().alertmanagers]

    def _alertmanager(self, one: AlertmanagerSettings, settings: AlertSettings) -> Receiver:
        return Alertmanager(
            one,
            settings,
            self._registry,
            observer=self._observers[one.name],
            clock=self._clock,
            dice=self._dice,
        )


def readers(places: Mapping[str, Place]) -> Mapping[str, Collection[Status]]:
    """Those who have a place in the outbox, with what they are told."""
    return {name: place.hears_of for name, place in places.items() if place.hears_of is not None}


class _Together:
    """Passes on what concerns all Alertmanagers; each tells by itself what it was sent and what waits."""

    def __init__(self, observers: Callable[[], Sequence[Observer]]) -> None:
        self._observers = observers

    def sent(self, number: int) -> None:
        """An alert that is kept is not sent yet."""

    def failed(self) -> None:
        """Not kept now: none of them can be told."""
        for observer in self._observers():
            observer.failed()

    def dropped(self, number: int) -> None:
        """Never kept: none of them will be told."""
        for observer in self._observers():
            observer.dropped(number)

    def queued(self, number: int) -> None:
        """What waits to be kept waits for a moment only."""
