"""Simulated APIs on real sockets, each with a still clock and a client that is let in."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import ClientSession

from exporter.demo import dataarts, epmware
from exporter.demo.server import Api, Server
from tests.demo.fakes import Caller, StillClock

Serve = Callable[[Api], Awaitable[Caller]]


def _headers(api: Api) -> dict[str, str]:
    passwords = {"pulp1": b"admin:admin", "pulp": b"admin:password"}
    if api.world.source == "epmware":
        return {"Authorization": f"Token {epmware.TOKEN}"}
    if api.world.source == "dataarts":
        return {"X-Auth-Token": dataarts.TOKEN, "workspace": dataarts.WORKSPACE}
    return {"Authorization": "Basic " + b64encode(passwords[api.world.source]).decode()}


@pytest.fixture
def clock() -> StillClock:
    """A clock that stands still."""
    return StillClock()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Puts an API on a socket and gives a client with its credentials."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())

        async def start(api: Api) -> Caller:
            server = Server(api)
            await server.up()
            stack.push_async_callback(server.down)
            return Caller(session, server.url, _headers(api))

        yield start
