"""Stands between the exporter and Prometheus: serves the metrics of one moment until told to renew them."""

from typing import Self

import aiohttp
from aiohttp import web

ACCEPT = "application/openmetrics-text; version=1.0.0"


class Relay:
    """A target on loopback that all who scrape it find the same: ``async with Relay(url) as relay``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._text = ""
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

    async def take(self) -> str:
        """Take the exporter's metrics as they are now, with exemplars, and return them."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(self._url, headers={"Accept": ACCEPT}) as answer,
        ):
            self._text = await answer.text()
        return self._text

    async def _serve(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self._text, headers={"Content-Type": f"{ACCEPT}; charset=utf-8"})
