"""What the tests of notifications work with: a ledger with an outbox, receivers, ends of tasks."""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Self, TextIO

from aiohttp import web

from exporter import log
from exporter.alerts import places
from exporter.alerts.notifier import Notifier
from exporter.alerts.places import Told
from exporter.alerts.settings import AlertmanagerSettings, AlertSettings, Origin, WebhookSettings
from exporter.clock import Clock
from exporter.errors import NoLog
from exporter.http import HttpSettings
from exporter.metrics.own import ReceiverStats
from exporter.model import Status, Transition
from exporter.store.ledger import Change, Ledger, LedgerSettings
from tests.store.given import FakeClock, entry, transition

QUICK = (0.01, 0.02)
"""A back-off for which no test waits."""
ORIGINS = {"epm": Origin(labels={"team": "finance"}, keep_failed=timedelta(hours=1))}


@dataclass
class Asked:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    json: Any


@dataclass
class Receiver:
    """A receiver on loopback: ``async with Receiver() as receiver``."""

    answer: Callable[[Asked], int] = lambda _: 200
    """Tells the status of the answer to a request."""
    before_answer: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    """Waits before each answer."""
    asked: list[Asked] = field(default_factory=list)
    """All requests, accepted or not."""
    taken: list[Asked] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def target(self) -> str:
        """Its host and port."""
        return self.url.removeprefix("http://")

    def subjects(self) -> list[str]:
        """The task ids of the events that it took, in their order."""
        return [asked.json["subject"] for asked in self.taken]

    async def _take(self, request: web.Request) -> web.Response:
        asked = Asked(request.path, dict(request.headers), await request.read(), await request.json())
        self.asked.append(asked)
        await self.before_answer()
        status = self.answer(asked)
        if status < 300:
            self.taken.append(asked)
        return web.Response(status=status, text="password=geheim9" if status >= 400 else "")


def webhook(url: str, name: str = "webhook/events", **more: Any) -> WebhookSettings:  # noqa: ANN401 - of several types
    """A webhook at this address, without a pace and with little back-off."""
    return WebhookSettings(name=name, http=http(url), backoff=QUICK, **more)


def alertmanager(url: str) -> AlertmanagerSettings:
    """An Alertmanager at this address."""
    return AlertmanagerSettings(name=f"alertmanager/{url.removeprefix('http://')}", http=http(url))


def http(url: str) -> HttpSettings:
    """An HTTP client without a pace."""
    return HttpSettings(url=url, requests_per_second=math.inf, timeout=60.0)


@dataclass
class Running:
    """A notifier under way, with its ledger."""

    ledger: Ledger
    notifier: Notifier
    stats: dict[str, ReceiverStats]
    clock: Clock

    async def end(self, status: Status = Status.ERROR, *ids: str, **task: object) -> None:
        """Let tasks end, and stay on the board."""
        ends = [transition(status, None, task_id=task_id, **task) for task_id in ids]  # type: ignore[arg-type]
        await self.ledger.record(Change(transitions=ends, entries=[(t.source, entry(t)) for t in ends]))

    def pass_time(self, seconds: float) -> None:
        """Move the clock, which is a fake one."""
        assert isinstance(self.clock, FakeClock)
        self.clock.wall += timedelta(seconds=seconds)
        self.clock.mono += seconds


def told(*receivers: WebhookSettings | AlertmanagerSettings, settings: AlertSettings | None = None) -> Told:
    """These receivers, with what they share."""
    return Told(
        settings or AlertSettings(backoff=QUICK),
        [one for one in receivers if isinstance(one, AlertmanagerSettings)],
        [one for one in receivers if isinstance(one, WebhookSettings)],
    )


@asynccontextmanager
async def running(
    path: Path | None,
    *receivers: WebhookSettings | AlertmanagerSettings,
    settings: AlertSettings | None = None,
    origins: dict[str, Origin] | None = None,
    clock: Clock | None = None,
    through: Callable[[Ledger], places.Ledger] = lambda ledger: ledger,
) -> AsyncIterator[Running]:
    """A ledger and a notifier, until the block ends; on the same path the next goes on.

    The notifier reaches the ledger *through* what a test puts between them.
    """
    clock = clock or FakeClock()
    ledger = Ledger.open(LedgerSettings(path=path, backoff=QUICK), clock)
    ledger.declare("epm", ["import"])
    stats: defaultdict[str, ReceiverStats] = defaultdict(ReceiverStats)
    notifier = Notifier(
        told(*receivers, settings=settings),
        through(ledger),
        (ORIGINS if origins is None else origins).get,
        observers=stats,
        clock=clock,
        dice=Random(7),
    )
    await ledger.start()
    await notifier.begin()
    task = asyncio.create_task(notifier.run())
    try:
        yield Running(ledger, notifier, stats, clock)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ledger.close()


async def until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; pytest's own time-out is the limit."""
    while not condition():
        await asyncio.sleep(0.002)


def failed(**task: object) -> Transition:
    """A task that has just failed."""
    return transition(Status.ERROR, **task)  # type: ignore[arg-type]


async def no_log(task_id: str) -> str:
    """An API that has no log of this task."""
    raise NoLog(f"there is no log of {task_id}")


@contextmanager
def logging_to(stream: TextIO, level: str) -> Iterator[None]:
    """Log as the program does, until the block ends."""
    log.configure(level, stream=stream)
    try:
        yield
    finally:
        root = logging.getLogger()
        for handler in [one for one in root.handlers if one.get_name() == "asynctask-exporter"]:
            root.removeHandler(handler)
