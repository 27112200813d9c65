"""The sources that are watched now: they come, change and go, while the others notice nothing."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from exporter import config
from exporter.app.source import WatchedSource, known_operations
from exporter.app.upstream import Upstream
from exporter.clock import Clock
from exporter.errors import StorageError
from exporter.metrics.own import SourceStats
from exporter.model import WatchedId
from exporter.store.ledger import Change, Ledger, SourceState
from exporter.store.schema import set_meta
from exporter.web.views import UnknownSource

_PATIENCE = 5.0
"""How many seconds a reload waits for the ledger before it changes anything."""
_AGAIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What another configuration does to the sources, by their names."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    unchanged: Sequence[str]

    @classmethod
    def between(cls, before: Mapping[str, config.Source], after: Mapping[str, config.Source]) -> "Difference":
        """Compare; a source is what its name says."""
        stay = [name for name in after if name in before]
        return cls(
            added=[name for name in after if name not in before],
            removed=[name for name in before if name not in after],
            changed=[name for name in stay if before[name] != after[name]],
            unchanged=[name for name in stay if before[name] == after[name]],
        )


class Sources(Mapping[str, WatchedSource]):
    """The watched sources by name, in the order of the configuration."""

    def __init__(
        self, configured: Sequence[config.Source], ledger: Ledger, *, retention: timedelta, clock: Clock
    ) -> None:
        """Put them together; call it before the event loop runs.

        Raises:
            ConfigError: one of them cannot be put together.
            StorageError: the ledger cannot be written.
        """
        self._ledger = ledger
        self._retention = retention
        self._clock = clock
        self._log = structlog.get_logger()
        self._stats: dict[str, SourceStats] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._changing = asyncio.Lock()
        self._watched = {
            settings.name: self._begun(
                self._upstream(settings), ledger.declare(settings.name, known_operations(settings))
            )
            for settings in configured
        }

    def __getitem__(self, name: str) -> WatchedSource:
        return self._watched[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._watched)

    def __len__(self) -> int:
        return len(self._watched)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self._group:
            for name in self._watched:
                self._start(name)
            await asyncio.Event().wait()  # Sources may come at any time.

    async def settled(self, name: str) -> WatchedSource | None:
        """The source of this name, once it is not being replaced; None if there is none (any more)."""
        if name in self and self[name].retired:
            async with self._changing:
                pass
        return self.get(name)

    async def register(self, name: str, ids: Sequence[WatchedId]) -> set[str]:
        """Let a source watch ids until they end, whoever takes its place meanwhile; return the new ones.

        Raises:
            UnknownSource: there is none of this name (any more).
            TooManyWatched: there is no room for them.
        """
        new: set[str] = set()
        while (source := self.get(name)) is not None:
            new.update(await source.poller.register(ids))
            if not source.retired:
                return new
            # Too late for the one that takes its place to know of them: it is told as well.
            await self.settled(name)
        raise UnknownSource(f"no source is called {name!r}")

    async def change(self, configured: Sequence[config.Source]) -> Difference:
        """Watch these from now on; call it only while ``run`` does.

        A source that is configured as before goes on undisturbed. One that is not is stopped, and begins anew
        from the ledger once everything of it is in there, so that nothing is lost or counted twice; meanwhile
        its tasks are still shown.

        Raises:
            ConfigError: one of them cannot be put together; nothing has changed.
            StorageError: the ledger cannot be written now; nothing has changed.
        """
        wanted = {settings.name: settings for settings in configured}
        async with self._changing:
            told = Difference.between({name: one.settings for name, one in self.items()}, wanted)
            new = [self._upstream(wanted[name]) for name in (*told.added, *told.changed)]
            ending = (*told.removed, *told.changed)
            if new or ending:
                await self._check_ledger()
            await asyncio.gather(*(self._stop(name) for name in ending))
            states = await self._declare(new)
            # No await from here on: scrapes see the sources as before, or as after.
            begun = {up.settings.name: self._begun(up, states[up.settings.name]) for up in new}
            self._watched = {name: begun[name] if name in begun else self[name] for name in wanted}
            for name in begun:
                self._start(name)
        return told

    def _upstream(self, settings: config.Source) -> Upstream:
        # The numbers of a source outlive it, for counters must not go back when it is changed or returns.
        stats = self._stats.setdefault(settings.name, SourceStats(settings.name, settings.api))
        return Upstream(settings, stats, self._clock)

    def _begun(self, upstream: Upstream, state: SourceState) -> WatchedSource:
        stats, settings = upstream.stats, upstream.settings
        stats.api, stats.watched_limit = settings.api, settings.max_watched_tasks
        return WatchedSource(upstream, state, self._ledger, retention=self._retention, clock=self._clock)

    def _start(self, name: str) -> None:
        self._tasks[name] = self._group.create_task(self[name].run())

    async def _stop(self, name: str) -> None:
        source, task = self[name], self._tasks.pop(name)
        source.retired = True
        task.cancel()
        await asyncio.wait([task])
        await source.store()

    async def _check_ledger(self) -> None:
        """See that it takes what waits, and one note more, before anything is stopped."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ledger.record(Change())
            now = self._clock.now().isoformat()
            await self._ledger.transact(lambda connection: set_meta(connection, "checked_at", now))
        except TimeoutError:
            raise StorageError("the ledger cannot be written now; reload again when it can") from None

    async def _declare(self, new: Collection[Upstream]) -> Mapping[str, SourceState]:
        """What the ledger knows of sources; one that cannot be written just now is asked again."""
        operations = {one.settings.name: known_operations(one.settings) for one in new}
        while True:
            try:
                return await self._ledger.declare_in_turn(operations)
            except StorageError as error:
                self._log.error("The ledger cannot be written, will retry", err=str(error))
                await asyncio.sleep(_AGAIN)
