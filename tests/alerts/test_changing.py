"""Receivers come, change and go: nothing that waits is lost or told twice, and the others notice nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from structlog.testing import capture_logs

from exporter.alerts.settings import AlertmanagerSettings, AlertSettings, WebhookSettings
from exporter.model import Status
from exporter.store.ledger import Ledger
from tests.alerts.given import ORIGINS, QUICK, Receiver, Running, alertmanager, running, told, until, webhook

T = TypeVar("T")
E, S = Status.ERROR, Status.SUCCESS
NAME = "webhook/events"
NOWHERE = "http://127.0.0.1:1"


class Dawdler:
    """A ledger on a slow disk: it has stored what it was given, and does not say so while it is held up."""

    def __init__(self, ledger: Ledger) -> None:
        self.totals, self.on_news = ledger.totals, ledger.on_news
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.held_up = 0
        self._ledger = ledger

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do the work, and answer when there is time."""
        done = await self._ledger.transact(work)
        self.held_up += not self.go_on.is_set()
        await self.go_on.wait()
        return done


async def change(
    run: Running, *receivers: WebhookSettings | AlertmanagerSettings, settings: AlertSettings | None = None
) -> None:
    """Tell these from now on."""
    await run.notifier.change(run.notifier.prepare(told(*receivers, settings=settings)))


@asynccontextmanager
async def slow(receiver: Receiver) -> AsyncIterator[asyncio.Event]:
    """A receiver that takes requests, and answers none until the event is set."""
    go_on = asyncio.Event()
    receiver.before_answer = go_on.wait
    yield go_on
    go_on.set()


async def test_who_is_configured_as_before_notices_nothing(tmp_path: Path) -> None:
    """Even the request under way goes on, and is not made again."""
    async with Receiver() as receiver, Receiver() as other, slow(receiver) as go_on:
        async with running(tmp_path, webhook(receiver.url)) as run:
            await run.end(E, "1")
            await until(lambda: receiver.asked)
            await change(run, webhook(receiver.url), webhook(other.url, "webhook/other"))
            await run.end(E, "2")
            await until(lambda: other.subjects() == ["2"])
            assert (len(receiver.asked), receiver.taken) == (1, [])
            go_on.set()
            await until(lambda: receiver.subjects() == ["1", "2"])
        assert len(receiver.asked) == 2


async def test_what_waits_goes_to_the_new_address(tmp_path: Path) -> None:
    """In order, once, from where the receiver of this name was; its counters go on."""
    async with Receiver() as receiver, running(tmp_path, webhook(NOWHERE)) as run:
        await run.end(E, "1", "2", "3")
        await until(lambda: run.stats[NAME].errors)
        await change(run, webhook(receiver.url))
        await until(lambda: receiver.subjects() == ["1", "2", "3"])
        await until(lambda: run.stats[NAME].waiting == 0)
        assert (run.stats[NAME].accepted, run.stats[NAME].errors > 0) == (3, True)


async def test_the_answer_to_what_was_sent_is_waited_for(tmp_path: Path) -> None:
    """What the old address has taken is not told to the new one, but what comes after it is."""
    async with Receiver() as old, Receiver() as new, slow(old) as go_on:
        async with running(tmp_path, webhook(old.url)) as run:
            await run.end(E, "1", "2", "3")
            await until(lambda: old.asked)
            changing = asyncio.create_task(change(run, webhook(new.url)))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not changing.done()
            go_on.set()
            await changing
            await until(lambda: new.subjects() == ["2", "3"])
        assert old.subjects() == ["1"]


async def test_who_hangs_is_not_waited_for_long(tmp_path: Path) -> None:
    """After two seconds the request is given up, and what it told is told to the new address."""
    async with (
        Receiver() as old,
        Receiver() as new,
        slow(old),
        running(tmp_path, webhook(old.url)) as run,
    ):
        await run.end(E, "1")
        await until(lambda: old.asked)
        await change(run, webhook(new.url))
        await until(lambda: new.subjects() == ["1"])


async def test_what_waits_for_who_is_told_no_more_is_dropped_and_told(tmp_path: Path) -> None:
    """The log says how much that was, of the ends that it had asked for; who returns is told from then on."""
    async with Receiver() as receiver, running(tmp_path, webhook(NOWHERE)) as run:
        await run.end(E, "1", "2")
        await run.end(S, "3")
        await until(lambda: run.stats[NAME].errors)
        with capture_logs() as logs:
            await change(run)
        assert [(log["receiver"], log["dropped"]) for log in logs if "no more" in log["event"]] == [(NAME, 2)]
        await run.end(E, "4")
        await change(run, webhook(receiver.url))
        await run.end(E, "5")
        await until(lambda: receiver.subjects() == ["5"])


