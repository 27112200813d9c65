"""Runs are pruned only when they can never be counted again."""

from datetime import datetime, timedelta
from pathlib import Path

from exporter.model import Status, WatchedId
from exporter.store.ledger import Change, Ledger, Scraper
from tests.store.given import START, finished, numbers, opened, query, transition

DAY = timedelta(days=1)
NOW = START + 100 * DAY


async def finish(ledger: Ledger, **ends: datetime | None) -> None:
    """Let tasks end, told by id when; None where the API does not tell."""
    await ledger.record(
        Change(
            transitions=[
                transition(Status.SUCCESS, None, task_id=task_id, finished_at=at)
                for task_id, at in ends.items()
            ]
        )
    )


def kept(path: Path) -> set[object]:
    """The ids in the ledger."""
    return {task_id for (task_id,) in query(path, "SELECT task_id FROM runs")}


async def test_old_runs_go_and_totals_stay(tmp_path: Path) -> None:
    """A run older than the retention is deleted; what it moved is not taken back."""
    async with opened(tmp_path) as ledger:
        await finish(ledger, old=NOW - 91 * DAY, young=NOW - 89 * DAY, new=NOW)
        before = numbers(ledger.totals)
        assert await ledger.prune(NOW) == 1
        assert kept(tmp_path) == {"young", "new"}
    async with opened(tmp_path) as ledger:
        assert numbers(ledger.totals) == before
        await finish(ledger, young=NOW - 89 * DAY)
        assert finished(ledger) == {"success": 3}


async def test_a_run_without_a_told_end_is_never_pruned(tmp_path: Path) -> None:
    """Only its key tells that it was counted."""
    async with opened(tmp_path) as ledger:
        await finish(ledger, untold=None, new=NOW)
        assert await ledger.prune(NOW + 1000 * DAY) == 0
        assert await ledger.counted("epm", ["untold"]) == {"untold": {"#0"}}


async def test_an_unfinished_run_is_never_pruned(tmp_path: Path) -> None:
    """It is still to be finished."""
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(transitions=[transition(Status.RUNNING, None, task_id="open")]))
        await finish(ledger, new=NOW)
        assert await ledger.prune(NOW) == 0


async def test_a_watched_id_keeps_its_runs(tmp_path: Path) -> None:
    """Somebody asks for it still, so it could be counted again."""
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(watch=[("epm", WatchedId(id="old"))]))
        await finish(ledger, old=START, new=NOW)
        assert await ledger.prune(NOW) == 0
        await ledger.record(Change(unwatch=[("epm", "old")]))
        assert await ledger.prune(NOW) == 1


async def test_a_run_after_the_watermark_is_kept(tmp_path: Path) -> None:
    """The next listing goes on from the watermark, and shows it again."""
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(listed={"epm": START - DAY}))
        await finish(ledger, old=START, new=NOW)
        assert await ledger.prune(NOW) == 0
        await ledger.record(Change(listed={"epm": NOW}))
        assert await ledger.prune(NOW) == 1


async def test_a_clock_that_jumps_ahead_prunes_nothing(tmp_path: Path) -> None:
    """The age is measured up to the newest end that the source told."""
    async with opened(tmp_path) as ledger:
        await finish(ledger, one=NOW - 2 * DAY, two=NOW)
        assert await ledger.prune(NOW + 1000 * DAY) == 0


async def test_a_source_with_a_wrong_clock_prunes_nothing_of_others(tmp_path: Path) -> None:
    """An end that is told for the year 2100 ages nobody's runs beyond our own clock."""
    async with opened(tmp_path) as ledger:
        await finish(ledger, young=NOW - DAY, future=NOW + 9999 * DAY)
        assert await ledger.prune(NOW) == 0


async def test_many_runs_are_pruned_in_chunks(tmp_path: Path) -> None:
    """More than one transaction's worth goes in one call."""
    async with opened(tmp_path) as ledger:
        await finish(ledger, **{str(n): START for n in range(1001)}, new=NOW)
        assert await ledger.prune(NOW) == 1001


async def test_scrapers_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    """Addresses of containers that are gone do not pile up."""
    scrapers = [Scraper(key=str(n), seen=1, last=START + n * 50 * DAY, interval=15) for n in range(2)]
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(scrapers=scrapers))
        await ledger.prune(NOW)
        assert query(tmp_path, "SELECT key FROM scrapers") == [("1",)]


async def test_what_was_forgotten_stays_history_when_the_retention_grows(tmp_path: Path) -> None:
    """Of the source that it was forgotten of; whatever is younger counts."""
    pruned = NOW - 50 * DAY
    async with opened(tmp_path, retention=30 * DAY) as ledger:
        assert ledger.oldest("epm", NOW) == NOW - 30 * DAY
        await finish(ledger, older=pruned - DAY, old=pruned, young=NOW - 20 * DAY, new=NOW)
        assert await ledger.prune(NOW) == 2
        ledger.retention = 90 * DAY
        assert pruned < ledger.oldest("epm", NOW) < pruned + DAY
        assert ledger.oldest("pulp", NOW) == NOW - 90 * DAY
        assert await ledger.prune(NOW) == 0
    async with opened(tmp_path, retention=90 * DAY) as ledger:
        assert pruned < ledger.oldest("epm", NOW) < pruned + DAY
        ledger.retention = 10 * DAY
        assert ledger.oldest("epm", NOW) == NOW - 10 * DAY
        assert await ledger.prune(NOW) == 1
        assert kept(tmp_path) == {"new"}
