"""Sources come, change and go while the others notice nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from exporter import config
from exporter.app.source import WatchedSource
from exporter.app.sources import Difference, Sources
from exporter.clock import SystemClock
from exporter.errors import ConfigError, NoLog
from exporter.model import Status, WatchedId
from exporter.store.ledger import Ledger
from exporter.store.totals import DISCOVERED
from exporter.web.views import UnknownSource
from tests.app.conftest import Source, configured, source
from tests.app.fake_api import System
from tests.real.waiting import until
from tests.store.given import finished, settings

Systems = dict[str, System]


@asynccontextmanager
async def watching(path: Path | None, *sources: Source) -> AsyncIterator[tuple[Sources, Ledger]]:
    """The sources and their ledger, running."""
    clock = SystemClock()
    ledger = Ledger.open(settings(path), clock)
    watched = Sources(configured(*sources), ledger, clock)
    await ledger.start()
    running = asyncio.create_task(watched.run())
    try:
        yield watched, ledger
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ledger.close()


async def change(sources: Sources, wanted: Sequence[config.Source]) -> Difference:
    """Watch these from now on."""
    return await sources.change(sources.prepare(wanted))


async def holds(condition: Callable[[], bool]) -> None:
    """Wait until it does."""

    async def check() -> bool:
        return condition()

    await until("it holds", check)


def shown(sources: Sources, name: str = "a") -> set[str]:
    """The tasks on the board of a source."""
    return {entry.task.id for entry in sources[name].board.current()}


async def retired(one: WatchedSource) -> None:
    """Wait for the very moment at which a source is about to be replaced."""
    while not one.retired:
        await asyncio.sleep(0)


async def at_every_step(condition: Callable[[], bool]) -> None:
    """Look at each turn of the event loop, until cancelled."""
    while True:
        assert condition()
        await asyncio.sleep(0)


async def test_a_source_that_is_configured_as_before_notices_nothing(systems: Systems) -> None:
    """It is the same object; even the request under way goes on, and is not made again."""
    systems["a"].answers.clear()
    systems["a"].put("1", Status.SUCCESS)
    async with watching(None, source("a", "1"), source("b")) as (sources, ledger):
        before = sources["a"]
        await holds(lambda: systems["a"].asked == ["1"])
        told = await change(sources, configured(source("c"), source("a", "1")))
        assert sources["a"] is before
        systems["a"].answers.set()
        await holds(lambda: finished(ledger) == {"success": 1})
        assert systems["a"].asked == ["1"]
    assert (told.added, told.changed, told.removed, told.unchanged) == (["c"], [], ["b"], ["a"])


async def test_an_id_that_is_taken_off_the_configuration_is_let_go(tmp_path: Path, systems: Systems) -> None:
    """By a reload or while nobody runs: it is neither shown nor asked for; whoever was registered stays."""
    for name in "123":
        systems["a"].put(name, Status.RUNNING)
    async with watching(tmp_path, source("a", "1", "2")) as (sources, _):
        await sources.register("a", [WatchedId(id="3")])
        await holds(lambda: shown(sources) == {"1", "2", "3"})
        await change(sources, configured(source("a", "2")))
        await holds(lambda: shown(sources) == {"2", "3"})
    async with watching(tmp_path, source("a")) as (sources, ledger):
        await holds(lambda: shown(sources) == {"3"})
        systems["a"].asked.clear()
        systems["a"].put("2", Status.ERROR)
        systems["a"].put("3", Status.ERROR)
        await holds(lambda: finished(ledger) == {"error": 1})
        assert set(systems["a"].asked) == {"3"}
        await change(sources, configured(source("a", "2")))
        await holds(lambda: finished(ledger) == {"error": 2})


async def test_an_id_is_let_go_only_when_all_files_were_read(tmp_path: Path, systems: Systems) -> None:
    """A file that is broken when the exporter starts may name it still."""
    systems["a"].put("1", Status.RUNNING)
    file = tmp_path / "ids.yaml"
    file.write_text("- targets: ['1']\n")
    watched = source("a", file_sd_configs=[{"files": [str(file)]}])
    async with watching(tmp_path, watched) as (sources, _):
        await holds(lambda: shown(sources) == {"1"})
    file.write_text("- targets: ['1'\n")
    async with watching(tmp_path, watched) as (sources, ledger):
        systems["a"].put("1", Status.ERROR)
        await holds(lambda: finished(ledger) == {"error": 1})
    systems["a"].put("2", Status.RUNNING)
    file.write_text("- targets: ['2']\n")
    async with watching(tmp_path, watched) as (sources, _):
        await holds(lambda: "2" in shown(sources))
    file.write_text("[]")
    async with watching(tmp_path, watched) as (sources, _):
        await holds(lambda: "2" not in shown(sources))


async def test_the_order_is_that_of_the_configuration() -> None:
    """Before and after."""
    async with watching(None, source("a"), source("b")) as (sources, _):
        assert list(sources) == ["a", "b"]
        await change(sources, configured(source("c"), source("b"), source("a", keep="1m")))
        assert list(sources) == ["c", "b", "a"]


async def test_a_changed_source_goes_on_where_it_stopped(systems: Systems) -> None:
    """It has another configuration, the same tasks since the same time, and counts their ends once."""
    systems["a"].put("1", Status.RUNNING)
    systems["a"].put("2", Status.ERROR)
    async with watching(None, source("a", "1", "2")) as (sources, ledger):
        await holds(lambda: len(sources["a"].board) == 2 and finished(ledger) == {"error": 1})
        before = sources["a"]
        seen = before.board["1"].first_seen.wall
        told = await change(sources, configured(source("a", "1", "2", stalled_after="1h")))
        assert told.changed == ["a"]
        assert sources["a"] is not before
        assert before.retired
        assert sources["a"].board.rules.stalled_after == timedelta(hours=1)
        assert sources["a"].board["1"].first_seen.wall == seen
        systems["a"].put("1", Status.SUCCESS)
        await holds(lambda: finished(ledger) == {"error": 1, "success": 1})
        assert ledger.totals.counters[DISCOVERED]["a", "work"].value == 2
        asked = len(systems["a"].asked)
        systems["a"].put("3", Status.SUCCESS)
        await sources["a"].poller.watch("test", configured(source("a", "3"))[0].static_ids)
        await holds(lambda: finished(ledger) == {"error": 1, "success": 2})
        assert systems["a"].asked[asked:] == ["3"]


async def test_what_was_not_yet_stored_is_not_forgotten(systems: Systems) -> None:
    """That a scrape has shown an end is written behind; a change writes it first."""
    systems["a"].put("1", Status.ERROR)
    async with watching(None, source("a", "1")) as (sources, ledger):
        await holds(lambda: finished(ledger) == {"error": 1})
        board = sources["a"].board
        board.show(board.unshown(), SystemClock().moment())
        assert board.unshown() == set()
        await change(sources, configured(source("a", "1", keep="1m")))
        assert sources["a"].board is not board
        assert "1" in sources["a"].board
        assert sources["a"].board.unshown() == set()


async def test_what_is_shown_before_it_runs_stays_shown(tmp_path: Path, systems: Systems) -> None:
    """The board is what the ledger has from the first moment, and not put back to that a moment later."""
    systems["a"].put("1", Status.ERROR)
    async with watching(tmp_path, source("a", "1")) as (_, ledger):
        await holds(lambda: finished(ledger) == {"error": 1})
    async with watching(tmp_path, source("a", "1")) as (sources, ledger):
        board = sources["a"].board
        assert board.unshown() == {("1", "#0")}
        board.show(board.unshown(), SystemClock().moment())
        systems["a"].put("2", Status.ERROR)
        await sources.register("a", [WatchedId(id="2")])
        await holds(lambda: finished(ledger) == {"error": 2})
        assert board.unshown() == {("2", "#0")}


async def test_ids_that_come_while_their_source_is_replaced_are_watched(systems: Systems) -> None:
    """By the one that takes its place, although that did not find them in the ledger."""
    systems["a"].put("1", Status.SUCCESS)
    async with watching(None, source("a")) as (sources, ledger):
        before = sources["a"]
        changing = asyncio.create_task(change(sources, configured(source("a", keep="1m"))))
        await retired(before)
        while not ledger.pending:  # Until what it leaves behind is on its way into the ledger,
            await asyncio.sleep(0)
        while ledger.pending:  # and is there: what comes now is not found by its successor.
            await asyncio.sleep(0)
        assert sources["a"] is before
        assert await sources.register("a", [WatchedId(id="1")]) == {"1"}
        await changing
        await holds(lambda: finished(ledger) == {"success": 1})


async def test_ids_for_a_source_that_goes_meanwhile_are_refused() -> None:
    """Nobody is told that they are watched when nobody will."""
    async with watching(None, source("a"), source("b")) as (sources, _):
        before = sources["a"]
        changing = asyncio.create_task(change(sources, configured(source("b"))))
        await retired(before)
        with pytest.raises(UnknownSource):
            await sources.register("a", [WatchedId(id="1")])
        await changing


async def test_a_request_under_way_is_given_up_and_made_again(systems: Systems) -> None:
    """By the source that takes the place of the one that asked."""
    systems["a"].answers.clear()
    systems["a"].put("1", Status.SUCCESS)
    async with watching(None, source("a", "1")) as (sources, ledger):
        await holds(lambda: systems["a"].asked == ["1"])
        await change(sources, configured(source("a", "1", keep="1m")))
        await holds(lambda: systems["a"].asked == ["1", "1"])
        systems["a"].answers.set()
        await holds(lambda: finished(ledger) == {"success": 1})


async def test_its_tasks_are_shown_all_the_time(systems: Systems) -> None:
    """No scrape during a change sees a source without its tasks, nor a moment without the source."""
    systems["a"].put("1", Status.RUNNING)
    async with watching(None, source("a", "1")) as (sources, _):
        await holds(lambda: "1" in sources["a"].board)
        looking = asyncio.create_task(at_every_step(lambda: "1" in sources["a"].board))
        for minutes in range(1, 6):
            await change(sources, configured(source("a", "1", keep=f"{minutes}m")))
            await holds(lambda: "1" in sources["a"].board)
        assert not looking.done()
        looking.cancel()


async def test_new_series_and_their_source_appear_at_once() -> None:
    """A scrape in between would take series for served at zero that it did not serve."""
    async with watching(None, source("a")) as (sources, ledger):

        def together() -> bool:
            born = {name for name, _ in ledger.totals.counters[DISCOVERED]}
            return born == set(sources)

        looking = asyncio.create_task(at_every_step(together))
        await change(sources, configured(source("a"), source("b"), source("c", operations=["x"])))
        assert together()
        assert not looking.done()
        looking.cancel()


async def test_a_source_that_returns_counts_on(systems: Systems) -> None:
    """What was counted of a removed source stays in the ledger, and its ended tasks are not counted again."""
    systems["a"].put("1", Status.ERROR)
    async with watching(None, source("a", "1"), source("b")) as (sources, ledger):
        await holds(lambda: finished(ledger) == {"error": 1})
        stats = sources["a"].stats
        stats.polled(0.0)
        polls = sum(stats.lag.counts)
        await change(sources, configured(source("b")))
        assert list(sources) == ["b"]
        asked = len(systems["a"].asked)
        await change(sources, configured(source("a", "1"), source("b")))
        assert sources["a"].board["1"].task.status is Status.ERROR
        assert sum(sources["a"].stats.lag.counts) >= polls
        systems["a"].put("2", Status.SUCCESS)
        await sources["a"].poller.watch("test", configured(source("a", "2"))[0].static_ids)
        await holds(lambda: finished(ledger) == {"error": 1, "success": 1})
        assert systems["a"].asked[asked:] == ["2"]


async def test_an_end_that_waits_for_the_ledger_is_counted_once(tmp_path: Path, systems: Systems) -> None:
    """A change waits until what the source has found out is stored, be the ledger ever so slow."""
    systems["a"].put("1", Status.RUNNING)
    async with watching(tmp_path, source("a", "1")) as (sources, ledger):
        await holds(lambda: "1" in sources["a"].board)
        slow = threading.Event()
        blocked = asyncio.create_task(ledger.transact(lambda _: slow.wait(10)))
        systems["a"].put("1", Status.SUCCESS)
        await holds(lambda: sources["a"].board["1"].task.status is Status.SUCCESS)
        changing = asyncio.create_task(change(sources, configured(source("a", "1", keep="1m"))))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not changing.done()
        slow.set()
        await changing
        await blocked
        assert sources["a"].board["1"].task.status is Status.SUCCESS
        assert finished(ledger) == {"success": 1}
        systems["a"].put("2", Status.SUCCESS)
        await sources["a"].poller.watch("test", configured(source("a", "2"))[0].static_ids)
        await holds(lambda: finished(ledger) == {"success": 2})


async def test_an_api_that_cannot_be_set_up_changes_nothing() -> None:
    """What a stranger's module raises is told as a mistake."""
    async with watching(None, source("a"), source("b")) as (sources, _):
        before = dict(sources)
        broken = source("c", options={"system": "c", "broken": True})
        with pytest.raises(ConfigError) as refused:
            await change(sources, configured(source("a", keep="1m"), broken))
        (mistake,) = refused.value.mistakes
        assert mistake.startswith("source 'c': api 'tests.app.fake_api:Fake' cannot be set up")
        assert "the licence has expired" in mistake
        assert dict(sources) == before


async def test_a_log_is_fetched_from_who_is_there_now() -> None:
    """A source that has been replaced fetches none any more; whoever asks by name is sent to the new one."""
    async with watching(None, source("a")) as (sources, _):
        before = sources["a"]
        changing = asyncio.create_task(change(sources, configured(source("a", keep="1m"))))
        await retired(before)
        now = await sources.settled("a")
        assert now is not None
        assert now is not before
        assert await now.fetch_log("1") == "all went well"
        with pytest.raises(NoLog):
            await before.fetch_log("1")
        await changing
        assert await sources.settled("b") is None
