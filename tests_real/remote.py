"""A place with files for Pulp to sync from: it serves them slowly, and holds some back."""

import asyncio
from hashlib import sha256
from secrets import token_hex
from typing import Self

from aiohttp import web

_SECONDS_A_FILE = 0.006
_ALL = 1_000_000


class Remote:
    """Files and their ``PULP_MANIFEST``: ``async with Remote(files=100, freely=50) as remote``.

    Args:
        files: how many there are; their contents are new to everybody.
        freely: how many requests for them are served, one by one; those after them wait for ``release``.
        corrupt: how many are not what the manifest says.
    """

    def __init__(self, *, files: int = 1, freely: int = _ALL, corrupt: int = 0) -> None:
        salt = token_hex()
        self._contents = {f"{number}.txt": f"{salt} {number}".encode() for number in range(files)}
        self._freely = freely
        self._corrupt = set(list(self._contents)[:corrupt])
        self._asked = 0
        self._turn = asyncio.Lock()
        self._released = asyncio.Event()
        application = web.Application()
        application.router.add_get("/PULP_MANIFEST", self._serve_manifest)
        application.router.add_get("/{name}", self._serve_file)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()
        await self._runner.cleanup()

    @property
    def manifest(self) -> str:
        """The address of its manifest."""
        return f"{self._base}/PULP_MANIFEST"

    @property
    def no_manifest(self) -> str:
        """An address where a manifest might be, but is none."""
        return f"{self._base}/no/PULP_MANIFEST"

    def release(self) -> None:
        """Serve all that was held back, and all to come without delay."""
        self._released.set()

    @property
    def _base(self) -> str:
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _serve_manifest(self, request: web.Request) -> web.Response:
        del request
        lines = (f"{name},{sha256(body).hexdigest()},{len(body)}" for name, body in self._contents.items())
        return web.Response(text="\n".join(lines) + "\n")

    async def _serve_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._contents:
            raise web.HTTPNotFound
        self._asked += 1
        if self._asked > self._freely:
            await self._released.wait()
        if not self._released.is_set():
            async with self._turn:
                await asyncio.sleep(_SECONDS_A_FILE)
        body = self._contents[name]
        return web.Response(body=body[::-1] if name in self._corrupt else body)
