"""The loop that asks one source about its tasks."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.errors import ConnectFailed, Malformed, RateLimited, TaskNotFound
from exporter.model import Status, Task, WatchedId
from exporter.polling.poller import TooManyWatched
from exporter.store.ledger import LedgerSettings
from tests.alerts.given import logging_to
from tests.polling.harness import FakeApi, JumpyClock, ListingApi, polling, until

HOUR = timedelta(hours=1)


def ids(*names: str) -> list[WatchedId]:
    """Ids to watch."""
    return [WatchedId(id=name) for name in names]


def task(name: str, status: Status = Status.RUNNING, **more: object) -> Task:
    """A task of that name."""
    return Task(id=name, status=status, **more)  # type: ignore[arg-type]


def ended(name: str, status: Status = Status.ERROR, **more: object) -> Task:
    """A task of that name that has just ended."""
    return task(name, status, finished_at=datetime.now(UTC), **more)


async def test_a_watched_task_is_asked_for_until_it_ends_and_never_again() -> None:
    """Final tasks are never asked for again."""
    api = FakeApi()
    api.put(task("1"))
    async with polling(api, lost_after=30.0) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: api.asked["1"] >= 3)
        api.put(task("1", Status.ERROR))
        await until(lambda: rig.finished("error") == 1)
        asked = api.asked["1"]
        await rig.poller.watch("static", ids("1", "2"))
        await until(lambda: api.asked["2"] >= 5)
        assert api.asked["1"] == asked
        assert rig.counter("asynctask_discovered_total", "s", "") == 1


async def test_an_id_that_nobody_watches_any_more_is_left_alone() -> None:
    """An id that leaves its file is not asked for again, and leaves the board."""
    api = FakeApi()
    api.put(task("1"), task("2"))
    async with polling(api) as rig:
        await rig.poller.watch("file", ids("1", "2"))
        await until(lambda: "1" in rig.board and "2" in rig.board)
        await rig.poller.watch("file", ids("2"))
        assert "1" not in rig.board
        asked = api.asked["1"]
        more = api.asked["2"] + 5
        await until(lambda: api.asked["2"] >= more)
        assert api.asked["1"] <= asked + 1


async def test_an_answer_under_way_does_not_bring_back_an_id_that_was_taken_off() -> None:
    """The answer to a poll that was under way when the id was taken off is not used."""
    api = FakeApi()
    api.put(task("1"))
    api.gate.clear()
    async with polling(api) as rig:
        await rig.poller.watch("file", ids("1"))
        await until(lambda: api.together == 1)
        await rig.poller.watch("file", [])
        api.gate.set()
        await until(lambda: rig.numbers.successes == 1)
        assert "1" not in rig.board


async def test_an_id_that_the_api_does_not_know_is_lost_after_a_while() -> None:
    """It is asked for again for lost_after, then counted as lost, and never as failed."""
    async with polling(FakeApi()) as rig:
        await rig.poller.watch("static", ids("nobody"))
        await until(lambda: rig.counter("asynctask_lost_total", "s", "not_found") == 1)
        assert rig.finished("error") == 0
        assert rig.poller.watched == 0


async def test_an_id_may_be_watched_before_its_api_knows_it() -> None:
    """A launcher may be faster than the system that it launched in."""
    api = FakeApi()
    async with polling(api, lost_after=30.0) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: api.asked["1"] >= 3)
        api.put(task("1"))
        await until(lambda: "1" in rig.board)


async def test_a_task_that_vanishes_is_lost_and_not_failed() -> None:
    """Once known, then unknown for too long: counted as vanished, and off the board."""
    api = FakeApi()
    api.put(task("1"))
    async with polling(api) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: "1" in rig.board)
        api.tasks["1"] = TaskNotFound("1")
        await until(lambda: rig.counter("asynctask_lost_total", "s", "vanished") == 1)
        assert "1" not in rig.board


async def test_a_failing_source_is_asked_one_request_at_a_time_until_it_is_back() -> None:
    """Back-off leaves it alone; one answer ends the back-off for all its tasks."""
    api = FakeApi()
    names = [str(number) for number in range(20)]
    api.put(*(task(name) for name in names))
    async with polling(api) as rig:
        await rig.poller.watch("static", ids(*names))
        await until(lambda: all(name in rig.board for name in names))
        api.down = ConnectFailed("refused")
        await until(lambda: rig.numbers.errors["connect"] >= 5)
        api.most_together = 0
        more = rig.numbers.errors["connect"] + 4
        await until(lambda: rig.numbers.errors["connect"] >= more)
        assert api.most_together == 1
        assert rig.poller.last_error == "refused"
        assert all(name in rig.board for name in names)
        api.down = None
        before = dict(api.asked)
        await until(lambda: all(api.asked[name] > before[name] for name in names))
        assert rig.poller.last_error == ""


async def test_one_task_that_is_told_badly_slows_no_other() -> None:
    """A malformed answer is that task's own affair: the others are polled on, and it keeps its place."""
    api = FakeApi()
    api.put(task("good"), task("bad", progress=0.4))
    async with polling(api) as rig:
        await rig.poller.watch("static", ids("good", "bad"))
        await until(lambda: "bad" in rig.board and "good" in rig.board)
        api.tasks["bad"] = Malformed("not JSON")
        await until(lambda: rig.numbers.errors["malformed"] >= 2)
        before = api.asked["good"]
        await until(lambda: api.asked["good"] > before + 5)
        assert rig.board["bad"].task.progress == 0.4


