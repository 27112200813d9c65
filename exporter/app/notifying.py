"""Puts the notifications together as the configuration wants them."""

from collections.abc import Iterable
from datetime import timedelta
from random import Random

from exporter import config
from exporter.alerts.notifier import Notifier
from exporter.alerts.settings import Origin
from exporter.app.source import WatchedSource
from exporter.clock import Clock
from exporter.metrics.own import ReceiverStats
from exporter.store.ledger import Ledger


def notifier(
    alerting: config.Alerting,
    sources: Iterable[WatchedSource],
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
        {source.settings.name: _origin(source) for source in sources},
        observers=stats,
        clock=clock,
        dice=Random(),
    )


def _origin(source: WatchedSource) -> Origin:
    return Origin(
        labels=source.settings.labels,
        keep_failed=timedelta(seconds=source.settings.keep_failed),
        fetch_log=source.fetch_log if source.keeps_logs else None,
    )
