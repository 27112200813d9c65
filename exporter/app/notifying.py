"""Puts the notifications together as the configuration wants them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from random import Random

from exporter import config
from exporter.alerts.notifier import Notifier
from exporter.alerts.settings import Origin
from exporter.app.sources import Sources
from exporter.clock import Clock
from exporter.metrics.own import ReceiverStats
from exporter.store.ledger import Ledger


def notifier(
    alerting: config.Alerting,
    sources: Sources,
    ledger: Ledger,
    stats: dict[str, ReceiverStats],
    clock: Clock,
) -> Notifier:
    """What notifies; it puts the numbers about its receivers into *stats*."""
    alertmanagers, webhooks = alerting.alertmanager_settings, alerting.webhook_settings
    names = [one.name for one in alertmanagers] + [one.name for one in webhooks]
    stats.update({name: ReceiverStats() for name in names})
    return Notifier(
        alerting.settings,
        alertmanagers,
        webhooks,
        ledger,
        _Origins(sources),
        observers=stats,
        clock=clock,
        dice=Random(),
    )


class _Origins(Mapping[str, Origin]):
    """What there is to know about the sources that are watched now, after every reload."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def __getitem__(self, name: str) -> Origin:
        source = self._sources[name]
        return Origin(
            labels=source.settings.labels,
            keep_failed=timedelta(seconds=source.settings.keep_failed),
            fetch_log=partial(self._fetch_log, name) if source.keeps_logs else None,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    async def _fetch_log(self, name: str, task_id: str) -> str:
        return await (await self._sources.settled(name)).fetch_log(task_id)
