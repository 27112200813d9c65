"""The sources that are watched now: they come, change and go, while the others notice nothing."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from exporter import config
from exporter.app.source import WatchedSource, known_operations
from exporter.app.upstream import Upstream
from exporter.clock import Clock
from exporter.metrics.own import SourceStats
from exporter.model import WatchedId
from exporter.store.ledger import Ledger, SourceState
from exporter.store.patience import insist
from exporter.web.views import UnknownSource


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

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Other sources, ready to be watched."""

    told: Difference
    wanted: Mapping[str, config.Source]
    new: Sequence[Upstream]


class Sources(Mapping[str, WatchedSource]):
    """The watched sources by name, in the order of the configuration."""

    def __init__(self, configured: Sequence[config.Source], ledger: Ledger, clock: Clock) -> None:
        """Put them together; call it before the event loop runs.

        Raises:
            ConfigError: one of them cannot be put together.
            StorageError: the ledger cannot be written.
        """
        self._ledger = ledger
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

    def prepare(self, configured: Sequence[config.Source]) -> Prepared:
        """Put together what other sources need, and change nothing yet.

        Raises:
            ConfigError: one of them cannot be put together.
        """
        wanted = {settings.name: settings for settings in configured}
        told = Difference.between({name: one.settings for name, one in self.items()}, wanted)
        return Prepared(told, wanted, [self._upstream(wanted[name]) for name in (*told.added, *told.changed)])

    async def change(self, prepared: Prepared) -> Difference:
        """Watch these from now on; call it only while ``run`` does.

        A source that is configured as before goes on undisturbed. One that is not is stopped, and begins anew
        from the ledger once everything of it is in there, so that nothing is lost or counted twice; meanwhile
        its tasks are still shown.
        """
        told, new = prepared.told, prepared.new
        async with self._changing:
            await asyncio.gather(*(self._stop(name) for name in (*told.removed, *told.changed)))
            states = await self._declare(new)
            # No await from here on: scrapes see the sources as before, or as after.
            begun = {up.settings.name: self._begun(up, states[up.settings.name]) for up in new}
            self._watched = {name: begun[name] if name in begun else self[name] for name in prepared.wanted}
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
        return WatchedSource(upstream, state, self._ledger, self._clock)

    def _start(self, name: str) -> None:
        self._tasks[name] = self._group.create_task(self[name].run())

    async def _stop(self, name: str) -> None:
        source, task = self[name], self._tasks.pop(name)
        source.retired = True
        task.cancel()
        await asyncio.wait([task])
        await source.store()

    async def _declare(self, new: Collection[Upstream]) -> Mapping[str, SourceState]:
        """What the ledger knows of sources; one that cannot be written just now is asked again."""
        operations = {one.settings.name: known_operations(one.settings) for one in new}
        return await insist(
            partial(self._ledger.declare_in_turn, operations),
            partial(self._log.error, "The ledger cannot be written, will retry"),
        )
