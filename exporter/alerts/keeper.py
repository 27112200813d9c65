"""Turns ends of tasks into alerts, and ends the alerts when nobody has to know of them any more."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random

from exporter.alerts.conditions import RULES, identity, is_forgotten, new_alert, why_over
from exporter.alerts.receiver import Receiver
from exporter.alerts.registry import Registry
from exporter.alerts.settings import AlertSettings, Database, Observer, OriginOf
from exporter.clock import Clock
from exporter.errors import ExporterError
from exporter.model import Status
from exporter.store import alerting, outbox
from exporter.store.alert import Alert
from exporter.store.outbox import News
from exporter.store.totals import Totals

NAME = "alertmanager"
"""Its place in the outbox; from there on the alerts themselves are what is not told yet."""
BATCH = 64
JUDGE_SECONDS = 5.0
"""How often is looked whether alerts are over."""


class Keeper(Receiver):
    """Keeps the registry of alerts; what it hears from the outbox is never refused."""

    def __init__(
        self,
        registry: Registry,
        settings: AlertSettings,
        database: Database,
        origin_of: OriginOf,
        totals: Totals,
        *,
        observer: Observer,
        clock: Clock,
        dice: Random,
    ) -> None:
        super().__init__(NAME, observer, settings.backoff, dice)
        self._registry = registry
        self._settings = settings
        self._database = database
        self._origin_of = origin_of
        self._totals = totals
        self._clock = clock
        self._judge_at = float("-inf")

    async def work(self) -> float | None:
        """Take in what is new, and end what is over."""
        while not self.retired and await self._take_in():
            pass
        await self._cap()
        if self._clock.monotonic() >= self._judge_at:
            await self._judge()
            self._judge_at = self._clock.monotonic() + JUDGE_SECONDS
        return JUDGE_SECONDS

    async def _take_in(self) -> bool:
        """Take in a batch; tell whether there was anything."""
        read = partial(outbox.read, receiver=NAME, statuses=RULES.keys(), limit=BATCH)
        batch = await self._database.transact(read)
        if batch.end == batch.begin:
            return False
        logs = await self._logs(batch.news)
        alerts = self._new_alerts(batch.news, logs)
        await self._registry.add(alerts, NAME, batch.end)
        return True

    def _new_alerts(self, news: Sequence[News], logs: Mapping[str, str]) -> list[Alert]:
        others = {identity(alert.labels) for alert in self._registry}
        alerts = []
        for one in news:
            origin = self._origin_of(one.transition.source)
            if origin is None or self._registry.get(one.event) is not None:
                continue  # Nobody watches that source any more; or it fires already, and keeps its labels.
            log = logs.get(one.event, "")
            alert = new_alert(one.event, one.transition, origin, self._settings, log=log, others=others)
            alerts.append(alert)
            others.add(identity(alert.labels))
        return alerts

    async def _logs(self, news: Sequence[News]) -> Mapping[str, str]:
        """The logs that come in time; a page that is late already waits for none."""
        wait = self._settings.log_wait.total_seconds()
        age = max(((self._clock.now() - one.transition.at).total_seconds() for one in news), default=0.0)
        left = min(wait - age, wait)
        if left <= 0 or not news:
            return {}
        asked = {asyncio.create_task(self._log_of(one)): one.event for one in news}
        try:
            done, _ = await asyncio.wait(asked, timeout=left)
        finally:
            for task in asked:
                task.cancel()
        return {asked[task]: task.result() for task in done}

    async def _log_of(self, news: News) -> str:
        origin = self._origin_of(news.transition.source)
        if origin is None or origin.fetch_log is None:
            return ""
        try:
            return await origin.fetch_log(news.transition.task.id)
        except ExporterError:
            return ""
        except Exception:  # The edge of a delivery: an API module's bug costs the log, not the page.
            self.log.exception("The API module failed to fetch a log")
            return ""

    async def _judge(self) -> None:
        now = self._clock.now()
        await self._registry.forget([alert.event for alert in self._registry if is_forgotten(alert, now)])
        firing = [alert for alert in self._registry if alert.resolved_at is None]
        on_board = await self._database.transact(alerting.on_board) if firing else {}
        over = {alert.event: why for alert in firing if (why := self._why_over(alert, on_board))}
        if over:
            await self._registry.resolve(over, now)
        for event, why in over.items():
            self.log.debug("An alert is over", event_id=event, why=why)

    def _why_over(self, alert: Alert, on_board: Mapping[str, Status]) -> str:
        latest = self._totals.latest.get((alert.source, alert.operation))
        return why_over(
            alert,
            now=self._clock.now(),
            keep_firing=self._settings.keep_firing,
            origin=self._origin_of(alert.source),
            on_board=on_board.get(alert.event),
            success_at=None if latest is None else latest.success_at,
        )

    async def _cap(self) -> None:
        """Forget what is too much, so that an Alertmanager that is gone for good costs no more than that."""
        surplus = self._registry.surplus(self._settings.limit)
        untold = sum(alert.accepted_at is None and alert.resolved_at is None for alert in surplus)
        await self._registry.forget([alert.event for alert in surplus])
        if untold:
            self.observer.dropped(untold)
            self.log.error("Alerts that no Alertmanager took are beyond the limit", dropped=untold)
