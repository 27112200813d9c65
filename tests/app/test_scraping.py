"""What a Prometheus is shown that asks for some metrics only, with ``?name[]=``, and what is noted of it."""

from pathlib import Path

from exporter.app.scraping import Scraping
from exporter.app.sources import Sources
from exporter.metrics.births import Caller
from exporter.metrics.tasks import TASK_STATUS
from exporter.model import Status
from exporter.store.ledger import Change, Ledger
from exporter.store.totals import FINISHED
from exporter.web.views import ScrapeRequest
from tests.app.conftest import configured, source
from tests.store.given import FakeClock, full_disk, settings, transition, until_failed


class Wire:
    """A connection."""

    def __init__(self) -> None:
        self.closed = False

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed


class World:
    """One source, its ledger, and a Prometheus that opens a connection for each scrape."""

    def __init__(self, path: Path | None = None, room: int = 1000) -> None:
        clock = FakeClock()
        self.ledger = Ledger.open(settings(path, room=room), clock)
        self.sources = Sources(configured(source("a")), self.ledger, clock)
        self.scraping = Scraping(self.ledger, clock)

    async def fail(self, operation: str) -> None:
        """Let a task of a new operation fail."""
        failed = transition(Status.ERROR, task_id=operation, source="a", operation=operation)
        await self.ledger.record(Change(transitions=[failed]))

    async def failures(self, operation: str, *names: str) -> str:
        """What a scrape is shown of the failures of an operation; what follows from it is stored."""
        wire = Wire()
        caller = Caller(connection=wire, address="10.0.0.1", user_agent="Prometheus/3", timeout="10")
        exposition = await self.scraping.scrape(
            ScrapeRequest(caller=caller, accept="", names=names), list(self.sources.values())
        )
        exposition.delivered()
        wire.closed = True
        if not self.ledger.errors:
            await self.ledger.record(Change())
        wanted = f'{FINISHED}{{operation="{operation}",source="a",status="error"}} '
        lines = b"".join(exposition.pieces).decode().splitlines()
        return "".join(line.removeprefix(wanted) for line in lines if line.startswith(wanted))


async def test_whoever_asks_for_some_metrics_only_is_shown_their_counts() -> None:
    """First the zero and then the count, as anybody else, though nobody asks for all metrics."""
    world = World()
    await world.ledger.start()
    await world.fail("import")
    assert await world.failures("import", FINISHED) == "0.0"
    assert await world.failures("import", FINISHED) == "1.0"
    await world.ledger.close()


async def test_the_zeros_of_some_metrics_are_not_taken_for_those_of_all() -> None:
    """Two jobs of one Prometheus with other names are two, whatever else they have in common."""
    world = World()
    await world.ledger.start()
    await world.failures("")
    await world.fail("import")
    assert await world.failures("import", TASK_STATUS) == ""
    assert await world.failures("import") == "0.0"
    assert await world.failures("import") == "1.0"
    await world.ledger.close()


async def test_scrapes_do_not_fill_the_memory_while_nothing_can_be_stored(tmp_path: Path) -> None:
    """Beyond the room that there is, what is noted of a scrape is left to the one after it."""
    world = World(tmp_path, room=20)
    await world.ledger.start()
    await world.fail("import")
    assert await world.failures("import") == "0.0"
    with full_disk():
        world.ledger.record(Change(transitions=[transition(Status.SUCCESS, task_id="2", source="a")]))
        await until_failed(world.ledger)
        for _ in range(100):
            await world.failures("import")
        assert world.ledger.pending < 20
    await world.ledger.record(Change())
    assert await world.failures("import") == "1.0"
    await world.ledger.close()
