"""What comes late, twice or in between costs no end: ids that come and go, and what API modules get wrong."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.apis.base import Answer, Listing
from exporter.apis.epmware import Epmware, EpmwareOptions
from exporter.clock import Moment, SystemClock
from exporter.errors import ConnectFailed, Rejected, StorageError
from exporter.model import Status, Task, WatchedId
from exporter.store.entry import BoardRules, OperationRule
from exporter.store.ledger import LedgerSettings
from exporter.store.totals import DISCOVERED
from tests.apis.fake_http import FakeHttp, answer
from tests.polling.harness import FakeApi, JumpyClock, ListingApi, polling, until
from tests.store.given import full_disk, until_failed

HOUR = timedelta(hours=1)
NAMED = BoardRules(operation_rules=(OperationRule(match=re.compile("x"), operation="y"),))
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - the mistake that is tested


class SkippingClock(SystemClock):
    """A clock that a test lets run ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Tell the seconds."""
        return super().monotonic() + self.ahead

    def moment(self) -> Moment:
        """Tell both."""
        return Moment(self.now(), self.monotonic())


class Careless(FakeApi):
    """Tells whatever the test wants of the task "1"."""

    def __init__(self, told: object) -> None:
        super().__init__()
        self.told = told

    async def fetch(self, task_id: str) -> Task:
        """Tell one task, or something else."""
        return self.told if task_id == "1" else await super().fetch(task_id)  # type: ignore[return-value]


class ShoutingApi(FakeApi):
    """Tells every id in capital letters, however it was asked for."""

    async def fetch(self, task_id: str) -> Task:
        """Tell one task."""
        return replace(await super().fetch(task_id), id=task_id.upper())


class AheadApi(ListingApi):
    """Knows in its listings, which are not complete, what it tells of an id only later."""

    async def list(self, since: datetime) -> Listing:
        """List the task "1" as failed once it runs for those who ask for it."""
        self.since.append(since)
        return Listing((failed("1") if self.asked["1"] else task("1"),), datetime.now(UTC), complete=False)


class UnlistableApi(ListingApi):
    """Tells tasks by their ids, and refuses to list."""

    async def list(self, since: datetime) -> Listing:
        """Refuse."""
        self.since.append(since)
        raise Rejected("EPMware lists no executions: no such profile")


def ids(*names: str) -> list[WatchedId]:
    """Ids to watch."""
    return [WatchedId(id=name) for name in names]


def broken(field: str) -> Task:
    """A task as no module that mypy has seen tells it."""
    return replace(task("1"), **{field: b"?"})  # type: ignore[arg-type]


def task(name: str, status: Status = Status.RUNNING, **more: object) -> Task:
    """A task of that name."""
    return Task(id=name, status=status, **more)  # type: ignore[arg-type]


def failed(name: str, **more: object) -> Task:
    """A task of that name that has just failed."""
    return task(name, Status.ERROR, **{"finished_at": datetime.now(UTC)} | more)


def executions(status: str) -> Answer:
    """EPMware's list of the executions of a profile: one, in this status."""
    row = {"taskId": "7", "exportName": "ASO", "status": status}
    return answer({"totalCount": "1", "vEWVExportExecutions": [row]})


async def test_whoever_gave_up_a_registration_may_try_it_again(tmp_path: Path) -> None:
    """Posted while nothing could be stored, answered with 503, posted again: it is watched from then on."""
    api = FakeApi()
    api.put(failed("1"))
    async with polling(api, LedgerSettings(path=tmp_path, backoff=(0.01, 0.02))) as rig:
        with full_disk():
            given_up = asyncio.create_task(rig.poller.register(ids("1")))
            await until_failed(rig.ledger)
            given_up.cancel()
            await asyncio.wait([given_up])
        await rig.poller.register(ids("1"))
        await until(lambda: rig.finished("error") == 1)


