"""What is recorded is committed in groups, in order, and survives; what fails is tried again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.clock import Moment
from exporter.errors import StorageError
from exporter.model import Status, Subtask, Task, WatchedId
from exporter.store.entry import Entry
from exporter.store.ledger import Change, Ledger, Scraper
from exporter.store.storage import Storage
from exporter.store.totals import DISCOVERED, LOST, Delta
from tests.store.given import (
    START,
    FakeClock,
    births,
    entry,
    finished,
    full_disk,
    numbers,
    opened,
    query,
    settings,
    transition,
    until_failed,
    value,
)

E, R, S = Status.ERROR, Status.RUNNING, Status.SUCCESS


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger in a file."""
    async with opened(tmp_path) as ledger:
        yield ledger


async def test_totals_go_on_after_a_restart(tmp_path: Path) -> None:
    """Counters, histograms, latest ends and births are what they were."""
    async with opened(tmp_path) as ledger:
        took = timedelta(seconds=3)
        ends = [transition(S, None, task_id=str(n), duration=took, queued=took) for n in range(3)]
        await ledger.record(Change(transitions=ends, lost=[("epm", "vanished")]))
        before = numbers(ledger.totals)
    async with opened(tmp_path) as ledger:
        assert numbers(ledger.totals) == before
        assert ledger.totals.last_birth == max(v[0] for v in before.values() if isinstance(v, tuple))
        await ledger.record(Change(transitions=ends))
        assert numbers(ledger.totals) == before


async def test_nothing_is_shown_before_it_is_stored(ledger: Ledger, tmp_path: Path) -> None:
    """The totals move when the future is done, and by then another process can read the run."""
    stored = ledger.record(Change(transitions=[transition(S, None)]))
    assert (finished(ledger), ledger.pending) == ({}, 1)
    await stored
    assert (finished(ledger), ledger.pending) == ({"success": 1}, 0)
    assert query(tmp_path, "SELECT task_id, status FROM runs") == [("1", "success")]


async def test_the_board_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every field of an entry survives, whatever an API put into its texts."""
    now = Moment(START, 1000.0)
    task = Task(
        id="1",
        status=E,
        word="failed",
        progress=0.25,
        started_at=START,
        duration=timedelta(seconds=-1, microseconds=1),
        message="übel\x00 \U0001f525",
        processed=0,
        subtasks=(Subtask(id="a", status=S),),
    )
    told = Entry(task=task, run="#0", first_seen=now, since=now, moved=now, running=now, ended=now)
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(entries=[("epm", told), ("epm", replace(told, run="#1"))]))
        await ledger.record(Change(removed=[("epm", "1", "#1")]))
    async with opened(tmp_path) as ledger:
        assert ledger.declare("epm", []).entries == [told]
        assert ledger.declare("pulp", []).entries == []


async def test_an_entry_takes_the_place_of_the_one_removed_in_the_same_change(ledger: Ledger) -> None:
    """Of many changes to one row the last one stays; removing comes before writing."""
    row = entry(transition(R, None))
    await ledger.record(Change(removed=[("epm", "1", "#0")], entries=[("epm", row)]))
    assert ledger.declare("epm", []).entries == [row]
    ledger.record(Change(entries=[("epm", row)]))
    await ledger.record(Change(removed=[("epm", "1", "#0")]))
    assert ledger.declare("epm", []).entries == []


async def test_text_that_is_no_unicode_does_not_stop_a_count(ledger: Ledger) -> None:
    """JSON can carry half of a surrogate pair; a failed task with one in its message counts."""
    end = transition(E, None, message="bad \ud800 text")
    await ledger.record(Change(transitions=[end], entries=[("epm", entry(end))]))
    assert finished(ledger) == {"error": 1}
    assert ledger.declare("epm", []).entries[0].task.message == "bad ? text"


async def test_an_entry_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A damaged row is logged and does not stop the start; its run is not counted again."""
    begin = transition(R, None)
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(transitions=[begin], entries=[("epm", entry(begin))]))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection, connection:
        connection.execute("UPDATE entries SET entry = '{}'")
    with capture_logs() as logs:
        async with opened(tmp_path) as ledger:
            await ledger.record(Change(transitions=[begin]))
            assert value(ledger, DISCOVERED, "epm", "import") == 1
    assert [(log["event"], log["task_id"]) for log in logs] == [("stored task cannot be read", "1")]


