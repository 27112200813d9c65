"""Ends listening without leaving out whoever has just been accepted."""

import asyncio
from collections.abc import Iterable

_TURNS = 3
"""So often the event loop turns from when a connection is accepted until its server knows of it."""


async def accept_no_more(listeners: Iterable[int]) -> None:
    """Accept nobody from now on, and return when whoever was accepted before is known to the server.

    It comes before the server is closed: asyncio's never closes a connection that it accepts just before
    its own end (python/cpython#109564). With uvloop there is no such moment, and nothing to do.

    Args:
        listeners: the file descriptors of the sockets that the server listens on.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
