"""What happens at a scrape: a snapshot, its text, and the notes that follow its delivery."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from exporter.app.source import WatchedSource
from exporter.clock import Clock
from exporter.metrics.births import Births, Release, Scrape
from exporter.metrics.exposition import Snapshot, families, render, restricted, snapshot
from exporter.metrics.own import ExporterStats
from exporter.metrics.tasks import TASK_STATUS, SourceTasks
from exporter.revision import revision
from exporter.store.entry import Entry, Key
from exporter.store.ledger import Change, Ledger
from exporter.web.views import Exposition, ScrapeRequest


class Scraping:
    """Renders the metrics, and notes who has been shown what."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        released, scrapers = ledger.scrapers()
        self.numbers = ExporterStats(revision=revision())
        self._births = Births(clock.moment(), released, scrapers)
        self._ledger = ledger
        self._clock = clock

    async def scrape(self, request: ScrapeRequest, sources: Sequence[WatchedSource]) -> Exposition:
        """Render the metrics as this request is to get them."""
        now = self._clock.moment()
        caller = replace(request.caller, names=tuple(request.names))
        scrape = self._births.begin(caller, self._ledger.totals.last_birth, now)
        views = [source.view() for source in sources]
        # An end is shown where the task's status is.
        shows = not request.names or TASK_STATUS in request.names
        ended = [source.board.unshown() if shows else () for source in sources]
        self.numbers.storage_errors, self.numbers.pending_changes = self._ledger.errors, self._ledger.pending
        taken = snapshot(
            views,
            self._ledger.totals,
            [source.numbers() for source in sources],
            self.numbers,
            released=scrape.released,
            now=now,
        )
        abandon = partial(self._births.abandon, scrape)
        try:
            pieces, content_type = await asyncio.to_thread(_render, taken, request)
        except BaseException:
            abandon()
            raise
        return Exposition(
            pieces=pieces,
            content_type=content_type,
            delivered=partial(self._delivered, scrape, taken, ended),
            abandoned=abandon,
        )

    def _delivered(self, scrape: Scrape, taken: Snapshot, ended: Sequence[Collection[Key]]) -> None:
        """Note what was shown. A person who looks does not count, as long as a Prometheus does."""
        now = self._clock.moment()
        release = self._births.finish(scrape, now)
        if scrape.member is not None or not self._births.has_scrapers:
            for tasks, keys in zip(taken.tasks, ended, strict=True):
                tasks.view.board.show(_shown(tasks, keys), now)
        if release is not None and not self._ledger.is_full:  # The next scrape brings as much again.
            self._store(release)

    def _store(self, release: Release) -> None:
        stored = self._ledger.record(Change(scrapers=release.scrapers, released=release.released))
        stored.add_done_callback(partial(self._stored, release))

    def _stored(self, release: Release, done: asyncio.Future[None]) -> None:
        """Let the counts of what is released be shown, now that a crash cannot take that back."""
        if not done.cancelled() and done.exception() is None:
            self._births.committed(release.released)


def _shown(tasks: SourceTasks, ended: Collection[Key]) -> set[Key]:
    """The ends that were shown: not the failures that ``max_task_series`` has left without series."""
    if not tasks.dropped:
        return set(ended)
    failed = {_key(entry) for entry in tasks.failed}
    return set(ended) - (failed - {_key(entry) for entry in tasks.shown})


def _key(entry: Entry) -> Key:
    return entry.task.id, entry.run


def _render(taken: Snapshot, request: ScrapeRequest) -> tuple[Sequence[bytes], str]:
    return render(restricted(families(taken), request.names), request.accept)
