"""A server that lets nobody in, and repeats in its refusal whatever it was told; some real ones do."""

import ssl
from base64 import b64decode
from collections.abc import Iterator, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.real.local import LocalServer

_OF_NO_INTEREST = frozenset(
    {"Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Length", "Content-Type"}
)


class Echo(LocalServer):
    """Answers with the status that the path begins with, as in ``url + "/401"``, but to who wants a token.

    Args:
        token: what ``/token`` (OAuth 2.0) and ``/iam`` (Huawei's) issue.
        tls: encrypts the connections.
    """

    def __init__(self, token: str, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[str] = []
        """All that it was told."""
        self._token = token
        super().__init__(tls, [self._hear])

    def routes(self) -> Sequence[web.RouteDef]:
        """Any path."""
        return [
            web.post("/token", self._issue),
            web.post("/iam/v3/auth/tokens", self._issue),
            web.route("*", "/{status:\\d+}{rest:.*}", self._refuse),
        ]

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note what it is told; who asks for a tunnel as through a proxy gets 404."""
        self.heard += await _told(request)
        return await handler(request)

    async def _issue(self, _request: web.Request) -> web.Response:
        headers = {"X-Subject-Token": self._token}
        return web.json_response({"access_token": self._token}, status=201, headers=headers)

    async def _refuse(self, request: web.Request) -> web.Response:
        words = f"not you: {' '.join(await _told(request))}"
        return web.Response(status=int(request.match_info["status"]), text=words)


async def _told(request: web.Request) -> list[str]:
    return [*_in_headers(request), request.path_qs, request.path, await request.text()]


def _in_headers(request: web.Request) -> Iterator[str]:
    for name, value in request.headers.items():
        if name in _OF_NO_INTEREST:
            continue
        yield value
        if value.startswith("Basic "):
            yield b64decode(value.removeprefix("Basic ")).decode().partition(":")[2]
