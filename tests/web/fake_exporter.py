"""An exporter that does nothing but remember what the web layer asked of it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from exporter.clock import Moment
from exporter.model import Status, Task, WatchedId
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.web.views import Acknowledged, ExporterInfo, Exposition, Registered, ScrapeRequest, SourceInfo

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = b"# TYPE asynctask_tasks gauge\nasynctask_tasks 1\n# EOF\n"


def moment(seconds: float) -> Moment:
    """A moment so many seconds after the start."""
    return Moment(START + timedelta(seconds=seconds), 1000.0 + seconds)


class FakeExporter:
    """Answers what the test puts into it."""

    def __init__(self) -> None:
        self.waits_for = ""
        self.failures = 0
        self.pieces: Sequence[bytes] = [BODY]
        self.error: Exception | None = None
        self.scrapes: list[ScrapeRequest] = []
        self.delivered: asyncio.Queue[ScrapeRequest] = asyncio.Queue()
        self.abandoned: asyncio.Queue[ScrapeRequest] = asyncio.Queue()
        self.infos: list[SourceInfo] = []
        self.by_source: dict[str, Board] = {}
        self.at = moment(0)
        self.took: dict[tuple[str, str], list[float]] = {}
        self.posted: list[tuple[str, tuple[WatchedId, ...]]] = []
        self.known: set[str] = set()
        self.yaml = "sources: []\n"
        self.about = ExporterInfo(started_at=START, config_loaded_at=START, storage="data")
        self.logs: dict[tuple[str, str], str] = {}
        self.mistakes: list[str] = []
        self.reloads = 0
        self.acknowledged: dict[tuple[str, str], Acknowledged] = {}
        self.asked = asyncio.Event()
        self.committed = asyncio.Event()
        self.committed.set()
        self.rendered = asyncio.Event()
        self.rendered.set()

    def add(self, source: str, *tasks: Task, at: float = 0) -> None:
        """Put tasks on a source's board as if somebody watched them."""
        board = self.by_source.setdefault(source, Board(source, BoardRules()))
        for task in tasks:
            board.apply(task, Sighting(at=moment(at), asked=1000.0 + at, wanted=True))

    def not_ready(self) -> str:
        """What the test says is waited for."""
        return self.waits_for

    def request_failed(self) -> None:
        """Count."""
        self.failures += 1

    async def scrape(self, request: ScrapeRequest) -> Exposition:
        """The pieces that the test put here."""
        if self.error:
            raise self.error
        self.scrapes.append(request)
        await self.rendered.wait()
        return Exposition(
            pieces=self.pieces,
            content_type="text/plain; version=0.0.4; charset=utf-8",
            delivered=lambda: self.delivered.put_nowait(request),
            abandoned=lambda: self.abandoned.put_nowait(request),
        )

    def sources(self) -> Sequence[SourceInfo]:
        """The sources that the test put here."""
        return self.infos

    def boards(self) -> Mapping[str, Board]:
        """The boards that the test filled."""
        return self.by_source

    def now(self) -> Moment:
        """The moment that the test set."""
        return self.at

    def durations(self, source: str, operation: str) -> Sequence[float]:
        """The durations that the test put here."""
        return self.took.get((source, operation), ())

    def configuration(self) -> str:
        """The configuration that the test put here."""
        return self.yaml

    def info(self) -> ExporterInfo:
        """How it does, as the test says."""
        return self.about

    async def fetch_log(self, source: str, task_id: str) -> str:
        """The log that the test put here."""
        self.asked.set()
        await self.committed.wait()
        if self.error:
            raise self.error
        return self.logs[source, task_id]

    async def acknowledge(self, source: str, task_id: str, *, by: str, comment: str) -> Acknowledged:
        """Remember the first who says so."""
        if self.error:
            raise self.error
        done = Acknowledged(at=self.at.wall, by=by, comment=comment)
        return self.acknowledged.setdefault((source, task_id), done)

    async def reload(self) -> Sequence[str]:
        """Find the mistakes that the test put here."""
        self.reloads += 1
        return self.mistakes

    async def register(self, source: str, watched: Sequence[WatchedId]) -> Registered:
        """Take ids, once they are committed."""
        self.asked.set()
        await self.committed.wait()
        if self.error:
            raise self.error
        self.posted.append((source, tuple(watched)))
        new = [each.id for each in watched if each.id not in self.known]
        known = [each.id for each in watched if each.id in self.known]
        self.known.update(new)
        return Registered(new=new, known=known)


def running(task_id: str, **more: object) -> Task:
    """A task under way."""
    values: dict[str, object] = {"id": task_id, "status": Status.RUNNING} | more
    return Task(**values)  # type: ignore[arg-type]
