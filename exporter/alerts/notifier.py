"""All notifications together: every receiver at its own pace, and what they share kept within its limit."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from exporter.alerts import keeper
from exporter.alerts.places import Ledger, Maker, Place, Told, readers
from exporter.alerts.registry import Registry
from exporter.alerts.settings import Observer, OriginOf
from exporter.clock import Clock
from exporter.errors import StorageError
from exporter.model import Status
from exporter.store import alerting, outbox
from exporter.store.alert import Alert
from exporter.store.patience import insist

T = TypeVar("T")
TRIM_SECONDS = 5.0
GRACE_SECONDS = 2.0
"""What a receiver that is replaced has to get the answer to what it sent, so that this is not sent again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Other receivers, ready to be told."""

    told: Told
    places: Mapping[str, Place]


class Notifier:
    """Everything that is configured under ``alerting``.

    Args:
        told: who is told to begin with.
        ledger: where the outbox and the alerts are.
        origin_of: tells what there is to know about a source.
        observers: who keeps the numbers about each receiver, by its name; looked up at each use.
        clock: tells when.
        dice: spreads attempts.

    Raises:
        ConfigError: a proxy's address in the environment is none.
    """

    def __init__(
        self,
        told: Told,
        ledger: Ledger,
        origin_of: OriginOf,
        *,
        observers: Mapping[str, Observer],
        clock: Clock,
        dice: Random,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = structlog.get_logger()
        self._registry = Registry(ledger)
        self._told = told
        self._maker = Maker(
            self._registry,
            ledger,
            origin_of,
            lambda: self._told,
            observers=observers,
            clock=clock,
            dice=dice,
        )
        self._places = self._maker.places(told, {})
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._changing = asyncio.Lock()
        """Held while receivers change, and while the outbox is trimmed to what they want."""
        ledger.on_news(self._news_in_outbox)
        self._registry.on_change(self._alerts_changed)

    async def begin(self) -> None:
        """Let exactly the configured receivers be told, new ones from now on; call it before polling begins.

        Raises:
            StorageError: the database cannot be written.
        """
        await self._ledger.transact(partial(_admit, wanted=readers(self._places), leaving={}))
        await self._registry.load()

    async def run(self) -> None:
        """Notify until cancelled."""
        async with self._group:
            for name in self._places:
                self._start(name)
            await self._trim_on()  # Receivers may come at any time.

    def prepare(self, told: Told) -> Prepared:
        """Put together what other receivers need, and change nothing yet.

        Raises:
            ConfigError: a proxy's address in the environment is none.
        """
        return Prepared(told, self._maker.places(told, self._places))

    def changes(self, prepared: Prepared) -> bool:
        """Whether anything is another than it is now."""
        return prepared.told != self._told

    async def change(self, prepared: Prepared) -> None:
        """Tell these from now on; call it only while ``run`` does.

        Who is configured as before goes on undisturbed. Who is not goes on from where it was in the outbox,
        and alerts keep the labels that they have. What waits for who is told no more is dropped.
        """
        after, before = prepared.places, self._places
        ending = {name: place for name, place in before.items() if after.get(name) != place}
        leaving = {name: place for name, place in ending.items() if name not in after}
        async with self._changing:
            await self._stop(ending)
            dropped = await self._admit_in_turn(after, leaving)
            if keeper.NAME in leaving:
                dropped[keeper.NAME] += self._registry.clear()
            elif keeper.NAME in ending:
                # What it was storing when it was waited for no more is in the database alone.
                await self._insist(self._registry.load)
            self._places, self._told = after, prepared.told
            for name in after.keys() - (before.keys() - ending.keys()):
                self._start(name)
        self._log.info(
            "Receivers as configured",
            added=sorted(after.keys() - before.keys()),
            changed=sorted(ending.keys() & after.keys()),
            removed=sorted(leaving),
        )
        for name in leaving:
            self._log.info("A receiver is told no more", receiver=name, dropped=dropped.get(name, 0))

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

    def _news_in_outbox(self) -> None:
        for place in self._places.values():
            if place.hears_of is not None:
                place.receiver.wake()

    def _alerts_changed(self) -> None:
        for place in self._places.values():
            if place.hears_of is None:
                place.receiver.wake()

    def _start(self, name: str) -> None:
        self._tasks[name] = self._group.create_task(self._places[name].receiver.run())

    async def _stop(self, ending: Mapping[str, Place]) -> None:
        """Let receivers get the answer to what they have just sent, and end."""
        if not ending:
            return
        tasks = [self._tasks.pop(name) for name in ending]
        for place in ending.values():
            place.receiver.retire()
        _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.wait(tasks)

    async def _admit_in_turn(
        self, after: Mapping[str, Place], leaving: Mapping[str, Place]
    ) -> dict[str, int]:
        """Let exactly these be told; return how much is dropped. A database that fails is asked again."""
        work = partial(_admit, wanted=readers(after), leaving=readers(leaving))
        return await self._insist(partial(self._ledger.transact, work))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await insist(ask, partial(self._log.error, "The outbox cannot be written, will retry"))

    async def _trim_on(self) -> None:
        while True:
            try:
                async with self._changing:
                    await self._trim()
            except StorageError as error:
                self._log.error("The outbox cannot be trimmed", err=str(error))
            await asyncio.sleep(TRIM_SECONDS)

    async def _trim(self) -> None:
        """Drop what waits beyond the limit, and tell how much waits for those who are left alone just now."""
        wanted = readers(self._places)
        if not wanted:
            return
        limit = self._told.settings.limit
        told = await self._ledger.transact(partial(outbox.trim, wanted=wanted, limit=limit))
        for name, (missed, waiting) in told.items():
            observer = self._places[name].receiver.observer
            observer.queued(waiting)
            if missed:
                observer.dropped(missed)
                self._log.error("Notifications beyond queue_limit are dropped", receiver=name, dropped=missed)


def _admit(
    connection: Connection, wanted: Collection[str], leaving: Mapping[str, Collection[Status]]
) -> dict[str, int]:
    dropped = {name: outbox.waiting(connection, name, statuses) for name, statuses in leaving.items()}
    outbox.admit(connection, wanted)
    if keeper.NAME not in wanted:
        alerting.clear(connection)
    return dropped
