"""Asks a database again that cannot be asked just now: what must not be skipped is rather late."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from exporter.errors import StorageError

T = TypeVar("T")
_AGAIN = 5.0


async def insist(
    ask: Callable[[], Awaitable[T]], complain: Callable[..., object], again: float = _AGAIN
) -> T:
    """What *ask* returns, once it raises no StorageError any more.

    Args:
        ask: asks the database.
        complain: hears each error, as ``err``.
        again: seconds between two attempts.
    """
    while True:
        try:
            return await ask()
        except StorageError as error:
            complain(err=str(error))
            await asyncio.sleep(again)
