"""What all simulated APIs share: faults, limits, credentials, counts, and a socket to listen on."""

import socket
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

from exporter.demo.faults import Fault, Faults, misbehave
from exporter.demo.tasks import SimTask
from exporter.demo.world import World
from exporter.listening import accept_no_more

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REMEMBERED = 20_000
_LONGEST_HEADER = 64 * 1024


@dataclass(slots=True)
class RateLimit:
    """So many requests in so many seconds, as a sliding window."""

    requests: int
    seconds: float
    _times: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Let a request in and return 0, or tell the seconds until one would be let in."""
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        if len(self._times) >= self.requests:
            return self._times[0] + self.seconds - now
        self._times.append(now)
        return 0.0


@dataclass(slots=True)
class Requests:
    """What has been asked of a server; of tasks and times only the latest are remembered."""

    total: int = 0
    by_endpoint: Counter[str] = field(default_factory=Counter)
    by_task: Counter[str] = field(default_factory=Counter)
    """Requests that named this task."""
    final_answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often the end of (id, run) has been told to somebody who asked for that id alone."""
    unauthorized: int = 0
    throttled: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """When each came, on the world's monotonic clock."""

    def record(self, endpoint: str, task_id: str, at: float) -> None:
        """Count a request, whatever becomes of it."""
        self.total += 1
        self.by_endpoint[endpoint] += 1
        self.times.append(at)
        if task_id:
            self.by_task[task_id] += 1
            _forget_oldest(self.by_task)

    def told_end(self, task: SimTask) -> None:
        """Count that the end of a task was told."""
        self.final_answers[task.id, task.run] += 1
        _forget_oldest(self.final_answers)

    def most_within(self, seconds: float) -> int:
        """The largest number of remembered requests in any stretch of so many seconds."""
        most, window = 0, deque[float]()
        for at in self.times:
            window.append(at)
            while window[0] <= at - seconds:
                window.popleft()
            most = max(most, len(window))
        return most


class Api(ABC):
    """One simulated API: a world told in the words of a vendor.

    Attributes:
        faults: what is wrong with it; set at run time.
        requests: what has been asked of it.
        limit: how many requests it admits; None for any number.
        skew: how far its clock is ahead; shifts all times that it tells, and its Date header.
    """

    base_path = ""
    """What comes before the documented paths."""

    def __init__(
        self, world: World, *, limit: RateLimit | None = None, skew: timedelta = timedelta(0)
    ) -> None:
        self.world = world
        self.faults = Faults()
        self.requests = Requests()
        self.limit = limit
        self.skew = skew

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """The documented paths; a route's name is the endpoint in the counts."""

    @abstractmethod
    def refuse(self, request: web.Request) -> web.Response | None:
        """Answer a request without valid credentials; None if they are valid."""

    @abstractmethod
    def too_many(self, retry_after: int | None) -> web.Response:
        """Answer one request too many."""

    def application(self) -> web.Application:
        """Everything as one aiohttp application; a new one for every start of a server."""
        app = web.Application(middlewares=[self._serve])
        app.add_routes(self.routes())
        app.on_response_prepare.append(self._set_date)
        return app

    def now(self) -> datetime:
        """The true time."""
        return self.world.clock.now()

    def told(self, moment: datetime) -> datetime:
        """A moment as this API's clock has it."""
        return moment + self.skew

    def asked(self, request: web.Request) -> SimTask | None:
        """The task that a request names; counts if its end is told."""
        task = self.world.task(request.match_info["task_id"])
        if task is not None and task.has_ended(self.now()):
            self.requests.told_end(task)
        return task

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        arrived = self.world.clock.monotonic()
        endpoint = request.match_info.route.name or "other"
        self.requests.record(endpoint, request.match_info.get("task_id", ""), arrived)
        fault = self.faults.draw()
        if fault is not Fault.NONE:
            return await misbehave(fault, request, lambda: self.too_many(self.faults.retry_after))
        wait = self.limit.wait(arrived) if self.limit else 0.0
        if wait:
            self.requests.throttled += 1
            return self.too_many(int(wait) + 1)
        refusal = self.refuse(request)
        if refusal is not None:
            self.requests.unauthorized += 1
            return refusal
        return await handler(request)

    async def _set_date(self, _request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Date"] = format_datetime(self.told(self.now()), usegmt=True)


class Server:
    """One API on a socket of this machine.

    Args:
        api: what to serve.
        host: the address to listen on.
        port: 0 for a free one, which stays the same over all `down` and `up`.
    """

    def __init__(self, api: Api, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.api = api
        self._host = host
        self._port = port
        self._serving: tuple[web.AppRunner, socket.socket] | None = None

    @property
    def url(self) -> str:
        """Where it listens, with the API's base path; known once it has been up."""
        return f"http://{self._host}:{self._port}{self.api.base_path}"

    async def up(self) -> None:
        """Begin to listen."""
        if self._serving is not None:
            return
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        runner = web.AppRunner(
            self.api.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.1,
            max_field_size=_LONGEST_HEADER,
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        self._serving = runner, listener

    async def down(self) -> None:
        """Close every connection and refuse new ones."""
        if self._serving is not None:
            (runner, listener), self._serving = self._serving, None
            await accept_no_more([listener.fileno()])
            await runner.cleanup()


def _forget_oldest(counter: Counter[str] | Counter[tuple[str, int]]) -> None:
    if len(counter) > _REMEMBERED:
        del counter[next(iter(counter))]
