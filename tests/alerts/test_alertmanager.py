"""Alertmanagers hear of every task that ends badly, at once and for as long as somebody has to know."""

import asyncio
import io
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.alerts import keeper
from exporter.alerts.settings import AlertSettings, Origin
from exporter.errors import ServerFailed
from exporter.model import Status
from exporter.store.ledger import Change
from tests.alerts.given import (
    ORIGINS,
    QUICK,
    Asked,
    Receiver,
    Running,
    alertmanager,
    logging_to,
    no_log,
    running,
    until,
)
from tests.store.given import START, FakeClock, query, transition

E, S, W = Status.ERROR, Status.SUCCESS, Status.WARNING
MINUTE = 60.0
SETTINGS = AlertSettings(backoff=QUICK)


def told(receiver: Receiver) -> list[dict[str, Any]]:
    """Every alert that it took, as often as it took it."""
    return [alert for asked in receiver.taken for alert in asked.json]


def ids(receiver: Receiver) -> list[str]:
    """The task ids of these."""
    return [alert["labels"]["task_id"] for alert in told(receiver)]


def is_resolved(alert: dict[str, Any], now: datetime) -> bool:
    """Whether Alertmanager takes it for resolved, as its clock says *now*."""
    return datetime.fromisoformat(alert["endsAt"]) <= now


def accepted(run: Running, task_id: str) -> bool:
    """Whether the database says that an Alertmanager took it."""
    alerts = [alert for alert in run.notifier.alerts() if alert.task_id == task_id]
    return bool(alerts) and alerts[0].accepted_at is not None


async def leave(run: Running, *task_ids: str) -> None:
    """Take tasks off the board."""
    await run.ledger.record(Change(removed=[("epm", task_id, "#0") for task_id in task_ids]))


async def wake(run: Running) -> None:
    """Let the notifier look again, by an end that concerns nobody."""
    await run.ledger.record(Change(transitions=[transition(S, None, task_id="wake", source="other")]))


async def test_a_failure_is_told_to_all_of_them(tmp_path: Path) -> None:
    """API v2, with the identity, the words, and an end that is as far ahead as a restart may take."""
    async with Receiver() as one, Receiver() as two:
        async with running(tmp_path, alertmanager(one.url), alertmanager(two.url + "/am")) as run:
            await run.end(E, "1", message="no")
            stats = run.stats[f"alertmanager/{two.target}/am"]
            await until(lambda: one.taken and (stats.accepted, stats.waiting) == (1, 0))
        assert (one.taken[0].path, two.taken[0].path) == ("/api/v2/alerts", "/am/api/v2/alerts")
        assert one.taken[0].json == two.taken[0].json
        (alert,) = one.taken[0].json
        assert (alert["labels"]["alertname"], alert["labels"]["task_id"]) == ("AsyncTaskFailed", "1")
        assert alert["annotations"]["message"] == "no"
        assert (alert["startsAt"], alert["endsAt"]) == (
            "2026-01-01T12:00:00.000Z",
            "2026-01-01T12:15:00.000Z",
        )


async def test_only_bad_ends_are_told() -> None:
    """What succeeds, is cancelled or skipped wakes nobody."""
    async with Receiver() as receiver, running(None, alertmanager(receiver.url)) as run:
        for number, status in enumerate((S, Status.CANCELLED, Status.SKIPPED, W, Status.TIMED_OUT, E)):
            await run.end(status, str(number))
        await until(lambda: "5" in ids(receiver))
        assert sorted(set(ids(receiver))) == ["3", "4", "5"]


async def test_it_is_told_again_as_long_as_it_fires() -> None:
    """Every ``resend_delay``, with the same labels and start, and an end that moves on."""
    async with Receiver() as receiver, running(None, alertmanager(receiver.url)) as run:
        await run.end(E, "1")
        await until(lambda: ids(receiver) == ["1"])
        run.pass_time(MINUTE - 1)
        await run.end(E, "2")
        await until(lambda: ids(receiver) == ["1", "2"])
        run.pass_time(1)
        await run.end(E, "3")
        await until(lambda: sorted(ids(receiver)) == ["1", "1", "2", "3"])
        first, again = (alert for alert in told(receiver) if alert["labels"]["task_id"] == "1")
        assert {**first, "endsAt": ""} == {**again, "endsAt": ""}
        assert again["endsAt"] == "2026-01-01T12:16:00.000Z"


