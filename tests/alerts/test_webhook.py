"""Webhooks hear of every end that they asked for: in order, at least once, whatever happens."""

import asyncio
import hashlib
import hmac
import io
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.alerts.settings import AlertSettings, WebhookSettings
from exporter.http import Authorization
from exporter.model import Status
from exporter.secret import Secret
from tests.alerts.given import QUICK, Asked, Receiver, Running, logging_to, running, until, webhook
from tests.store.given import query

E, S, T, W = Status.ERROR, Status.SUCCESS, Status.TIMED_OUT, Status.WARNING
NAME = "webhook/events"


async def test_failures_arrive_in_order(tmp_path: Path) -> None:
    """By default those that page, each once, oldest first; then nothing waits and nothing is kept."""
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url)) as run:
        for number in range(60):
            await run.end(E if number % 2 else S, str(number))
        await run.end(T, "last")
        await until(lambda: "last" in receiver.subjects())
        assert receiver.subjects() == [str(number) for number in range(1, 60, 2)] + ["last"]
        assert receiver.taken[0].headers["Content-Type"].startswith("application/cloudevents+json")
        await until(lambda: run.stats[NAME].waiting == 0)
        assert (run.stats[NAME].accepted, run.stats[NAME].errors, run.stats[NAME].given_up) == (31, 0, 0)
    assert query(tmp_path, "SELECT count(*) FROM outbox") == [(0,)]


async def test_it_hears_of_what_it_asked_for(tmp_path: Path) -> None:
    """Ends that nobody asked for are passed over, and hold up nothing."""
    on = frozenset({S, W})
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url, on=on)) as run:
        for number, status in enumerate((E, S, T, W, Status.CANCELLED, S)):
            await run.end(status, str(number))
        await until(lambda: len(receiver.taken) == 3)
        assert receiver.subjects() == ["1", "3", "5"]
        assert receiver.taken[1].json["type"] == "asynctask.task.warning"


async def test_the_signature_is_the_hmac_of_the_body(tmp_path: Path) -> None:
    """Reckoned here by the definition of RFC 2104, over the bytes that came."""
    async with (
        Receiver() as receiver,
        running(tmp_path, webhook(receiver.url, secret=Secret("geheim1"))) as run,
    ):
        await run.end(E, "1")
        await until(lambda: receiver.taken)
    key = b"geheim1".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + receiver.taken[0].body).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).hexdigest()
    assert receiver.taken[0].headers["X-Hub-Signature-256"] == f"sha256={outer}"


async def test_without_a_secret_nothing_is_signed(tmp_path: Path) -> None:
    """An empty key would be a signature that anybody can make."""
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url)) as run:
        await run.end(E, "1")
        await until(lambda: receiver.taken)
    assert "X-Hub-Signature-256" not in receiver.taken[0].headers


async def test_a_secret_in_a_file_can_be_replaced(tmp_path: Path) -> None:
    """The file is read at each use; while it is gone, what is to be signed waits."""
    file = tmp_path / "secret"
    async with Receiver() as receiver, running(tmp_path, webhook(receiver.url, secret_file=file)) as run:
        await run.end(E, "1")
        await until(lambda: run.stats[NAME].errors)
        for number, secret in enumerate(("geheim1", "geheim2"), 1):
            file.write_text(f"{secret}\n")
            await run.end(E, str(number))
            await _taken(receiver, number)
            expected = hmac.digest(secret.encode(), receiver.taken[-1].body, "sha256").hex()
            assert receiver.taken[-1].headers["X-Hub-Signature-256"] == f"sha256={expected}"


@pytest.mark.parametrize("status", [500, 503, 401, 403, 404, 408, 429, 302])
async def test_what_fails_now_is_told_later(tmp_path: Path, status: int) -> None:
    """A receiver in trouble, or behind a wrong address, loses nothing: same events, same ids, same order."""
    async with Receiver(answer=lambda _: status) as receiver, running(tmp_path, webhook(receiver.url)) as run:
        await run.end(E, "1", "2")
        await until(lambda: run.stats[NAME].errors >= 3)
        assert {asked.json["subject"] for asked in receiver.asked} == {"1"}
        assert len({asked.body for asked in receiver.asked}) == 1
        receiver.answer = lambda _: 204
        await until(lambda: receiver.subjects() == ["1", "2"])
        assert run.stats[NAME].given_up == 0


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_poison_is_set_aside(tmp_path: Path, status: int) -> None:
    """A message that the receiver will never take is counted, and the rest goes on."""

    def answer(asked: Asked) -> int:
        return status if asked.json["subject"] == "2" else 200

    async with Receiver(answer=answer) as receiver, running(tmp_path, webhook(receiver.url)) as run:
        await run.end(E, "1", "2", "3")
        await _delivered(run, NAME, 2)
        assert receiver.subjects() == ["1", "3"]
        assert (run.stats[NAME].accepted, run.stats[NAME].given_up, run.stats[NAME].errors) == (2, 1, 0)
        assert sum(asked.json["subject"] == "2" for asked in receiver.asked) == 1