async def test_a_defect_in_an_api_module_ends_no_loop() -> None:
    """Whatever an API module raises is counted as malformed, and the task asked for again."""
    api = FakeApi()
    api.tasks["1"] = KeyError("taskId")
    async with polling(api) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: rig.numbers.errors["malformed"] >= 2)
        api.put(task("1"))
        await until(lambda: "1" in rig.board)


@pytest.mark.parametrize("error", [Malformed("no JSON: 'hush'"), KeyError("hush")])
async def test_what_a_source_was_told_in_confidence_is_not_repeated(error: Exception) -> None:
    """An error is cleared before it is shown or logged, whoever made its words."""
    api, stream = FakeApi(), io.StringIO()
    api.tasks["1"] = error
    with logging_to(stream, "info"):
        async with polling(api) as rig:
            await rig.poller.watch("static", ids("1"))
            await until(lambda: rig.poller.last_error)
            assert "<secret>" in rig.poller.last_error
    assert "hush" not in rig.poller.last_error + stream.getvalue()
    assert "<secret>" in stream.getvalue()


async def test_a_lost_task_repeats_no_secret() -> None:
    """What the API said of an id that it does not know is cleared as well."""
    api, stream = FakeApi(), io.StringIO()
    api.tasks["1"] = TaskNotFound("1", "not for hush")
    with logging_to(stream, "info"):
        async with polling(api, lost_after=0.0) as rig:
            await rig.poller.watch("static", ids("1"))
            await until(lambda: rig.counter("asynctask_lost_total", "s", "not_found"))
    assert "not for <secret>" in stream.getvalue()
    assert "hush" not in stream.getvalue()


async def test_an_api_that_asks_to_wait_is_left_alone_for_that_long() -> None:
    """Retry-After is honoured by all the source's tasks."""
    api = FakeApi()
    api.down = RateLimited("slow down", retry_after=3600.0)
    async with polling(api, concurrency=1) as rig:
        await rig.poller.watch("static", ids("1", "2"))
        await until(lambda: rig.numbers.errors["rate_limited"] == 1)
        await asyncio.sleep(0.1)
        assert sum(api.asked.values()) == 1


async def test_listed_tasks_are_not_asked_for_one_by_one() -> None:
    """A listing tells of all of them with one request."""
    api = ListingApi()
    api.put(task("1"), task("2"))
    async with polling(api) as rig:
        await until(lambda: len(api.since) >= 4)
        assert "1" in rig.board
        assert not api.asked
        api.put(ended("1"))
        await until(lambda: rig.finished("error") == 1)
        more = len(api.since) + 4
        await until(lambda: len(api.since) >= more)
        assert rig.finished("error") == 1


async def test_a_task_that_drops_out_of_the_listing_is_asked_for_by_id() -> None:
    """What the listing ought to tell and does not, the single task tells."""
    api = ListingApi()
    api.put(task("1"))
    async with polling(api) as rig:
        await until(lambda: "1" in rig.board)
        api.unlisted.add("1")
        api.put(ended("1"))
        await until(lambda: rig.finished("error") == 1)


async def test_tasks_of_an_incomplete_listing_are_asked_for_by_id() -> None:
    """A listing that only makes tasks known leaves their progress to single requests."""
    api = ListingApi()
    api.complete = False
    api.put(task("1"))
    async with polling(api):
        await until(lambda: api.asked["1"] >= 3)


async def test_what_ended_before_the_first_start_is_history() -> None:
    """The first start against a system with old failures counts none of them."""
    api = ListingApi()
    old = datetime.now(UTC) - HOUR
    api.put(*(task(str(n), Status.ERROR, started_at=old, finished_at=old) for n in range(50)))
    async with polling(api) as rig:
        await until(lambda: len(api.since) >= 3)
        api.put(ended("new"))
        await until(lambda: rig.finished("error") == 1)
        assert len(rig.board) == 1


async def test_what_ended_while_the_exporter_was_down_is_counted_once(tmp_path: Path) -> None:
    """A task that nobody ever saw running, and that failed meanwhile, is counted when we are back."""
    api = ListingApi()
    settings = LedgerSettings(path=tmp_path)
    async with polling(api, settings):
        await until(lambda: len(api.since) >= 2)
    api.put(ended("missed"), task("long ago", Status.ERROR, finished_at=datetime.now(UTC) - HOUR))
    async with polling(api, settings) as rig:
        await until(lambda: rig.finished("error") == 1)
    listings = len(api.since)
    async with polling(api, settings) as rig:
        await until(lambda: len(api.since) >= listings + 3)
        assert rig.finished("error") == 1
        assert "missed" in rig.board