async def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """The next process goes on with the same labels and start, so that nothing is resolved or repeated."""
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            await run.end(E, "1", message="no")
            await until(lambda: accepted(run, "1"))
        changed = {"epm": Origin(labels={"team": "other"}, keep_failed=timedelta(hours=1))}
        async with running(tmp_path, alertmanager(receiver.url), origins=changed):
            await until(lambda: len(told(receiver)) == 2)
        first, again = told(receiver)
        assert first == again


async def test_what_was_seen_before_a_crash_is_told_after_it(tmp_path: Path) -> None:
    """A failure that was counted but not told yet waits in the outbox."""
    async with Receiver(answer=lambda _: 500) as receiver:
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            await run.end(E, "1")
            run.pass_time(1)
        receiver.answer = lambda _: 200
        async with running(tmp_path, alertmanager(receiver.url)):
            await until(lambda: ids(receiver) == ["1"])


async def test_one_that_is_down_delays_no_other_and_misses_nothing(tmp_path: Path) -> None:
    """The other is told at once; this one gets everything when it is back."""
    async with (
        Receiver() as good,
        Receiver(answer=lambda _: 503) as bad,
        running(tmp_path, alertmanager(good.url), alertmanager(bad.url)) as run,
    ):
        await run.end(E, *map(str, range(150)))
        await until(lambda: len(set(ids(good))) == 150)
        stats = run.stats[f"alertmanager/{bad.target}"]
        await until(lambda: stats.errors >= 3 and stats.waiting == 150)
        assert stats.accepted == 0
        assert max(len(asked.json) for asked in good.taken) <= 64
        bad.answer = lambda _: 200
        await until(lambda: len(set(ids(bad))) == 150)
        assert len(ids(bad)) == 150


async def test_poison_is_set_aside() -> None:
    """Of a batch that is refused, the alert that is to blame is found; all others are taken."""

    def answer(asked: Asked) -> int:
        return 400 if any(alert["labels"]["task_id"] == "13" for alert in asked.json) else 200

    async with Receiver(answer=answer) as receiver, running(None, alertmanager(receiver.url)) as run:
        await run.end(E, *map(str, range(30)))
        await until(lambda: len(set(ids(receiver))) == 29)
        stats = run.stats[f"alertmanager/{receiver.target}"]
        await until(lambda: stats.waiting == 0)
        assert (stats.given_up, stats.errors) == (1, 0)
        asked = len(receiver.asked)
        await run.end(E, "more")
        await until(lambda: "more" in ids(receiver))
        assert len(receiver.asked) == asked + 1


async def test_it_is_over_when_its_task_leaves_the_board() -> None:
    """But not before it was told for ``keep_firing``; then its end is told for 15 minutes."""
    async with Receiver() as receiver, running(None, alertmanager(receiver.url)) as run:
        await run.end(E, "1")
        await until(lambda: accepted(run, "1"))
        await leave(run, "1")
        run.pass_time(15 * MINUTE)
        await wake(run)
        await until(lambda: len(told(receiver)) > 1 and is_resolved(told(receiver)[-1], run.clock.now()))
        first, last = told(receiver)[0], told(receiver)[-1]
        assert (first["labels"], first["startsAt"]) == (last["labels"], last["startsAt"])
        run.pass_time(15 * MINUTE)
        await wake(run)
        await until(lambda: not list(run.notifier.alerts()))


async def test_what_nobody_took_is_not_over() -> None:
    """Alertmanager is down for longer than the task is on the board: the page comes all the same."""
    async with Receiver(answer=lambda _: 500) as receiver, running(None, alertmanager(receiver.url)) as run:
        await run.end(E, "1")
        await until(lambda: receiver.asked)
        await leave(run, "1")
        run.pass_time(3 * 3600)
        await wake(run)
        receiver.answer = lambda _: 200
        await until(lambda: receiver.taken)
        assert not is_resolved(told(receiver)[0], run.clock.now())