@pytest.mark.parametrize("kind", [FakeApi, ListingApi])
async def test_polls_wait_while_too_much_waits_to_be_stored(kind: type[FakeApi], tmp_path: Path) -> None:
    """What ends while the disk is full and memory is spoken for stays at its API, and is counted later."""
    api = kind()
    api.put(*(task(str(n)) for n in range(20)))
    settings = LedgerSettings(path=tmp_path, backoff=(0.01, 0.02), room=20)
    async with polling(api, settings) as rig:
        await rig.poller.watch("file", ids(*map(str, range(20))))
        await until(lambda: rig.counter(DISCOVERED, "s", "") == 20)
        with capture_logs() as logs, full_disk():
            api.put(*(failed(str(n)) for n in range(20)))
            await until(lambda: any(log["event"].startswith("too much waits") for log in logs))
            await until_failed(rig.ledger)  # Time for the polls that were under way.
            api.put(*(failed(str(n)) for n in range(20, 40)))
            await rig.poller.watch("file", ids(*map(str, range(40))))
            asked, listed = api.asked.copy(), len(getattr(api, "since", ()))
            for _ in range(3):
                await until_failed(rig.ledger)
            assert api.asked == asked
            assert len(getattr(api, "since", ())) == listed
            assert (rig.finished("error"), "30" in rig.board) == (0, False)
        await until(lambda: rig.finished("error") == 40)
        assert rig.counter(DISCOVERED, "s", "") == 40


async def test_who_registers_while_too_much_waits_to_be_stored_is_refused(tmp_path: Path) -> None:
    """At once, and without a trace, for who is told to try again does so; what came before is stored."""
    settings = LedgerSettings(path=tmp_path, backoff=(0.01, 0.02), room=20)
    async with polling(FakeApi(), settings) as rig:
        with full_disk():
            early = asyncio.create_task(rig.poller.register(ids(*map(str, range(20)))))
            await until(lambda: rig.ledger.is_full)
            for _ in range(100):
                with pytest.raises(StorageError, match="too much"):
                    await rig.poller.register(ids("late"))
            assert rig.ledger.pending == 1
        assert len(await early) == 20
        assert await rig.poller.register(ids("late")) == ["late"]


async def test_a_registered_id_is_watched_on_when_it_leaves_its_file() -> None:
    """Who registers an id that a file names already is promised its end as well."""
    api = FakeApi()
    api.put(task("1"))
    async with polling(api) as rig:
        await rig.poller.watch("file", ids("1"))
        await until(lambda: "1" in rig.board)
        assert await rig.poller.register(ids("1")) == []
        await rig.poller.watch("file", [])
        api.put(failed("1"))
        await until(lambda: rig.finished("error") == 1)


async def test_history_that_is_registered_is_counted_whatever_is_listed_meanwhile() -> None:
    """Listings that tell of an old end do not take the place of the answer that was asked for."""
    api = ListingApi()
    api.put(failed("old", finished_at=datetime.now(UTC) - HOUR))
    async with polling(api) as rig:
        await until(lambda: len(api.since) >= 3)
        assert rig.finished("error") == 0
        api.gate.clear()
        await rig.poller.register(ids("old"))
        listings = len(api.since)
        await until(lambda: len(api.since) >= listings + 3)
        api.gate.set()
        await until(lambda: rig.finished("error") == 1)


async def test_a_first_start_with_a_clock_that_is_put_right_makes_no_news_history() -> None:
    """A machine that boots with a clock ahead, and without a network to put it right."""
    api, clock = ListingApi(), JumpyClock()
    clock.off, api.down = HOUR, ConnectFailed("no network yet")
    async with polling(api, None, clock) as rig:
        await until(lambda: rig.numbers.errors["connect"] >= 2)
        clock.off, api.down, before = timedelta(0), None, len(api.since)
        await until(lambda: rig.numbers.successes >= 2)
        api.put(failed("short"))
        await until(lambda: rig.finished("error") == 1)
        assert max(api.since[before:]) < datetime.now(UTC)