async def test_alerts_keep_their_labels_and_their_start(tmp_path: Path) -> None:
    """What fires is told to the Alertmanager that takes another's place as it was told to that one."""
    async with Receiver() as old, Receiver() as new, running(tmp_path, alertmanager(old.url)) as run:
        await run.end(E, "1")
        await until(lambda: old.taken)
        relabelled = AlertSettings(backoff=QUICK, labels={"cluster": "west"})
        await change(run, alertmanager(new.url), settings=relabelled)
        await until(lambda: new.taken)
        (first,), (again,) = old.taken[0].json, new.taken[0].json
        assert (again["labels"], again["startsAt"]) == (first["labels"], first["startsAt"])
        await run.end(E, "2")
        await until(lambda: len(new.taken) > 1)
        assert new.taken[1].json[0]["labels"]["cluster"] == "west"
        assert len(old.taken) == 1


async def test_an_alert_that_is_being_stored_while_its_keeper_is_replaced_is_told(tmp_path: Path) -> None:
    """A slow disk is not waited for: the alert is in the database by then, and its news is read no more."""
    between: list[Dawdler] = []

    def slowly(ledger: Ledger) -> Dawdler:
        between.append(Dawdler(ledger))
        return between[0]

    async def log(_: str) -> str:
        """Be asked for a log, which is between reading the news and storing the alert."""
        between[0].go_on.clear()
        return "all is lost"

    origins = {"epm": replace(ORIGINS["epm"], fetch_log=log)}
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(receiver.url), origins=origins, through=slowly) as run:
            await run.end(E, "1")
            await until(lambda: between[0].held_up)
            relabelled = AlertSettings(backoff=QUICK, labels={"cluster": "west"})
            changing = asyncio.create_task(change(run, alertmanager(receiver.url), settings=relabelled))
            await until(lambda: between[0].held_up > 1)  # Two seconds later: the keeper was given up.
            between[0].go_on.set()
            await changing
            await until(lambda: receiver.taken)
        assert [alert["labels"]["task_id"] for asked in receiver.taken for alert in asked.json] == ["1"]


async def test_a_further_alertmanager_disturbs_no_other(tmp_path: Path) -> None:
    """It is told of what fires; the one before is not told again, and each is told what comes."""
    async with Receiver() as one, Receiver() as other, running(tmp_path, alertmanager(one.url)) as run:
        await run.end(E, "1")
        await until(lambda: one.taken)
        await change(run, alertmanager(one.url), alertmanager(other.url))
        await until(lambda: other.taken)
        await run.end(E, "2")
        await until(lambda: len(one.taken) == len(other.taken) == 2)
        subjects = [[a["labels"]["task_id"] for asked in r.taken for a in asked.json] for r in (one, other)]
        assert subjects == [["1", "2"], ["1", "2"]]


async def test_without_an_alertmanager_there_are_no_alerts(tmp_path: Path) -> None:
    """Those that nobody was told are told as dropped; they do not come back with the next one."""
    async with Receiver() as receiver:
        async with running(tmp_path, alertmanager(NOWHERE)) as run:
            await run.end(E, "1")
            await until(lambda: list(run.notifier.alerts()))
            with capture_logs() as logs:
                await change(run)
            dropped = {log["receiver"]: log["dropped"] for log in logs if "no more" in log["event"]}
            assert dropped["alertmanager"] == 1
            assert list(run.notifier.alerts()) == []
            await change(run, alertmanager(receiver.url))
            await run.end(E, "2")
            await until(lambda: receiver.taken)
        async with running(tmp_path, alertmanager(receiver.url)) as run:
            assert {alert.task_id for alert in run.notifier.alerts()} == {"2"}


async def test_what_it_wants_to_hear_may_change(tmp_path: Path) -> None:
    """From then on; what it has passed over does not come back."""
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url)) as run:
        await run.end(S, "1")
        await run.end(E, "2")
        await until(lambda: receiver.subjects() == ["2"])
        await change(run, replace(webhook(receiver.url), on=frozenset({S})))
        await run.end(E, "3")
        await run.end(S, "4")
        await until(lambda: receiver.subjects() == ["2", "4"])


async def test_a_change_at_every_moment_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Two hundred ends while the receiver is replaced again and again: each is told once, in order."""
    ids = [str(number) for number in range(200)]
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url)) as run:

        async def end_all() -> None:
            for one in ids:
                await run.end(E, one)

        ending = asyncio.create_task(end_all())
        await until(lambda: receiver.taken)
        number = 0
        while not ending.done():
            number += 1
            await change(run, webhook(receiver.url, external_url=f"http://localhost:{number}"))
        await until(lambda: len(receiver.subjects()) >= len(ids))
        assert number > 3
        assert receiver.subjects() == ids
