"""HTTP servers on loopback that send exactly the bytes a test wants, and remember what they were asked."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from exporter.clock import SystemClock
from exporter.http import HttpClient, HttpSettings, Observer
from exporter.listening import accept_no_more

Respond = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]

NOTHING_SPECIAL = HttpSettings(url="")
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def target(self) -> str:
        """What the request line asks for."""
        return self.line.split()[1]

    def all(self, name: str) -> list[str]:
        """The values of a header, in their order."""
        return [value for key, value in self.headers if key == name.lower()]


@dataclass
class Server:
    """A server under way."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    """Connections that the client has closed."""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])


def answer(status: int = 200, body: bytes = b"{}", headers: tuple[str, ...] = ()) -> bytes:
    """The bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def says(*answers: bytes) -> Respond:
    """Answer with these in turn, and with the last one from then on."""
    left = list(answers)

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return respond


def hangs_up_after(sent: bytes) -> Respond:
    """Send this much of an answer and close the connection."""

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    return respond


async def never_answers(_: Asked, __: asyncio.StreamWriter) -> None:
    """Take the request and say nothing; the server waits for the next one."""


@asynccontextmanager
async def serve(respond: Respond, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server on a free port until the block ends."""
    server = Server("")
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while not writer.is_closing():
                asked = await _read(reader)
                server.asked.append(asked)
                await respond(asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            server.closed += 1

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(task := asyncio.ensure_future(talk(reader, writer)))
        # Not the coroutine's own `finally`: one that is cancelled before its first step has none.
        task.add_done_callback(lambda _: writer.close())
        task.add_done_callback(talks.discard)

    listening = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await accept_no_more(each.fileno() for each in listening.sockets)
        listening.close()
        under_way = list(talks)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    length = int(dict(headers).get("content-length", 0))
    return Asked(head[0], headers, await reader.readexactly(length))


@dataclass
class Counted:
    """An observer that remembers."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def requested(self, endpoint: str, code: str, seconds: float) -> None:
        """Remember an exchange."""
        self.requests.append((endpoint, code))
        self.seconds.append(seconds)

    def throttled(self, seconds: float) -> None:
        """Remember a wait."""
        self.waited.append(seconds)


def client_of(settings: HttpSettings, observer: Observer | None = None) -> HttpClient:
    """A client without a pace, so that a test does not wait."""
    return HttpClient(replace(settings, requests_per_second=math.inf), clock=SystemClock(), observer=observer)


@asynccontextmanager
async def asking(
    respond: Respond,
    settings: HttpSettings = NOTHING_SPECIAL,
    observer: Observer | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[HttpClient, Server]]:
    """Run a server and a client of it; the URL of the settings is what to add to the server's."""
    async with serve(respond, tls=tls) as server:
        there = replace(settings, url=server.url + settings.url)
        async with client_of(there, observer) as client:
            yield client, server


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until the condition holds; pytest's own time-out is the limit."""
    while not condition():
        await asyncio.sleep(0.001)
