"""One configured source with all its parts, put together."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from exporter import config
from exporter.apis.base import KeepsLogs
from exporter.app.upstream import Discovery, Upstream
from exporter.clock import Clock
from exporter.errors import NoLog, StorageError
from exporter.metrics.own import SourceStats
from exporter.metrics.tasks import SourceView
from exporter.model import WatchedId
from exporter.polling.poller import Poller
from exporter.polling.schedule import Bounds
from exporter.polling.settings import PollSettings
from exporter.store.board import Board
from exporter.store.entry import BoardRules, OperationRule
from exporter.store.ledger import Change, Ledger, SourceState
from exporter.store.totals import DISCOVERED
from exporter.web.views import SourceInfo

_STATIC = "static"


class WatchedSource:
    """A source: its board as the ledger has it, its poller, and where its ids come from."""

    def __init__(self, upstream: Upstream, state: SourceState, ledger: Ledger, clock: Clock) -> None:
        self.settings = upstream.settings
        self.stats = upstream.stats
        self.board = Board(self.settings.name, board_rules(self.settings))
        # Now rather than when it runs: a scrape that comes before that shows its tasks as well.
        self.board.restore(state.entries, clock.moment())
        self.retired = False
        """Whether another one takes its place, or none."""
        self._upstream = upstream
        self._unheard = set(upstream.discoveries)
        """Those that have not told all their ids yet."""
        self._ledger = ledger
        self._one_log = asyncio.Lock()
        self.poller = Poller(
            api=upstream.api,
            board=self.board,
            ledger=ledger,
            state=replace(state, entries=[]),
            settings=poll_settings(self.settings),
            observer=self.stats,
            clock=clock,
            dice=Random(),
            hide=upstream.hide,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                await self.poller.watch(_STATIC, self.settings.static_ids)
                self._drop_unwanted()
                for number, discovery in enumerate(self._upstream.discoveries):
                    publish = partial(self._watch, discovery, f"{discovery.mechanism} {number}")
                    group.create_task(discovery.run(publish))
                group.create_task(self.poller.run())
        finally:
            await self._upstream.close()

    async def _watch(self, discovery: Discovery, origin: str, ids: Sequence[WatchedId]) -> None:
        await self.poller.watch(origin, ids)
        if discovery.is_whole:
            self._unheard.discard(discovery)
        self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Let ids go that were taken off while nobody looked, once it is known that nobody asks for them."""
        if not self._unheard:
            self.poller.drop_unwanted()

    async def store(self) -> None:
        """Store what moved on the board since the last poll; all that was recorded before is stored by then.

        For a source that runs no more. Waits for as long as the ledger cannot be written.
        """
        kept, gone = self.board.changes()
        name = self.settings.name
        change = Change(entries=[(name, entry) for entry in kept], removed=[(name, *key) for key in gone])
        with suppress(StorageError):  # It can never be stored; the ledger has told.
            await self._ledger.record(change)

    @property
    def keeps_logs(self) -> bool:
        """Whether its API keeps logs of tasks."""
        return isinstance(self._upstream.api, KeepsLogs)

    async def fetch_log(self, task_id: str) -> str:
        """Ask for the log of a task: one log at a time, so that whoever reads logs holds up no polls.

        Raises:
            NoLog: the API keeps none, or has none yet.
            TaskNotFound: the API does not know the task.
            SourceError: the API let us down.
        """
        api = self._upstream.api
        if not isinstance(api, KeepsLogs):
            raise NoLog(f"source {self.settings.name!r}: the API {self.settings.api} keeps no logs")
        async with self._one_log:
            if self.retired:
                raise NoLog(f"source {self.settings.name!r} is being reconfigured; ask again")
            return await self._upstream.fetch_log(api, task_id)

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


def poll_settings(settings: config.Source) -> PollSettings:
    """What the configuration says about polling a source."""
    polling = settings.polling
    return PollSettings(
        bounds=Bounds(least=polling.min_interval, most=polling.max_interval),
        list_interval=polling.list_interval,
        lost_after=polling.lost_after,
        max_backoff=polling.max_backoff,
        concurrency=settings.pace.concurrency,
        max_watched=settings.max_watched_tasks,
    )


def known_operations(settings: config.Source) -> set[str]:
    """The operations that the configuration names: their counters are born before their first task."""
    ruled = {rule.operation for rule in settings.operation_rules}
    labelled = {watched.operation for watched in settings.static_ids}
    return ruled | labelled | set(settings.operations)
