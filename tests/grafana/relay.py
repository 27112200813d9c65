"""Stands between the exporter and Prometheus: serves the metrics of one moment until told to renew them."""

from collections.abc import Sequence

import aiohttp
from aiohttp import web

from tests.real.local import LocalServer

ACCEPT = "application/openmetrics-text; version=1.0.0"


class Relay(LocalServer):
    """A target on loopback that all who scrape it find the same: ``async with Relay(url) as relay``."""

    def __init__(self, url: str) -> None:
        self._scraped = url
        self._text = ""
        super().__init__()

    def routes(self) -> Sequence[web.RouteDef]:
        """The metrics of that moment."""
        return [web.get("/metrics", self._serve)]

    async def take(self) -> str:
        """Take the exporter's metrics as they are now, with exemplars, and return them."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(self._scraped, headers={"Accept": ACCEPT}) as answer,
        ):
            self._text = await answer.text()
        return self._text

    async def _serve(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self._text, headers={"Content-Type": f"{ACCEPT}; charset=utf-8"})
