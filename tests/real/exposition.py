"""Stands for the exporter: serves metrics that a test writes by hand, and can be down."""

from http import HTTPStatus
from typing import Self

from aiohttp import web


class Exposition:
    """A target on loopback: ``async with Exposition() as target``, then set ``target.text``."""

    def __init__(self) -> None:
        self.text = ""
        """What it serves, in Prometheus' text format."""
        self.down = False
        """Whether it answers every scrape with 503."""
        self.refused = 0
        """How many scrapes it has answered with 503."""
        application = web.Application()
        application.router.add_get("/metrics", self._serve)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """Its host and port, as in a scrape configuration."""
        host, port = self._runner.addresses[0][:2]
        return f"{host}:{port}"

    async def _serve(self, request: web.Request) -> web.Response:
        del request
        if self.down:
            self.refused += 1
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.Response(text=self.text)
