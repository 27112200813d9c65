"""The outbox: what waits for whom."""

from functools import partial

from exporter.model import Status
from exporter.store import outbox
from exporter.store.ledger import Change, Ledger
from tests.store.given import opened, transition

E, S = Status.ERROR, Status.SUCCESS


async def end(ledger: Ledger, *ids: str, status: Status = E) -> None:
    """Let tasks end."""
    await ledger.record(Change(transitions=[transition(status, None, task_id=one) for one in ids]))


async def read(ledger: Ledger, receiver: str, *statuses: Status, limit: int = 10) -> outbox.Batch:
    """What a receiver is to be told next."""
    return await ledger.transact(
        partial(outbox.read, receiver=receiver, statuses=statuses or (E,), limit=limit)
    )


def ids(batch: outbox.Batch) -> list[str]:
    """The tasks in a batch."""
    return [news.transition.task.id for news in batch.news]


async def advance(ledger: Ledger, receiver: str, position: int) -> None:
    """Note how far a receiver was told."""
    await ledger.transact(partial(outbox.advance, receiver=receiver, position=position))


async def rows(ledger: Ledger) -> int:
    """How much is in the outbox."""
    return await ledger.transact(lambda c: int(c.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one()))


async def test_a_batch_has_an_end_and_the_rest_waits() -> None:
    """Batches are oldest first, and tell how much there is in all."""
    async with opened(None) as ledger:
        await ledger.transact(partial(outbox.admit, names=["a"]))
        await end(ledger, "1", "2", "3")
        first = await read(ledger, "a", limit=2)
        assert (ids(first), first.waiting) == (["1", "2"], 3)
        await advance(ledger, "a", first.end)
        assert ids(await read(ledger, "a", limit=2)) == ["3"]


async def test_what_nobody_wants_is_passed_over() -> None:
    """An end of another status moves the position, and is deleted."""
    async with opened(None) as ledger:
        await ledger.transact(partial(outbox.admit, names=["a"]))
        await end(ledger, "1", status=S)
        batch = await read(ledger, "a")
        assert (ids(batch), batch.end > batch.begin) == ([], True)
        await advance(ledger, "a", batch.end)
        assert await rows(ledger) == 0


async def test_it_is_deleted_when_all_are_past_it() -> None:
    """The slowest receiver decides; a position never goes back."""
    async with opened(None) as ledger:
        await ledger.transact(partial(outbox.admit, names=["a", "b"]))
        await end(ledger, "1", "2")
        batch = await read(ledger, "a")
        await advance(ledger, "a", batch.end)
        assert await rows(ledger) == 2
        await advance(ledger, "b", batch.news[0].position)
        assert await rows(ledger) == 1
        await advance(ledger, "a", batch.news[0].position)
        assert ids(await read(ledger, "a")) == []
        await advance(ledger, "b", batch.end)
        assert await rows(ledger) == 0


async def test_trimming_counts_what_is_missed_by_each() -> None:
    """What a receiver did not want, it does not miss, and it takes no room."""
    async with opened(None) as ledger:
        await ledger.transact(partial(outbox.admit, names=["failed", "all"]))
        await end(ledger, "1", "2")
        await end(ledger, "3", "4", status=S)
        await end(ledger, "5")
        wanted = {"failed": [E], "all": [E, S]}
        trim = partial(outbox.trim, wanted=wanted, limit=2)
        assert await ledger.transact(trim) == {"failed": (1, 2), "all": (3, 2)}
        assert await ledger.transact(trim) == {"failed": (0, 2), "all": (0, 2)}
        assert ids(await read(ledger, "all", E, S)) == ["4", "5"]
        assert ids(await read(ledger, "failed", E)) == ["2", "5"]
        assert await rows(ledger) == 3


async def test_with_nobody_to_tell_nothing_is_kept() -> None:
    """Whoever takes all receivers out of the configuration leaves nothing behind."""
    async with opened(None) as ledger:
        await ledger.transact(partial(outbox.admit, names=["a"]))
        await end(ledger, "1")
        await ledger.transact(partial(outbox.admit, names=[]))
        assert await rows(ledger) == 0


async def test_listeners_hear_of_news_after_the_commit() -> None:
    """And not of commits that tell of no task."""
    async with opened(None) as ledger:
        heard: list[int] = []
        ledger.on_news(lambda: heard.append(1))
        await ledger.record(Change(lost=[("epm", "not_found")]))
        assert heard == []
        await end(ledger, "1")
        assert heard == [1]
