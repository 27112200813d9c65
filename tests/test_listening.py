"""A server that ends forgets nobody whom it has just accepted."""

import asyncio
import gc
import socket

import pytest

from exporter.listening import accept_no_more


@pytest.mark.parametrize("turns", range(6))
async def test_nobody_is_left_open(turns: int) -> None:
    """However shortly before the end somebody comes: a connection left open would be warned of, and fail."""
    known: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: known.append(writer), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        for _ in range(turns):
            await asyncio.sleep(0)
        await accept_no_more(each.fileno() for each in server.sockets)
        server.close()
        for writer in known:
            writer.close()
            await writer.wait_closed()
    gc.collect()
