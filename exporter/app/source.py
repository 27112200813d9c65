"""One configured source with all its parts, put together."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import partial
from random import Random

import structlog

from exporter import config
from exporter.apis.base import KeepsLogs
from exporter.clock import Clock
from exporter.discovery.file import FileDiscovery
from exporter.discovery.http import HttpDiscovery
from exporter.errors import NoLog
from exporter.http import HttpClient
from exporter.metrics.own import SourceStats
from exporter.metrics.tasks import SourceView
from exporter.polling.poller import Poller
from exporter.polling.schedule import Bounds
from exporter.polling.settings import PollSettings
from exporter.store.board import Board, BoardRules, OperationRule
from exporter.store.ledger import Ledger
from exporter.store.totals import DISCOVERED
from exporter.web.views import SourceInfo

_STATIC = "static"


class WatchedSource:
    """A source: its client, its board, its poller, and where its ids come from."""

    def __init__(
        self, settings: config.Source, ledger: Ledger, *, retention: timedelta, clock: Clock, dice: Random
    ) -> None:
        self.settings = settings
        self.stats = SourceStats(settings.name, settings.api, watched_limit=settings.max_watched_tasks)
        self.board = Board(settings.name, board_rules(settings))
        self._ledger = ledger
        self._clock = clock
        self._log = structlog.get_logger().bind(source=settings.name)
        self._clients = [HttpClient(settings.http_settings, clock=clock, observer=self.stats)]
        self._api = settings.api_class(self._clients[0], settings.options)
        self._one_log = asyncio.Lock()
        self.poller = Poller(
            api=self._api,
            board=self.board,
            ledger=ledger,
            state=ledger.declare(settings.name, known_operations(settings)),
            settings=poll_settings(settings, retention),
            observer=self.stats,
            clock=clock,
            dice=dice,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                await self.poller.watch(_STATIC, self.settings.static_ids)
                for number, discovery in enumerate(self._discoveries()):
                    publish = partial(self.poller.watch, f"{discovery.mechanism} {number}")
                    group.create_task(discovery.run(publish))
                group.create_task(self.poller.run())
        finally:
            for client in self._clients:
                await client.close()

    @property
    def keeps_logs(self) -> bool:
        """Whether its API keeps logs of tasks."""
        return isinstance(self._api, KeepsLogs)

    async def fetch_log(self, task_id: str) -> str:
        """Ask for the log of a task: one log at a time, so that whoever reads logs holds up no polls.

        Raises:
            NoLog: the API keeps none, or has none yet.
            TaskNotFound: the API does not know the task.
            SourceError: the API let us down.
        """
        if not isinstance(self._api, KeepsLogs):
            raise NoLog(f"source {self.settings.name!r}: the API {self.settings.api} keeps no logs")
        async with self._one_log:
            return await self._api.fetch_log(task_id)

    def view(self) -> SourceView:
        """What the metrics are made of."""
        return SourceView(
            name=self.settings.name,
            api=self.settings.api,
            labels=self.settings.labels,
            board=self.board,
            operations=self._operations(),
            max_task_series=self.settings.max_task_series,
        )

    def numbers(self) -> SourceStats:
        """The numbers about its API, as they are now."""
        self.stats.watched = self.poller.watched
        return self.stats

    def info(self) -> SourceInfo:
        """What operators see."""
        return SourceInfo(
            name=self.settings.name,
            api=self.settings.api,
            url=self.settings.shown_url,
            labels=self.settings.labels,
            up=self.stats.up,
            last_success=self.stats.last_success,
            last_error=self.poller.last_error,
            registration=self.settings.registration,
            keeps_logs=self.keeps_logs,
            watched=self.poller.watched,
            limit=self.settings.max_watched_tasks,
            tasks=Counter(entry.task.status for entry in (*self.board.current(), *self.board.past())),
        )

    def _operations(self) -> Collection[str]:
        """The operations that have counters: declared, or seen at any time."""
        counted = self._ledger.totals.counters[DISCOVERED]
        return {operation for source, operation in counted if source == self.settings.name}

    def _discoveries(self) -> Iterable[FileDiscovery | HttpDiscovery]:
        for files in self.settings.file_sd_configs:
            yield FileDiscovery(
                files.files,
                clock=self._clock,
                refresh_interval=files.refresh_interval,
                observer=self.stats,
                log=self._log,
            )
        for address in self.settings.http_sd_configs:
            client = HttpClient(address.http_settings, clock=self._clock)
            self._clients.append(client)
            yield HttpDiscovery(
                client,
                place=address.place,
                refresh_interval=address.refresh_interval,
                observer=self.stats,
                log=self._log,
            )


def board_rules(settings: config.Source) -> BoardRules:
    """What the configuration says about a source's tasks."""
    return BoardRules(
        keep=timedelta(seconds=settings.keep),
        keep_failed=timedelta(seconds=settings.keep_failed),
        stalled_after=timedelta(seconds=settings.stalled_after),
        deadline=None if settings.deadline is None else timedelta(seconds=settings.deadline),
        operation_rules=tuple(
            OperationRule(match=rule.match, operation=rule.operation) for rule in settings.operation_rules
        ),
    )


def poll_settings(settings: config.Source, retention: timedelta) -> PollSettings:
    """What the configuration says about polling a source."""
    polling = settings.polling
    return PollSettings(
        bounds=Bounds(least=polling.min_interval, most=polling.max_interval),
        list_interval=polling.list_interval,
        lost_after=polling.lost_after,
        max_backoff=polling.max_backoff,
        concurrency=settings.pace.concurrency,
        max_watched=settings.max_watched_tasks,
        retention=retention,
    )


def known_operations(settings: config.Source) -> set[str]:
    """The operations that the configuration names: their counters are born before their first task."""
    ruled = {rule.operation for rule in settings.operation_rules}
    labelled = {watched.operation for watched in settings.static_ids}
    return ruled | labelled | set(settings.operations)
