"""A small server of a test's own on loopback: on a free port, for as long as its block lasts."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Middleware


class LocalServer(ABC):
    """Serves its routes: ``async with`` it, then ask at ``url`` or ``address``.

    Args:
        tls: encrypts the connections; None for none.
        middlewares: what each request passes, known path or not.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, middlewares: Sequence[Middleware] = ()) -> None:
        self._tls = tls
        application = web.Application(middlewares=middlewares)
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application, access_log=None)

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """What it serves."""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """Its host and port, as in a scrape configuration."""
        host, port = self._runner.addresses[0][:2]
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        """Its address, without a path; with TLS by the name that certificates are for."""
        return (
            f"https://localhost:{self.address.rpartition(':')[2]}" if self._tls else f"http://{self.address}"
        )
