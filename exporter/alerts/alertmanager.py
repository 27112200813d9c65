"""Tells one Alertmanager of all alerts, as Prometheus does it: API v2, and again as long as they fire.

An alert goes out when it is new or just over, and again every ``resend_delay``. Alertmanager takes it for
resolved when its ``endsAt`` has passed, so that lies well ahead: beyond any restart of ours.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from exporter.alerts.delivery import Post, Refused
from exporter.alerts.events import link
from exporter.alerts.receiver import Receiver
from exporter.alerts.registry import Registry
from exporter.alerts.settings import AlertmanagerSettings, AlertSettings, Observer
from exporter.clock import Clock
from exporter.store.alert import Alert

BATCH = 64
_MISSED_RESENDS = 4
"""As many may fail before Alertmanager takes the alert for resolved, as with Prometheus."""
_PATH = "api/v2/alerts"


class Alertmanager(Receiver):
    """One Alertmanager."""

    def __init__(
        self,
        alertmanager: AlertmanagerSettings,
        settings: AlertSettings,
        registry: Registry,
        *,
        observer: Observer,
        clock: Clock,
        dice: Random,
    ) -> None:
        super().__init__(alertmanager.name, observer, settings.backoff, dice)
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._post = Post(alertmanager.http, clock, _PATH)
        self._told: dict[str, tuple[bool, float]] = {}
        """By event: whether it was told as resolved, and when, on the monotonic clock."""

    async def work(self) -> float | None:
        """Tell what is due; return when the next is."""
        self._told = {event: told for event, told in self._told.items() if self._registry.get(event)}
        due = [alert for alert in self._registry if self._wait(alert) <= 0]
        self._report()
        for start in range(0, len(due), BATCH):
            if self.retired:
                return None
            await self._send(due[start : start + BATCH])
            self._report()
        return min(map(self._wait, self._registry), default=None)

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()

    def _wait(self, alert: Alert) -> float:
        """In how many seconds an alert is to be told."""
        resolved = alert.resolved_at is not None
        delay = self._settings.resend_delay.total_seconds()
        if resolved and not self._settings.send_resolved:
            return delay
        was_resolved, at = self._told.get(alert.event, (None, 0.0))
        return at + delay - self._clock.monotonic() if was_resolved is resolved else 0.0

    async def _send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts; one that is refused for what it is costs no other."""
        now = self._clock.moment()
        body = json.dumps([describe(alert, self._settings, now.wall) for alert in alerts]).encode()
        try:
            await self._post.send(body, {"Content-Type": "application/json"})
        except Refused as refusal:
            if len(alerts) > 1:
                await self._send(alerts[: len(alerts) // 2])
                await self._send(alerts[len(alerts) // 2 :])
                return
            self._set_aside(alerts[0], refusal)
        else:
            self._told.update((a.event, (a.resolved_at is not None, now.mono)) for a in alerts)
            self.observer.sent(len(alerts))
            await self._registry.accept([a.event for a in alerts if a.resolved_at is None], now.wall)

    def _set_aside(self, alert: Alert, refusal: Refused) -> None:
        """Tell this alert no more; with its end it gets another chance."""
        self._told[alert.event] = alert.resolved_at is not None, float("inf")
        self.observer.dropped(1)
        self.log.error("An alert is refused and set aside", event_id=alert.event, err=str(refusal))

    def _report(self) -> None:
        untold = (a for a in self._registry if a.resolved_at is None and a.event not in self._told)
        self.observer.queued(sum(1 for _ in untold))


def describe(alert: Alert, settings: AlertSettings, now: datetime) -> dict[str, object]:
    """An alert as Alertmanager's API v2 wants it."""
    lasts = max(_MISSED_RESENDS * settings.resend_delay, settings.keep_firing)
    told: dict[str, object] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _time(alert.starts_at),
        "endsAt": _time(alert.resolved_at or max(now, alert.starts_at) + lasts),
    }
    url = link(settings.external_url, alert.source, alert.task_id)
    return {**told, "generatorURL": url} if url else told


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
