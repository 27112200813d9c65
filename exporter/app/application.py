"""The whole exporter in one process: its sources, its ledger, and what it serves."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Self

import structlog

from exporter import config
from exporter.alerts.texts import printable
from exporter.app.flags import Flags
from exporter.app.notifying import Notifying
from exporter.app.reload import Reloader
from exporter.app.scraping import Scraping
from exporter.app.serving import Front, located
from exporter.app.source import WatchedSource
from exporter.app.sources import Difference, Sources
from exporter.clock import Clock, Moment, SystemClock
from exporter.metrics.own import ReceiverStats
from exporter.model import WatchedId
from exporter.polling.poller import TooManyWatched
from exporter.store.board import Board
from exporter.store.ledger import Ledger, LedgerSettings
from exporter.web.log import MAX_LOG
from exporter.web.server import Address
from exporter.web.views import (
    Acknowledged,
    ExporterInfo,
    Exposition,
    NoAlert,
    ReceiverInfo,
    Registered,
    RegistrationOff,
    ScrapeRequest,
    SourceInfo,
    TooManyTasks,
    UnknownSource,
)

_FIXED = ("metrics",)
"""The parts of the configuration that are decided when the process starts."""


class App:
    """The exporter; satisfies what the web layer needs."""

    def __init__(
        self, configuration: config.Config, flags: Flags, front: Front, ledger: Ledger, clock: Clock
    ) -> None:
        self.addresses: Sequence[Address] = ()
        """Where it listens, once ``serving`` is set."""
        self.serving = asyncio.Event()
        self._flags = flags
        self._front = front
        self._configuration = configuration
        self._started_at = clock.now()
        self._ledger = ledger
        self._clock = clock
        self._log = structlog.get_logger()
        self._scraping = Scraping(ledger, clock)
        self._ready = False
        self._scraping.numbers.config_hash = _hash(configuration)
        self._scraping.numbers.reloaded_at = clock.now()
        self._sources = Sources(configuration.sources, ledger, clock)
        self._notifying = Notifying(
            configuration.alerting, self._sources, ledger, self._scraping.numbers.receivers, clock
        )
        self._notifier = self._notifying.notifier
        self._reloader = Reloader(flags.config_file, self._use, self._scraping.numbers, clock)

    @classmethod
    def open(cls, configuration: config.Config, flags: Flags, clock: Clock | None = None) -> Self:
        """Open the ledger and put the exporter together; nothing is asked or served yet.

        Raises:
            ConfigError: a flag or the web configuration file has a mistake.
            StorageError: the ledger cannot be used.
        """
        front, clock = Front.open(flags), clock or SystemClock()
        ledger = Ledger.open(_ledger_settings(configuration, flags), clock)
        return cls(located(configuration, flags.external_url), flags, front, ledger, clock)

    async def run(self) -> None:
        """Watch and serve until cancelled.

        Raises:
            ListenError: an address cannot be listened on.
        """
        async with AsyncExitStack() as stack:
            await self._ledger.start()
            stack.push_async_callback(self._ledger.close)
            await self._notifier.begin()
            server = self._front.server(self)
            self.addresses = await server.start()
            stack.push_async_callback(server.stop)
            self._announce()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ledger.run())
                group.create_task(self._sources.run())
                group.create_task(self._notifier.run())
                group.create_task(self._reloader.run())
                if self._flags.auto_reload_interval is not None:
                    group.create_task(self._reloader.follow(self._flags.auto_reload_interval))
                self._ready = True
                self.serving.set()

    async def reload(self) -> Sequence[str]:
        """Load the configuration file again; return what is wrong with it."""
        return await self._reloader.ask()

    def reload_soon(self) -> None:
        """Load the configuration file again; what is wrong with it is logged."""
        self._reloader.ask()

    def not_ready(self) -> str:
        """Tell what is still waited for."""
        return "" if self._ready else "polling has not begun"

    def request_failed(self) -> None:
        """Count a request that was answered with 500."""
        self._scraping.numbers.requests_failed += 1

    async def scrape(self, request: ScrapeRequest) -> Exposition:
        """Render the metrics."""
        self._scraping.numbers.certificate_expires_at = self._front.certificate_expires_at
        return await self._scraping.scrape(request, list(self._sources.values()))

    def sources(self) -> Sequence[SourceInfo]:
        """All sources, in the order of the configuration."""
        pages = bool(self._configuration.alerting.alertmanagers)
        infos = [source.info() for source in self._sources.values()]
        return [replace(info, acknowledgement=pages and info.registration) for info in infos]

    def boards(self) -> Mapping[str, Board]:
        """The board of every source."""
        return {name: source.board for name, source in self._sources.items()}

    def now(self) -> Moment:
        """The time by which ages are told."""
        return self._clock.moment()

    def durations(self, source: str, operation: str) -> Sequence[float]:
        """What the last successful runs of an operation took, the shortest first."""
        return sorted(self._ledger.totals.durations.get((source, operation), ()))

    def configuration(self) -> str:
        """The configuration in use, with its secrets masked."""
        return self._configuration.masked()

    def info(self) -> ExporterInfo:
        """How the exporter does."""
        numbers = self._scraping.numbers
        return ExporterInfo(
            started_at=self._started_at,
            config_loaded_at=numbers.reloaded_at or self._started_at,
            storage=str(self._flags.storage or ""),
            storage_errors=self._ledger.errors,
            pending_changes=self._ledger.pending,
            requests_failed=numbers.requests_failed,
            receivers=[_receiver(name, stats) for name, stats in numbers.receivers.items()],
        )

    async def register(self, source: str, watched: Sequence[WatchedId]) -> Registered:
        """Watch ids that were posted."""
        self._acted_on(source)
        try:
            new = await self._sources.register(source, watched)
        except TooManyWatched as error:
            raise TooManyTasks(str(error)) from None
        ids = [one.id for one in watched]
        return Registered(new=[i for i in ids if i in new], known=[i for i in ids if i not in new])

    async def fetch_log(self, source: str, task_id: str) -> str:
        """Ask a source for the log of a task; what is shown of it is clean text."""
        await self._sources.settled(source)
        log = await self._known(source).fetch_log(task_id)
        return await asyncio.to_thread(printable, log[-2 * MAX_LOG :])

    async def acknowledge(self, source: str, task_id: str, *, by: str, comment: str) -> Acknowledged:
        """Resolve the alert of a task."""
        self._acted_on(source)
        alert = await self._notifier.acknowledge(source, task_id, by=by, comment=comment)
        if alert is None or alert.acknowledged_at is None:
            raise NoAlert(f"no alert of task {task_id!r} of source {source!r} is being told (any more)")
        return Acknowledged(at=alert.acknowledged_at, by=alert.acknowledged_by, comment=alert.comment)

    async def _use(self, loaded: config.Config) -> None:
        """Take a configuration into use, but for the parts that need a restart."""
        loaded = located(loaded, self._flags.external_url)
        running = self._configuration
        in_use = loaded.model_copy(update={part: getattr(running, part) for part in _FIXED})
        new_hash = await asyncio.to_thread(_hash, in_use)
        told = await self._change(in_use)
        self._configuration, self._scraping.numbers.config_hash = in_use, new_hash
        self._log.info(
            "Sources as configured",
            added=told.added,
            changed=told.changed,
            removed=told.removed,
            unchanged=len(told.unchanged),
        )
        if other := [part for part in _FIXED if getattr(loaded, part) != getattr(in_use, part)]:
            self._log.warning(
                "These parts of the configuration have changed, which takes a restart", parts=other
            )

    async def _change(self, wanted: config.Config) -> Difference:
        """See first that nothing will fail, and then change what is another."""
        sources, receivers = self._sources.prepare(wanted.sources), self._notifying.prepare(wanted.alerting)
        others_told = self._notifier.changes(receivers)
        if sources.told or others_told:
            await self._ledger.check()
        self._ledger.retention = timedelta(seconds=wanted.storage.retention)
        if others_told:  # Before the sources: what these find is for them already.
            await self._notifying.change(receivers)
        return await self._sources.change(sources)

    def _known(self, source: str) -> WatchedSource:
        if source not in self._sources:
            raise UnknownSource(f"no source is called {source!r}")
        return self._sources[source]

    def _acted_on(self, source: str) -> WatchedSource:
        """A source that lets people act on it over HTTP."""
        known = self._known(source)
        if not known.settings.registration:
            raise RegistrationOff(f"source {source!r} does not say 'registration: true'")
        return known

    def _announce(self) -> None:
        self._front.announce(self.addresses)
        if self._flags.storage is None:
            self._log.warning("--storage.path is empty: counters start anew with each process")


def _ledger_settings(configuration: config.Config, flags: Flags) -> LedgerSettings:
    metrics = configuration.metrics
    return LedgerSettings(
        path=flags.storage,
        duration_buckets=metrics.duration_buckets,
        queue_buckets=metrics.queue_buckets or metrics.duration_buckets,
        max_error_codes=metrics.max_error_codes,
        retention=timedelta(seconds=configuration.storage.retention),
    )


def _receiver(name: str, stats: ReceiverStats) -> ReceiverInfo:
    return ReceiverInfo(
        name=name,
        sent=stats.accepted,
        errors=stats.errors,
        dropped=stats.given_up,
        waiting=stats.waiting,
    )


def _hash(configuration: config.Config) -> int:
    """A number that tells one configuration from another; 48 bits, so that it is exact as a sample."""
    return int.from_bytes(sha256(configuration.masked().encode()).digest()[:6])
