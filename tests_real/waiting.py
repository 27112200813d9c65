"""Waiting for what servers do: by asking again, not so often that it keeps them from doing it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_BETWEEN = 0.25


async def until(what: str, condition: Callable[[], Awaitable[bool]], *, seconds: float = 300.0) -> None:
    """Return as soon as *condition* holds.

    Raises:
        TimeoutError: it did not within *seconds*; tells *what* was waited for.
    """
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        await asyncio.sleep(_BETWEEN)