async def test_a_watched_id_whose_end_was_counted_is_not_asked_for_after_a_restart(
    tmp_path: Path,
) -> None:
    """An id may stand in the configuration for ever: its end is counted once."""
    api = FakeApi()
    api.put(task("1", Status.ERROR))
    settings = LedgerSettings(path=tmp_path)
    async with polling(api, settings) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: rig.finished("error") == 1)
    async with polling(api, settings, lost_after=30.0) as rig:
        await rig.poller.watch("static", ids("1", "2"))
        await until(lambda: api.asked["2"] >= 3)
        assert api.asked["1"] == 1
        assert rig.finished("error") == 1


async def test_registered_ids_are_watched_after_a_restart_until_they_end(tmp_path: Path) -> None:
    """What was answered was stored; what has ended is forgotten."""
    api = FakeApi()
    settings = LedgerSettings(path=tmp_path)
    async with polling(api, settings, lost_after=30.0) as rig:
        assert await rig.poller.register([WatchedId(id="1", operation="deploy")]) == ["1"]
        assert await rig.poller.register(ids("1")) == []
    api.put(task("1"))
    async with polling(api, settings) as rig:
        await until(lambda: "1" in rig.board)
        assert rig.board["1"].task.operation == "deploy"
        api.put(task("1", Status.ERROR))
        await until(lambda: rig.finished("error", "deploy") == 1)
        assert await rig.poller.register(ids("1")) == []
    async with polling(api, settings, lost_after=30.0) as rig:
        asked = api.asked["1"]
        await rig.poller.watch("static", ids("2"))
        await until(lambda: api.asked["2"] >= 3)
        assert api.asked["1"] == asked


async def test_registering_more_than_may_be_watched_is_refused_whole() -> None:
    """There is room again when tasks have ended."""
    api = FakeApi()
    api.put(task("1"), task("2"))
    async with polling(api, max_watched=2) as rig:
        await rig.poller.register(ids("1", "2"))
        with pytest.raises(TooManyWatched):
            await rig.poller.register(ids("3"))
        api.put(task("1", Status.SUCCESS))
        await until(lambda: rig.finished("success") == 1)
        assert await rig.poller.register(ids("3")) == ["3"]


async def test_polls_begin_when_they_are_due() -> None:
    """The lag of a source that answers is small, and is reported for each poll."""
    api = FakeApi()
    api.put(task("1"))
    async with polling(api) as rig:
        await rig.poller.watch("static", ids("1"))
        await until(lambda: api.asked["1"] >= 10)
        assert len(rig.numbers.lags) >= 10
        assert min(rig.numbers.lags) >= 0


async def test_a_failed_run_of_an_interval_task_is_counted_while_the_next_one_waits() -> None:
    """Several runs of one id in one listing are taken in their order, each once."""
    api = ListingApi()
    api.put(task("cull", Status.PENDING))
    async with polling(api) as rig:
        await until(lambda: "cull" in rig.board)
        for run in ("a", "b"):
            api.history.append(ended("cull", run=run))
            before = len(api.since)
            await until(lambda seen=before: len(api.since) >= seen + 3)  # type: ignore[misc]
        await until(lambda: rig.finished("error") == 2)
        assert rig.board["cull"].task.status is Status.PENDING
        assert {entry.run for entry in rig.board.past()} == {"a", "b"}


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_wall_clock_that_jumps_changes_no_count(tmp_path: Path, jump: timedelta) -> None:
    """Neither while we run nor over a restart: news is told from history in the server's time."""
    api, clock, settings = ListingApi(), JumpyClock(), LedgerSettings(path=tmp_path)
    api.put(task("old", Status.ERROR, finished_at=datetime.now(UTC) - 3 * HOUR), task("seen"))
    async with polling(api, settings, clock) as rig:
        await until(lambda: "seen" in rig.board)
        clock.off = jump
        api.put(ended("seen"), ended("new"))
        await until(lambda: rig.finished("error") == 2)
        clock.off = -jump
        api.put(ended("later"))
        await until(lambda: rig.finished("error") == 3)
    listings = len(api.since)
    api.put(ended("missed"))
    async with polling(api, settings, clock) as rig:
        await until(lambda: rig.finished("error") == 4)
        await until(lambda: len(api.since) > listings + 3)
        assert rig.finished("error") == 4


async def test_a_server_that_loses_the_date_makes_no_old_failure_news(tmp_path: Path) -> None:
    """Its last listing before a restart said the year 1970; what failed before the first start is history."""
    api, settings = ListingApi(), LedgerSettings(path=tmp_path)
    async with polling(api, settings):
        await until(lambda: len(api.since) >= 2)
        api.server_off = -20_000 * 24 * HOUR
        listings = len(api.since)
        await until(lambda: len(api.since) >= listings + 3)
    api.server_off = timedelta(0)
    api.put(task("old", Status.ERROR, finished_at=datetime.now(UTC) - 48 * HOUR), ended("new"))
    listings = len(api.since)
    async with polling(api, settings) as rig:
        await until(lambda: rig.finished("error") == 1)
        await until(lambda: len(api.since) >= listings + 4)
        assert rig.finished("error") == 1
        assert "old" not in rig.board
