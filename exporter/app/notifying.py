"""Puts the notifications together as the configuration wants them."""

from collections import defaultdict
from datetime import timedelta
from functools import partial
from random import Random

from exporter import config
from exporter.alerts.notifier import Notifier, Prepared
from exporter.alerts.places import Told
from exporter.alerts.settings import Origin
from exporter.app.sources import Sources
from exporter.clock import Clock
from exporter.errors import NoLog
from exporter.metrics.own import ReceiverStats
from exporter.store.ledger import Ledger


class Notifying:
    """The notifier, and the numbers about its receivers: those of each are there for as long as it is told.

    Raises:
        ConfigError: a proxy's address in the environment is none.
    """

    def __init__(
        self,
        alerting: config.Alerting,
        sources: Sources,
        ledger: Ledger,
        shown: dict[str, ReceiverStats],
        clock: Clock,
    ) -> None:
        """Put it together; the numbers that are to be shown are kept in *shown*."""
        self._shown = shown
        # They outlive their receivers, for counters must not go back when one returns.
        self._stats: defaultdict[str, ReceiverStats] = defaultdict(ReceiverStats)
        told = _told(alerting)
        self.notifier = Notifier(
            told, ledger, partial(_origin, sources), observers=self._stats, clock=clock, dice=Random()
        )
        self._show(told)

    def prepare(self, alerting: config.Alerting) -> Prepared:
        """As `Notifier.prepare`, from the configuration.

        Raises:
            ConfigError: a proxy's address in the environment is none.
        """
        return self.notifier.prepare(_told(alerting))

    async def change(self, prepared: Prepared) -> None:
        """As `Notifier.change`."""
        await self.notifier.change(prepared)
        self._show(prepared.told)

    def _show(self, told: Told) -> None:
        self._shown.clear()
        self._shown.update((name, self._stats[name]) for name in told.names)


def _told(alerting: config.Alerting) -> Told:
    return Told(alerting.settings, alerting.alertmanager_settings, alerting.webhook_settings)


def _origin(sources: Sources, name: str) -> Origin | None:
    source = sources.get(name)
    if source is None:
        return None
    return Origin(
        labels=source.settings.labels,
        keep_failed=timedelta(seconds=source.settings.keep_failed),
        fetch_log=partial(_fetch_log, sources, name) if source.keeps_logs else None,
    )


async def _fetch_log(sources: Sources, name: str, task_id: str) -> str:
    source = await sources.settled(name)
    if source is None:
        raise NoLog(f"source {name!r} is watched no more")
    return await source.fetch_log(task_id)