async def test_watched_ids_survive_and_are_stored_when_the_future_is_done(tmp_path: Path) -> None:
    """A registration may be answered after the commit."""
    a, b = WatchedId(id="a", operation="deploy", name="Deploy"), WatchedId(id="b")
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(watch=[("epm", a), ("epm", b)]))
        assert query(tmp_path, "SELECT task_id FROM watched ORDER BY 1") == [("a",), ("b",)]
        await ledger.record(Change(unwatch=[("epm", "b")]))
    async with opened(tmp_path) as ledger:
        assert ledger.declare("epm", []).watched == [a]


async def test_first_start_and_watermark_are_remembered(tmp_path: Path) -> None:
    """The first start is that of the first process ever; the watermark is the last one told."""
    clock = FakeClock()
    ledger = Ledger.open(settings(tmp_path), clock)
    state = ledger.declare("epm", [])
    assert (state.first_start, state.watermark) == (START, None)
    await ledger.start()
    await ledger.record(Change(listed={"epm": START + timedelta(hours=1)}))
    await ledger.close()
    clock.wall += timedelta(days=1)
    ledger = Ledger.open(settings(tmp_path), clock)
    state = ledger.declare("epm", [])
    assert (state.first_start, state.watermark) == (START, START + timedelta(hours=1))
    await ledger.close()


async def test_operations_known_from_before_are_declared_again(tmp_path: Path) -> None:
    """An operation that only the API told is there at zero for the next start too."""
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(transitions=[transition(R, None, operation="sync")]))
    async with opened(tmp_path) as ledger:
        assert {labels[1] for labels in ledger.totals.counters[DISCOVERED]} == {"", "import", "sync"}


async def test_scrapers_and_the_released_birth_survive(tmp_path: Path) -> None:
    """What births.py knows about those who scrape is there after a restart."""
    one = Scraper(key="10.0.0.1", seen=7, last=START, interval=15.0)
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(scrapers=[one], released=5))
        later = replace(one, seen=9)
        await ledger.record(Change(scrapers=[later], released=9))
        assert ledger.scrapers() == (9, [later])
    async with opened(tmp_path) as ledger:
        assert ledger.scrapers() == (9, [later])


async def test_counted_tells_runs_that_ended(ledger: Ledger) -> None:
    """Stored and queued ones, of this source; a run that is open is not among them."""
    ended = [transition(S, None, task_id=str(n), run=f"r{n}") for n in range(1200)]
    running = transition(R, None, task_id="open")
    await ledger.record(Change(transitions=[*ended, running]))
    queued = ledger.record(Change(transitions=[transition(S, None, task_id="7", run="r8")]))
    found = await ledger.counted("epm", [*map(str, range(1100)), "open", "never"])
    assert found.pop("7") == {"r7", "r8"}
    assert found == {str(n): {f"r{n}"} for n in range(1100) if n != 7}
    assert await ledger.counted("pulp", ["1"]) == {}
    await queued


async def test_many_changes_share_a_commit(ledger: Ledger, tmp_path: Path) -> None:
    """A thousand tasks that end at once cost a few commits, not a thousand fsyncs."""
    ends = [transition(S, None, task_id=str(n)) for n in range(1000)]
    await asyncio.gather(*(ledger.record(Change(transitions=[end])) for end in ends))
    assert finished(ledger) == {"success": 1000}
    frames = ((tmp_path / "ledger.sqlite3-wal").stat().st_size - 32) / (4096 + 24)
    assert frames < 500  # A commit writes three or more.


async def test_the_loop_goes_on_while_the_disk_is_full(ledger: Ledger) -> None:
    """What cannot be stored is kept, counted and logged once, not shown, and stored when there is room."""
    with capture_logs() as logs:
        with full_disk():
            stored = [
                ledger.record(Change(transitions=[transition(R, None)])),
                ledger.record(Change(transitions=[transition(E)], lost=[("epm", "vanished")])),
            ]
            for _ in range(3):
                await until_failed(ledger)
            assert (finished(ledger), ledger.pending) == ({}, 2)
            assert await ledger.counted("epm", ["1"]) == {"1": {"#0"}}
        await asyncio.gather(*stored)
    assert value(ledger, DISCOVERED, "epm", "import") == 1
    assert (finished(ledger), value(ledger, LOST, "epm", "vanished")) == ({"error": 1}, 1)
    assert [log["log_level"] for log in logs] == ["error", "info"]
    assert ledger.errors >= 3


