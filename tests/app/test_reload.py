"""Reloading: one time after the other, by whoever asks; nobody's registration is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from exporter.app import App, Flags
from exporter.app.reload import Reloader
from exporter.clock import SystemClock
from exporter.config import Config, ConfigFile
from exporter.errors import ConfigError, StorageError
from exporter.metrics.own import ExporterStats
from exporter.model import Status, WatchedId
from exporter.web.server import Address
from exporter.web.views import UnknownSource
from tests.app.conftest import Source, source, text
from tests.app.fake_api import System
from tests.campaigns.process import scrape
from tests.real.waiting import until
from tests.store.given import full_disk

Systems = dict[str, System]


class Used:
    """Remembers what was taken into use, and may refuse or take its time."""

    def __init__(self) -> None:
        self.configurations: list[Config] = []
        self.error: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, configuration: Config) -> None:
        """Take it into use."""
        self.configurations.append(configuration)
        await self.free.wait()
        if self.error is not None:
            raise self.error


class Looks:
    """Lets the file be looked at when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._turn = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        """Wait for the next turn."""
        self.asked.append(seconds)
        await self._turn.acquire()

    async def look(self) -> None:
        """Let it look once, and wait until it waits again."""
        before = len(self.asked)
        self._turn.release()
        await holds(lambda: len(self.asked) > before)


async def holds(condition: Callable[[], bool]) -> None:
    """Wait until it does."""

    async def check() -> bool:
        return condition()

    await until("it holds", check)


@asynccontextmanager
async def reloading(
    path: Path, used: Used, looks: Looks | None = None
) -> AsyncIterator[tuple[Reloader, ExporterStats]]:
    """A reloader of a file that has been loaded once; with *looks* it also follows the file."""
    path.write_text(text(source("a")))
    file, numbers, looks = ConfigFile(path), ExporterStats(), looks or Looks()
    file.load()
    reloader = Reloader(file, used, numbers, SystemClock(), sleep=looks.sleep)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reloader.run()), group.create_task(reloader.follow(30.0))]
        await holds(lambda: looks.asked == [30.0])
        yield reloader, numbers
        for task in tasks:
            task.cancel()


async def test_who_asks_while_one_waits_is_answered_by_that_one(tmp_path: Path) -> None:
    """A hundred who ask during a reload cause one more, which begins after they asked."""
    used = Used()
    async with reloading(tmp_path / "config.yaml", used) as (reloader, numbers):
        used.free.clear()
        first = reloader.ask()
        await holds(lambda: len(used.configurations) == 1)
        (tmp_path / "config.yaml").write_text(text(source("b")))
        others = [reloader.ask() for _ in range(100)]
        used.free.set()
        assert await first == ()
        assert set(await asyncio.gather(*others)) == {()}
        assert [one.sources[0].name for one in used.configurations] == ["a", "b"]
        assert numbers.reload_successful
        assert numbers.reloaded_at is not None


async def test_mistakes_are_told_to_who_asks_logged_and_counted(tmp_path: Path) -> None:
    """One log line each; whatever refuses the configuration, the file or who uses it."""
    used = Used()
    async with reloading(tmp_path / "config.yaml", used) as (reloader, numbers):
        (tmp_path / "config.yaml").write_text("sorces: []\n")
        with capture_logs() as logs:
            mistakes = await reloader.ask()
        told = ("sources: is required", "sorces: unknown key; did you mean 'sources'?")
        assert mistakes == tuple(f"{tmp_path / 'config.yaml'}: {mistake}" for mistake in told)
        assert [(log["log_level"], log["err"]) for log in logs] == [("error", each) for each in mistakes]
        assert (numbers.reload_successful, numbers.reloaded_at, used.configurations) == (False, None, [])
        (tmp_path / "config.yaml").write_text(text(source("a")))
        used.error = ConfigError(["source 'a': is no good"])
        assert await reloader.ask() == ("source 'a': is no good",)
        assert not numbers.reload_successful
        used.error = None
        assert await reloader.ask() == ()
        assert numbers.reload_successful


async def test_it_follows_the_file(tmp_path: Path) -> None:
    """One reload for each change of the text; a mistake is told once, until the file changes again."""
    used, looks = Used(), Looks()
    path = tmp_path / "config.yaml"
    async with reloading(path, used, looks) as (_, numbers):
        await looks.look()
        assert used.configurations == []
        path.write_text(text(source("b")))
        await looks.look()
        await looks.look()
        assert [one.sources[0].name for one in used.configurations] == ["b"]
        path.write_text("sources: []\n")
        with capture_logs() as logs:
            await looks.look()
            await looks.look()
        assert [log["log_level"] for log in logs] == ["info", "error"]
        assert not numbers.reload_successful
        path.write_text(text(source("b")))
        await looks.look()
        assert (len(used.configurations), numbers.reload_successful) == (2, True)
        assert set(looks.asked) == {30.0}


async def test_what_the_ledger_refused_is_tried_again(tmp_path: Path) -> None:
    """A good file that could not be taken into use is not forgotten because it did not change since."""
    used, looks = Used(), Looks()
    path = tmp_path / "config.yaml"
    async with reloading(path, used, looks) as (_, numbers):
        used.error = StorageError("the disk is full")
        path.write_text(text(source("b")))
        await looks.look()
        await looks.look()
        assert (len(used.configurations), numbers.reload_successful) == (2, False)
        used.error = None
        await looks.look()
        await looks.look()
        assert (len(used.configurations), numbers.reload_successful) == (3, True)