async def test_it_is_over_when_its_operation_succeeds_again() -> None:
    """A later success of the same source and operation, not an earlier one and not of another."""
    async with Receiver() as receiver, running(None, alertmanager(receiver.url)) as run:
        await run.end(E, "1", finished_at=START)
        await run.end(S, "2", finished_at=START - timedelta(seconds=1))
        await run.end(S, "3", operation="export", finished_at=START + timedelta(seconds=1))
        await until(lambda: accepted(run, "1"))
        run.pass_time(16 * MINUTE)
        before = len(told(receiver))
        await run.end(E, "4")
        await until(lambda: len(told(receiver)) >= before + 2)
        assert not [alert for alert in told(receiver)[before:] if is_resolved(alert, run.clock.now())]
        await run.end(S, "5", finished_at=START + timedelta(seconds=1))
        run.pass_time(keeper.JUDGE_SECONDS)
        await wake(run)
        await until(lambda: is_resolved(told(receiver)[-1], run.clock.now()))
        assert told(receiver)[-1]["labels"]["task_id"] == "1"


async def test_whoever_has_seen_it_ends_it(tmp_path: Path) -> None:
    """Acknowledging resolves at once, and is remembered with who was first, also over a restart."""
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            await run.end(E, "1")
            await until(lambda: accepted(run, "1"))
            assert await run.notifier.acknowledge("epm", "2", by="", comment="") is None
            first = await run.notifier.acknowledge("epm", "1", by="ada", comment="on it")
            await until(lambda: is_resolved(told(receiver)[-1], run.clock.now()))
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            again = await run.notifier.acknowledge("epm", "1", by="bob", comment="me too")
        assert first == again
        assert first is not None
        assert (first.acknowledged_by, first.comment, first.acknowledged_at) == ("ada", "on it", START)


async def test_beside_the_rules_no_end_is_told() -> None:
    """With ``send_resolved: false`` an alert is just told no more; the rules tell when it is over."""
    settings = replace(SETTINGS, send_resolved=False)
    async with Receiver() as receiver, running(None, alertmanager(receiver.url), settings=settings) as run:
        await run.end(E, "1")
        await until(lambda: accepted(run, "1"))
        await run.notifier.acknowledge("epm", "1", by="ada", comment="")
        run.pass_time(2 * MINUTE)
        await run.end(E, "2")
        await until(lambda: "2" in ids(receiver))
        assert ids(receiver) == ["1", "2"]


@pytest.mark.parametrize("groups", [(("#0",), ("#1",)), (("#0", "#1"),)])
async def test_a_task_that_fails_again_pages_again(groups: tuple[tuple[str, ...], ...]) -> None:
    """A second run of an id is another alert, whether we hear of it later or at the same time."""
    async with Receiver() as receiver, running(None, alertmanager(receiver.url)) as run:
        for runs in groups:
            news = [transition(E, None, task_id="1", run=name) for name in runs]
            await run.ledger.record(Change(transitions=news))
            await until(lambda: receiver.taken)
        await until(lambda: len(told(receiver)) == 2)
        first, second = told(receiver)[0]["labels"], told(receiver)[1]["labels"]
        assert second == {**first, "run": "#1"}


async def test_the_log_comes_with_the_page() -> None:
    """Where the API keeps logs, the last lines are there."""

    async def fetch(task_id: str) -> str:
        return f"log of {task_id}\npassword=geheim1\n"

    origins = {"epm": replace(ORIGINS["epm"], fetch_log=fetch)}
    async with Receiver() as receiver, running(None, alertmanager(receiver.url), origins=origins) as run:
        await run.end(E, "1")
        await until(lambda: receiver.taken)
        assert told(receiver)[0]["annotations"]["log"] == "log of 1\npassword=***"