async def test_an_id_that_comes_back_into_its_file_is_given_time_anew() -> None:
    """How long the API did not know it before does not count: it may be launched only now."""
    api, clock = FakeApi(), SkippingClock()
    async with polling(api, None, clock, lost_after=60.0) as rig:
        await rig.poller.watch("file", ids("1"))
        await until(lambda: api.asked["1"] >= 2)
        await rig.poller.watch("file", [])
        clock.ahead += 3600.0
        asked = api.asked["1"]
        await rig.poller.watch("file", ids("1"))
        await until(lambda: api.asked["1"] >= asked + 2)
        api.put(failed("1"))
        await until(lambda: rig.finished("error") == 1)


async def test_an_outage_does_not_count_as_time_in_which_an_id_was_unknown() -> None:
    """A system that restarts may not know its tasks just before and just after: none is given up for that."""
    api, clock = FakeApi(), SkippingClock()
    async with polling(api, None, clock, lost_after=60.0) as rig:
        await rig.poller.watch("static", ids("1", "2"))
        await until(lambda: api.asked["1"] >= 2 and api.asked["2"] >= 2)
        api.down = ConnectFailed("refused")
        await until(lambda: rig.numbers.errors["connect"])
        clock.ahead += 3600.0
        before, api.down = api.asked.copy(), None
        await until(lambda: all(api.asked[name] >= before[name] + 3 for name in "12"))
        api.put(failed("1"), failed("2"))
        await until(lambda: rig.finished("error") == 2)


@pytest.mark.parametrize("down", [None, ConnectFailed("refused")])
async def test_an_id_taken_off_while_it_is_asked_for_is_not_asked_for_again(
    down: ConnectFailed | None,
) -> None:
    """Neither when the API does not know it nor when it fails; and it is not lost, for nobody wants it."""
    api = FakeApi()
    api.gate.clear()
    async with polling(api, lost_after=0.0) as rig:
        await rig.poller.watch("file", ids("1"))
        await until(lambda: api.together == 1)
        await rig.poller.watch("file", [])
        api.down = down
        api.gate.set()
        await until(lambda: api.together == 0)
        api.down = None
        api.put(task("2"))
        await rig.poller.watch("file", ids("2"))
        await until(lambda: api.asked["2"] >= 10)
        assert api.asked["1"] == 1
        assert rig.counter("asynctask_lost_total", "s", "not_found") == 0


async def test_an_id_that_the_api_spells_otherwise_leaves_the_board_with_its_file() -> None:
    """Nobody asks for it any more, so it must not be shown as running for ever; it may come back."""
    api = ShoutingApi()
    api.put(task("abc"))
    async with polling(api) as rig:
        await rig.poller.watch("file", ids("abc"))
        await until(lambda: "ABC" in rig.board)
        await rig.poller.watch("file", [])
        assert "ABC" not in rig.board
        await rig.poller.watch("file", ids("abc"))
        await until(lambda: "ABC" in rig.board)
        api.put(failed("abc"))
        await until(lambda: rig.finished("error") == 1)
        assert rig.counter(DISCOVERED, "s", "") == 1


async def test_an_id_that_is_wanted_by_the_api_s_spelling_as_well_stays() -> None:
    """One of the two files that name it drops it; the other is still promised its end."""
    api = ShoutingApi()
    api.put(task("abc"), task("ABC"))
    async with polling(api) as rig:
        await rig.poller.watch("one", ids("abc"))
        await rig.poller.watch("other", ids("ABC"))
        await until(lambda: api.asked["abc"] and api.asked["ABC"] and "ABC" in rig.board)
        await rig.poller.watch("one", [])
        assert "ABC" in rig.board
        api.put(failed("ABC"))
        await until(lambda: rig.finished("error") == 1)