async def test_a_file_locked_by_another_program_is_waited_for(ledger: Ledger, tmp_path: Path) -> None:
    """A backup that holds the file for a while loses nothing."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stored = ledger.record(Change(transitions=[transition(S, None)]))
        await until_failed(ledger)
        other.execute("ROLLBACK")
    await stored
    assert finished(ledger) == {"success": 1}


async def test_one_change_that_can_never_be_stored_does_not_block_the_rest(ledger: Ledger) -> None:
    """It is found among the others, logged, counted as an error, and its future fails."""
    ends = [transition(S, None, task_id=str(n)) for n in range(9)]
    ends[4] = transition(S, None, task_id="\ud800")
    with capture_logs() as logs:
        told = await asyncio.gather(
            *(ledger.record(Change(transitions=[end])) for end in ends), return_exceptions=True
        )
    assert [isinstance(one, StorageError) for one in told] == [n == 4 for n in range(9)]
    assert (finished(ledger), ledger.errors, ledger.pending) == ({"success": 8}, 1, 0)
    assert [log["event"] for log in logs] == ["a change cannot be stored and is dropped"]


async def test_close_commits_what_is_queued(tmp_path: Path) -> None:
    """A change recorded just before the end is in the ledger."""
    async with opened(tmp_path) as ledger:
        stored = ledger.record(Change(transitions=[transition(S, None)]))
    assert stored.done()
    async with opened(tmp_path) as ledger:
        assert finished(ledger) == {"success": 1}


async def test_close_gives_up_on_a_full_disk(tmp_path: Path) -> None:
    """It does not hang; who waits for the change is told."""
    async with opened(tmp_path) as ledger:
        with capture_logs(), full_disk():
            stored = ledger.record(Change(transitions=[transition(S, None)]))
            await ledger.close()
    with pytest.raises(StorageError, match="closed before"):
        await stored


async def test_a_change_recorded_after_the_end_is_refused(tmp_path: Path) -> None:
    """Nobody waits for ever on a ledger that is closed."""
    async with opened(tmp_path) as ledger:
        pass
    with pytest.raises(StorageError, match="closed"):
        await ledger.record(Change())


async def test_a_waiter_that_gave_up_does_no_harm(ledger: Ledger) -> None:
    """A cancelled future leaves its change in the queue."""
    ledger.record(Change(transitions=[transition(S, None)])).cancel()
    await ledger.record(Change())
    assert finished(ledger) == {"success": 1}


async def test_a_source_may_be_declared_while_changes_are_committed(ledger: Ledger) -> None:
    """A reload adds a source in the middle of traffic; births stay unique and counts exact."""
    stored = []
    for n in range(200):
        stored.append(
            ledger.record(Change(transitions=[transition(S, None, task_id=str(n), operation=f"op{n}")]))
        )
        if n % 20 == 0:
            await asyncio.sleep(0)
            ledger.declare(f"source{n}", ["a", "b"])
    await asyncio.gather(*stored)
    assert births(ledger.totals) == list(range(1, ledger.totals.last_birth + 1))
    assert finished(ledger) == {"success": 200}


async def test_a_jump_of_the_wall_clock_changes_no_count(tmp_path: Path) -> None:
    """An hour back or forth between the sights of a task counts it all the same."""
    clock = FakeClock()
    ledger = Ledger.open(settings(tmp_path), clock)
    ledger.declare("epm", ["import"])
    await ledger.start()
    for n, hours in enumerate((1, -2, 1)):
        await ledger.record(Change(transitions=[transition(R, None, task_id=str(n))]))
        clock.wall += timedelta(hours=hours)
        end = replace(transition(E, task_id=str(n)), at=clock.wall)
        await ledger.record(Change(transitions=[end]))
        await ledger.record(Change(transitions=[end]))
    assert finished(ledger) == {"error": 3}
    await ledger.close()


class DefectiveStorage(Storage):
    """A database that cannot take what it is given, for a reason that nobody foresaw."""

    def commit(self, changes: Sequence[Change]) -> Delta:
        """Fail."""
        raise RuntimeError(f"{len(changes)} too many")


async def test_a_defect_that_ends_the_commits_is_not_silent(tmp_path: Path) -> None:
    """Whoever runs the ledger hears of it, for nothing would be counted any more."""
    ledger = Ledger(DefectiveStorage(settings(tmp_path)), settings(tmp_path), FakeClock())
    try:
        await ledger.start()
        ledger.record(Change(transitions=[transition(E)]))
        with pytest.raises(RuntimeError, match="1 too many"):
            await ledger.run()
    finally:
        await ledger.close()
