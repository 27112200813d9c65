"""Reads the body of an answer whole, but never more of it than the limit."""

import asyncio
import zlib

from aiohttp import ClientResponse

# Decompressing what is longer takes milliseconds, in which nothing else would be polled.
_LONG = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_METHOD = 0x0F
_DEFLATE = 0x08


class BadBody(Exception):
    """The body is too large, or not compressed as its header says."""


class TooLarge(BadBody):
    """It is larger than the limit."""


async def read_body(response: ClientResponse, limit: int) -> bytes:
    """Read the body and decompress it; stops at *limit* bytes, before and after decompression.

    The session must not decompress by itself: only here is an answer that grows a thousandfold cut off.

    Raises:
        BadBody: it is too large, or not compressed as its header says.
    """
    raw = await _read(response, limit)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if not raw or encoding in {"", "identity"}:
        return raw
    if len(raw) < _LONG:
        return decompress(raw, encoding, limit)
    return await asyncio.to_thread(decompress, raw, encoding, limit)


def decompress(raw: bytes, encoding: str, limit: int) -> bytes:
    """Decompress a body of at most *limit* bytes.

    Raises:
        BadBody: it is larger, or not compressed as *encoding* says.
    """
    engine = zlib.decompressobj(_window(raw, encoding))
    try:
        body = engine.decompress(raw, limit + 1)
    except zlib.error:
        raise BadBody(f"the body is not {encoding} as its Content-Encoding says") from None
    if len(body) > limit:
        raise _too_large(limit)
    if not engine.eof or engine.unused_data:
        raise BadBody(f"the body is not one whole {encoding} stream")
    return body


async def _read(response: ClientResponse, limit: int) -> bytes:
    told = response.content_length
    if told is not None and told > limit:
        raise _too_large(limit)
    if told is not None and "Transfer-Encoding" not in response.headers:
        return await response.read()  # No more comes than was told.
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _window(raw: bytes, encoding: str) -> int:
    if encoding in {"gzip", "x-gzip"}:
        return _GZIP
    if encoding != "deflate":
        raise BadBody(f"the body's Content-Encoding {encoding[:40]!r} was not asked for")
    # Some servers send "deflate" without the zlib header that RFC 9110 8.4.1.2 wants.
    return _ZLIB if raw[0] & _METHOD == _DEFLATE else _RAW


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