async def test_one_bad_receiver_delays_no_other(tmp_path: Path) -> None:
    """Each receiver has its own place in the outbox, and its own pace."""
    silent = asyncio.Event()

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    hanging = await asyncio.start_server(never, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with Receiver() as good, Receiver(answer=lambda _: 500) as bad:
        receivers = (
            webhook(good.url, "webhook/good"),
            webhook(bad.url, "webhook/bad"),
            webhook(f"http://127.0.0.1:{port}", "webhook/hanging"),
            webhook("http://127.0.0.1:1", "webhook/closed"),
        )
        async with running(tmp_path, *receivers) as run:
            await run.end(E, "1")
            await until(lambda: run.stats["webhook/bad"].errors and run.stats["webhook/closed"].errors)
            await run.end(E, *(str(number) for number in range(2, 50)))
            await until(lambda: len(good.taken) == 49)
            assert run.stats["webhook/hanging"].accepted == 0
            bad.answer = lambda _: 200
            await until(lambda: bad.subjects() == good.subjects())
    silent.set()
    hanging.close()


async def test_a_restart_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """What was taken before stays told; what was not is told by the next process, with the same id."""
    async with Receiver() as receiver:
        settings = webhook(receiver.url)
        async with running(tmp_path, settings) as run:
            await run.end(E, "1", "2")
            await _delivered(run, NAME, 2)
            receiver.answer = lambda _: 500
            await run.end(E, "3")
            await until(lambda: run.stats[NAME].errors)
        refused = receiver.asked[-1].body
        receiver.answer = lambda _: 200
        async with running(tmp_path, settings) as run:
            await run.end(E, "4")
            await until(lambda: receiver.subjects() == ["1", "2", "3", "4"])
        assert receiver.taken[2].body == refused


async def test_stopping_in_the_middle_repeats_nothing(tmp_path: Path) -> None:
    """A stop between two events of a batch notes how far it came."""
    reached = asyncio.Event()

    def answer(asked: Asked) -> int:
        if asked.json["subject"] == "3":
            reached.set()
            return 500
        return 200

    async with Receiver(answer=answer) as receiver:
        settings = replace(webhook(receiver.url), backoff=(60.0, 60.0))
        async with running(tmp_path, settings) as run:
            await run.end(E, "1", "2", "3", "4")
            await reached.wait()
        receiver.answer = lambda _: 200
        async with running(tmp_path, settings):
            await until(lambda: receiver.subjects() == ["1", "2", "3", "4"])


async def test_a_new_receiver_begins_now(tmp_path: Path) -> None:
    """Whoever is named for the first time is not told of last week, and one that comes back neither."""
    async with Receiver() as old, Receiver() as new:
        settings = (webhook(old.url, "webhook/old"), webhook(new.url, "webhook/new"))
        old.answer = lambda _: 500
        async with running(tmp_path, settings[0]) as run:
            await run.end(E, "1")
        async with running(tmp_path, *settings) as run:
            await run.end(E, "2")
            await _delivered(run, "webhook/new", 1)
        async with running(tmp_path, settings[1]) as run:
            await run.end(E, "3")
            await _delivered(run, "webhook/new", 1)
            assert new.subjects() == ["2", "3"]
        assert query(tmp_path, "SELECT receiver FROM receivers") == [("webhook/new",)]
        old.answer = lambda _: 200
        async with running(tmp_path, *settings) as run:
            await run.end(E, "4")
            await until(lambda: new.subjects()[2:] == old.subjects() == ["4"])


async def test_the_oldest_are_dropped_beyond_the_limit(tmp_path: Path) -> None:
    """A receiver that is gone for good costs no more than the limit; what it misses is counted."""
    settings = AlertSettings(limit=10)
    async with Receiver(answer=lambda _: 500) as receiver:
        async with running(tmp_path, webhook(receiver.url), settings=settings) as run:
            await run.end(E, *(str(number) for number in range(30)))
            await run.end(S, "x", "y")
            await until(lambda: run.stats[NAME].errors)
        async with running(tmp_path, webhook(receiver.url), settings=settings) as run:
            await until(lambda: run.stats[NAME].given_up == 20)
            assert run.stats[NAME].waiting == 10
            receiver.answer = lambda _: 200
            await until(lambda: receiver.subjects()[-1:] == ["29"])
            assert receiver.subjects() == [str(number) for number in range(20, 30)]


async def test_what_a_receiver_does_not_ask_for_pushes_out_nothing(tmp_path: Path) -> None:
    """A failure waits for a receiver that is down, however many tasks succeed meanwhile."""
    settings = AlertSettings(limit=10)
    everything = frozenset(Status)
    async with Receiver(answer=lambda _: 500) as receiver, Receiver(answer=lambda _: 500) as other:
        hooks = webhook(receiver.url), webhook(other.url, "webhook/other", on=everything)
        async with running(tmp_path, *hooks, settings=settings) as run:
            await run.end(E, "failed")
            await run.end(S, *(str(number) for number in range(30)))
            await until(lambda: run.stats[NAME].errors)
        async with running(tmp_path, *hooks, settings=settings) as run:
            await until(lambda: run.stats["webhook/other"].given_up == 21)
            assert (run.stats[NAME].given_up, run.stats[NAME].waiting) == (0, 1)
            receiver.answer = lambda _: 200
            await until(receiver.subjects)
            assert receiver.subjects() == ["failed"]


async def test_after_everything_was_deleted_numbers_go_on(tmp_path: Path) -> None:
    """An empty outbox does not count from one again, below the places of its receivers."""
    async with Receiver() as receiver:
        for number in range(5):
            async with running(tmp_path, webhook(receiver.url)) as run:
                await run.end(E, str(number))
                await _delivered(run, NAME, 1)
    assert receiver.subjects() == ["0", "1", "2", "3", "4"]


async def test_news_that_cannot_be_read_holds_up_nothing(tmp_path: Path) -> None:
    """Somebody has changed the database by hand; the rest is told."""
    async with Receiver(answer=lambda _: 500) as receiver:
        async with running(tmp_path, webhook(receiver.url)) as run:
            await run.end(E, "1", "2", "3")
            await run.ledger.transact(
                lambda connection: connection.exec_driver_sql("UPDATE outbox SET payload = '{}' WHERE id = 2")
            )
        receiver.answer = lambda _: 200
        async with running(tmp_path, webhook(receiver.url)) as run:
            await until(lambda: receiver.subjects() == ["1", "3"] and run.stats[NAME].waiting == 0)


async def test_a_full_disk_stops_nobody_for_good(tmp_path: Path) -> None:
    """While the database cannot be read, attempts fail and are repeated."""
    async with Receiver(lambda _: 503) as receiver, running(tmp_path, webhook(receiver.url)) as run:
        await run.end(E, "1")
        await until(lambda: receiver.asked)
        await run.ledger.transact(
            lambda connection: connection.exec_driver_sql("ALTER TABLE receivers RENAME TO gone")
        )
        asked, errors = len(receiver.asked), run.stats[NAME].errors
        await until(lambda: run.stats[NAME].errors > errors + 2)
        assert len(receiver.asked) <= asked + 1
        receiver.answer = lambda _: 200
        await run.ledger.transact(
            lambda connection: connection.exec_driver_sql("ALTER TABLE gone RENAME TO receivers")
        )
        await until(lambda: receiver.subjects() == ["1"])


@pytest.mark.parametrize("status", [400, 500])
async def test_no_secret_is_told(tmp_path: Path, status: int) -> None:
    """Not the path of the URL, not a token, not what the receiver answers: in no log line, repr or error."""
    stream = io.StringIO()
    with logging_to(stream, "debug"):
        async with Receiver(answer=lambda _: status) as receiver:
            plain = webhook(f"{receiver.url}/services/geheim1?token=geheim2", secret=Secret("geheim3"))
            http = replace(plain.http, authorization=Authorization(credentials=Secret("geheim4")))
            down = WebhookSettings(
                name="webhook/down", http=replace(http, url="http://127.0.0.1:1/geheim5"), backoff=QUICK
            )
            settings = replace(plain, http=http)
            async with running(tmp_path, settings, down) as run:
                await run.end(E, "1")
                await until(lambda: run.stats[NAME].errors + run.stats[NAME].given_up)
                await until(lambda: run.stats["webhook/down"].errors)
            assert receiver.asked[0].path == "/services/geheim1"
            assert receiver.asked[0].headers["Authorization"] == "Bearer geheim4"
            assert "geheim" not in repr(settings)
    assert f"HTTP {status}" in stream.getvalue()
    assert "geheim" not in stream.getvalue()


async def test_a_trouble_is_logged_once(tmp_path: Path) -> None:
    """A receiver that is down for an hour fills no disk; its return is told as well."""
    stream = io.StringIO()
    with logging_to(stream, "info"):
        async with (
            Receiver(answer=lambda _: 500) as receiver,
            running(tmp_path, webhook(receiver.url)) as run,
        ):
            await run.end(E, "1")
            await until(lambda: run.stats[NAME].errors >= 5)
            receiver.answer = lambda _: 200
            await until(lambda: "delivered again" in stream.getvalue())
    assert stream.getvalue().count("cannot be delivered") == 1


async def _delivered(run: Running, name: str, number: int) -> None:
    """Wait until the notifier knows that so many were taken; a stop before that tells them again."""
    await until(lambda: run.stats[name].accepted == number)


async def _taken(receiver: Receiver, number: int) -> None:
    await until(lambda: len(receiver.taken) == number)
