"""The ways in which a real server lets its clients down, to be switched on at will."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from aiohttp import web


class Fault(Enum):
    """What every request meets while the fault is on."""

    NONE = auto()
    HANG = auto()
    """Accepts the request and never answers."""
    STATUS_500 = auto()
    """An error page with status 500."""
    FLOOD_429 = auto()
    """The API's own words for too many requests."""
    GARBAGE = auto()
    """Status 200 and something that only begins like JSON."""
    DISCONNECT = auto()
    """Closes the connection instead of an answer."""
    TRUNCATED = auto()
    """Closes the connection in the middle of the answer."""
    LOGIN_PAGE = auto()
    """Status 200 and a form for name and password, as a proxy in front shows it."""


@dataclass(slots=True)
class Faults:
    """What is wrong with a server at the moment; set at run time.

    To be gone altogether, so that connections are refused, is `Server.down`.
    """

    mode: Fault = Fault.NONE
    share: float = 1.0
    """The part of requests that meet it."""
    retry_after: int | None = None
    """Seconds told with `Fault.FLOOD_429`; None tells nothing."""
    random: Random = field(default_factory=lambda: Random(0))

    def draw(self) -> Fault:
        """Decide what one request meets."""
        if self.mode is Fault.NONE or self.random.random() >= self.share:
            return Fault.NONE
        return self.mode


async def misbehave(
    fault: Fault, request: web.Request, too_many: Callable[[], web.Response]
) -> web.StreamResponse:
    """Answer in the way of *fault*; *too_many* makes the API's own answer with status 429."""
    if fault is Fault.FLOOD_429:
        return too_many()
    if fault is Fault.HANG:
        await asyncio.Event().wait()
    if fault in (Fault.DISCONNECT, Fault.TRUNCATED):
        return await _hang_up(fault, request)
    return _page(fault)


def _page(fault: Fault) -> web.Response:
    if fault is Fault.STATUS_500:
        page = "<html><head><title>500 Internal Server Error</title></head></html>"
        return web.Response(status=500, text=page, content_type="text/html")
    if fault is Fault.LOGIN_PAGE:
        page = '<!DOCTYPE html><html><form action="/login"><input type="password"></form></html>'
        return web.Response(text=page, content_type="text/html")
    return web.Response(text='{"status": "R", "percentComp', content_type="application/json")


async def _hang_up(fault: Fault, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4096"})
    if fault is Fault.TRUNCATED:
        await answer.prepare(request)
        await answer.write(b'{"status": ')
    if request.transport is not None:
        request.transport.close()
    return answer