async def test_who_asks_too_late_is_told_so(tmp_path: Path) -> None:
    """Nobody waits for ever for a reloader that has ended, or ends meanwhile."""
    used = Used()
    async with reloading(tmp_path / "config.yaml", used) as (reloader, _):
        used.free.clear()
        during = reloader.ask()
        await holds(lambda: len(used.configurations) == 1)
    assert await during == ("the exporter is about to end",)
    assert await reloader.ask() == ("the exporter is about to end",)


class Running:
    """An exporter with a file to reload."""

    def __init__(self, folder: Path, sources: Sequence[Source]) -> None:
        self.path = folder / "config.yaml"
        self.write(*sources)
        file = ConfigFile(self.path)
        flags = Flags(addresses=[Address("127.0.0.1", 0)], storage=folder / "ledger", config_file=file)
        self.app = App.open(file.load(), flags)
        self.task = asyncio.create_task(self.app.run())

    def write(self, *sources: Source) -> None:
        """Change the file."""
        self.path.write_text(text(*sources))

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{self.app.addresses[0]}"

    async def end(self) -> None:
        """End it."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def running(folder: Path, *sources: Source) -> AsyncIterator[Running]:
    """Run an exporter."""
    exporter = Running(folder, sources)
    await exporter.app.serving.wait()
    try:
        yield exporter
    finally:
        await exporter.end()


async def test_no_registration_is_lost_in_a_reload(tmp_path: Path, systems: Systems) -> None:
    """Ids that are taken while their source is being replaced are watched by the one that takes its place."""
    async with running(tmp_path, source("a")) as exporter:
        ids = [str(number) for number in range(200)]
        for each in ids:
            systems["a"].put(each, Status.SUCCESS)

        async def hand_over() -> None:
            for each in ids:
                registered = await exporter.app.register("a", [WatchedId(id=each)])
                assert registered.new == [each]

        handing_over = asyncio.create_task(hand_over())
        minutes = 1
        while not handing_over.done():
            minutes = minutes % 50 + 1
            exporter.write(source("a", keep=f"{minutes}m"))
            assert await exporter.app.reload() == ()
        await handing_over

        async def counted() -> bool:
            key = (
                "asynctask_finished_total",
                (("operation", "work"), ("source", "a"), ("status", "success")),
            )
            return (await scrape(exporter.url)).get(key) == len(ids)

        await until("all are counted, once", counted)


async def test_a_full_disk_changes_nothing(tmp_path: Path, systems: Systems) -> None:
    """While the ledger cannot be written no source is stopped, nobody else told; the reload is refused."""
    async with running(tmp_path, source("a", "1")) as exporter:
        before, config_before = exporter.app.boards()["a"], exporter.app.configuration()
        hooks = {"webhooks": [{"name": "hook", "url": "http://127.0.0.1:9"}]}
        sources = text(source("a", "1", keep="1m"), source("b"))
        exporter.path.write_text(sources + yaml.safe_dump({"alerting": hooks}))
        with full_disk(), capture_logs():
            assert len(await exporter.app.reload()) == 1
        assert exporter.app.boards() == {"a": before}
        assert exporter.app.configuration() == config_before
        assert exporter.app.info().receivers == []
        asked = len(systems["a"].asked)
        await holds(lambda: len(systems["a"].asked) > asked)
        assert await exporter.app.reload() == ()
        assert [one.name for one in exporter.app.info().receivers] == ["webhook/hook"]


async def test_who_registers_for_a_source_that_goes_is_told_so(tmp_path: Path) -> None:
    """It is unknown from then on, and known again when it returns."""
    async with running(tmp_path, source("a"), source("b")) as exporter:
        exporter.write(source("b"))
        assert await exporter.app.reload() == ()
        with pytest.raises(UnknownSource):
            await exporter.app.register("a", [WatchedId(id="1")])
        exporter.write(source("a"), source("b"))
        assert await exporter.app.reload() == ()
        assert (await exporter.app.register("a", [WatchedId(id="1")])).new == ["1"]


@pytest.mark.parametrize("turns", [0, 20, 60, 200])
async def test_an_end_in_the_middle_of_a_reload(tmp_path: Path, systems: Systems, turns: int) -> None:
    """It ends at once and whoever asked is told; the next process goes on with what is in the ledger."""
    systems["a"].put("1", Status.RUNNING)
    async with running(tmp_path, source("a", "1")) as exporter:
        systems["a"].answers.clear()
        exporter.write(source("a", "1", keep="1m"), source("b"))
        asked = [asyncio.create_task(exporter.app.reload()) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        await exporter.end()
        for each in asked:
            assert await each in ((), ("the exporter is about to end",))
        assert await exporter.app.reload() == ("the exporter is about to end",)
    systems["a"].answers.set()
    systems["a"].put("1", Status.SUCCESS)
    async with running(tmp_path, source("a", "1")) as exporter:

        async def counted() -> bool:
            key = (
                "asynctask_finished_total",
                (("operation", "work"), ("source", "a"), ("status", "success")),
            )
            return (await scrape(exporter.url)).get(key) == 1

        await until("it is counted", counted)