async def test_a_page_does_not_wait_for_a_slow_log() -> None:
    """Of two tasks one has its log in time, and the other pages without."""
    settings = replace(SETTINGS, log_wait=timedelta(seconds=0.1))

    async def fetch(task_id: str) -> str:
        if task_id == "slow":
            await asyncio.Event().wait()
        return "log"

    origins = {"epm": replace(ORIGINS["epm"], fetch_log=fetch)}
    async with (
        Receiver() as receiver,
        running(None, alertmanager(receiver.url), settings=settings, origins=origins) as run,
    ):
        await run.end(E, "slow", "quick")
        await until(lambda: len(told(receiver)) == 2)
        logs = {alert["labels"]["task_id"]: alert["annotations"].get("log") for alert in told(receiver)}
        assert logs == {"slow": None, "quick": "log"}


async def test_a_page_that_is_late_waits_for_no_log() -> None:
    """After an outage of our own there is a queue, and logs would hold it up."""
    asked = []

    async def fetch(task_id: str) -> str:
        asked.append(task_id)
        return "log"

    origins = {"epm": replace(ORIGINS["epm"], fetch_log=fetch)}
    clock = FakeClock(START + timedelta(seconds=10))
    async with (
        Receiver() as receiver,
        running(None, alertmanager(receiver.url), origins=origins, clock=clock) as run,
    ):
        await run.end(E, "1")
        await until(lambda: receiver.taken)
    assert asked == []


@pytest.mark.parametrize("error", [None, ServerFailed("HTTP 500"), ZeroDivisionError()])
async def test_a_log_that_cannot_be_had_costs_no_page(error: Exception | None) -> None:
    """No log yet, an API that fails, a bug in its module: the page goes out without."""

    async def fetch(task_id: str) -> str:
        if error is None:
            return await no_log(task_id)
        raise error

    origins = {"epm": replace(ORIGINS["epm"], fetch_log=fetch)}
    stream = io.StringIO()
    with logging_to(stream, "info"):
        async with Receiver() as receiver, running(None, alertmanager(receiver.url), origins=origins) as run:
            await run.end(E, "1")
            await until(lambda: receiver.taken)
    assert "log" not in told(receiver)[0]["annotations"]
    assert ("ZeroDivisionError" in stream.getvalue()) == isinstance(error, ZeroDivisionError)


async def test_a_source_that_is_not_configured_any_more_pages_nobody(tmp_path: Path) -> None:
    """Its alerts are over, and what waits is left out."""
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            await run.end(E, "1")
            await until(lambda: accepted(run, "1"))
        async with running(tmp_path, alertmanager(receiver.url), origins={}) as run:
            await run.end(E, "2")
            await until(lambda: is_resolved(told(receiver)[-1], START))
            await until(lambda: query(tmp_path, "SELECT count(*) FROM outbox") == [(0,)])
        assert set(ids(receiver)) == {"1"}


async def test_without_alertmanagers_nothing_is_kept(tmp_path: Path) -> None:
    """Whoever takes them out of the configuration begins anew."""
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            await run.end(E, "1")
            await until(lambda: accepted(run, "1"))
        async with running(tmp_path):
            assert query(tmp_path, "SELECT count(*) FROM alerts") == [(0,)]


async def test_alerts_beyond_the_limit_are_dropped_and_counted() -> None:
    """An Alertmanager that is gone for good costs no more than the limit; the newest are kept."""
    settings = replace(SETTINGS, limit=10)
    async with (
        Receiver(answer=lambda _: 500) as receiver,
        running(None, alertmanager(receiver.url), settings=settings) as run,
    ):
        await run.end(E, *map(str, range(25)))
        stats = run.stats[f"alertmanager/{receiver.target}"]
        await until(lambda: stats.given_up == 15)
        assert len(list(run.notifier.alerts())) == 10


async def test_a_clock_that_was_set_back_refuses_nothing() -> None:
    """An end before the start would be refused by Alertmanager."""
    clock = FakeClock(START - timedelta(days=1))
    async with Receiver() as receiver, running(None, alertmanager(receiver.url), clock=clock) as run:
        await run.end(E, "1")
        await until(lambda: accepted(run, "1"))
        await run.notifier.acknowledge("epm", "1", by="", comment="")
        await until(lambda: len(receiver.taken) == 2)
    assert all(alert["endsAt"] >= alert["startsAt"] for alert in told(receiver))
