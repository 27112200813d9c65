"""Puts the notifications together as the configuration wants them."""

from datetime import timedelta
from functools import partial
from random import Random

from exporter import config
from exporter.alerts.notifier import Notifier
from exporter.alerts.settings import Origin
from exporter.app.sources import Sources
from exporter.clock import Clock
from exporter.errors import NoLog
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
        partial(_origin, sources),
        observers=stats,
        clock=clock,
        dice=Random(),
    )


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