async def test_a_listing_that_is_refused_after_a_restart_hides_no_end(tmp_path: Path) -> None:
    """As before the restart, what was registered is asked for by its id."""
    api, settings = ListingApi(), LedgerSettings(path=tmp_path)
    api.complete, api.unlisted = False, {"1"}
    api.put(task("1"))
    async with polling(api, settings) as rig:
        await rig.poller.register(ids("1"))
        await until(lambda: "1" in rig.board)
    refused = UnlistableApi()
    refused.put(failed("1"))
    async with polling(refused, settings) as rig:
        await until(lambda: rig.finished("error") == 1)


async def test_what_a_listing_has_told_to_the_end_is_asked_for_no_more() -> None:
    """The answer might be older than the listing, and look like another run."""
    api = AheadApi()
    api.put(task("1"))
    async with polling(api) as rig:
        await until(lambda: rig.finished("error") == 1)
        asked, listings = api.asked["1"], len(api.since)
        await until(lambda: len(api.since) >= listings + 10)
        assert (api.asked["1"], rig.board["1"].run) == (asked, "#0")


@pytest.mark.parametrize(("status", "execution"), [("E", "R"), ("R", "E")])
async def test_two_calls_that_contradict_each_other_make_one_end(status: str, execution: str) -> None:
    """EPMware tells an export by its id and in a list; the end that comes first counts, and no other."""
    state, listed = "service/api/task/get_status/7", "service/api/export/get_execution_details"
    http = FakeHttp({state: answer({"status": "R"}), listed: executions("R")})
    async with polling(Epmware(http, EpmwareOptions(export_profiles=("ASO",)))) as rig:
        await until(lambda: any(asked.path == state for asked in http.requests))
        told = answer({"status": status, "percentCompleted": "0"})
        http.answers = {state: told, listed: executions(execution)}
        await until(lambda: rig.finished("error", "export") == 1)
        before = len(http.requests)
        await until(lambda: len(http.requests) >= before + 10)
        assert (rig.finished("error", "export"), rig.counter(DISCOVERED, "s", "export")) == (1, 1)
        assert rig.board["7"].task.status is Status.ERROR


@pytest.mark.parametrize(
    "told",
    [
        None,
        {"status": "error"},
        task("1", started_at=NAIVE),
        failed("1", finished_at=NAIVE),
        task("1", subtasks=("part",)),
        *map(broken, ("name", "status", "progress", "duration", "subtasks")),
    ],
)
async def test_an_api_module_that_tells_nonsense_ends_no_loop(told: object) -> None:
    """What is no task, or no whole one, is malformed; the other tasks are polled on."""
    api = Careless(told)
    api.put(task("2"))
    async with polling(api) as rig:
        rig.board.rules = NAMED
        await rig.poller.watch("static", ids("1", "2"))
        await until(lambda: rig.numbers.errors["malformed"] >= 2)
        polls = api.asked["2"]
        await until(lambda: api.asked["2"] >= polls + 5)


@pytest.mark.parametrize("nonsense", [{"finished_at": NAIVE}, {"name": None}])
async def test_a_listing_with_nonsense_in_it_hides_no_end_for_good(nonsense: dict[str, Any]) -> None:
    """What it told beside the nonsense is counted from the next listing that is well."""
    api = ListingApi()
    async with polling(api) as rig:
        rig.board.rules = NAMED
        await until(lambda: rig.numbers.successes >= 2)
        api.put(failed("good"), replace(failed("bad"), **nonsense))
        await until(lambda: rig.numbers.errors["malformed"] >= 2)
        del api.tasks["bad"]
        await until(lambda: rig.finished("error") == 1)


async def test_text_that_no_database_takes_costs_no_end(tmp_path: Path) -> None:
    """A lone surrogate in one task's text costs neither that task nor those listed with it."""
    api = ListingApi()
    async with polling(api, LedgerSettings(path=tmp_path)) as rig:
        await until(lambda: rig.numbers.successes >= 2)
        api.put(failed("good"), failed("bad\ud800", operation="x\ud800", run="\ud800"))
        await until(lambda: rig.finished("error") == 1)
        await until(lambda: rig.finished("error", "x?") == 1)
