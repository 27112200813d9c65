"""Waiting for what other processes do: by asking again, never by sleeping for luck."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(what: str, condition: Callable[[], Awaitable[bool]], *, seconds: float = 120.0) -> None:
    """Return as soon as *condition* holds.

    Raises:
        TimeoutError: it did not within *seconds*; tells *what* was waited for.
    """
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain: {what}")
        await asyncio.sleep(0.05)
