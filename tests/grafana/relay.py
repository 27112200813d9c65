"""Stands between the exporter and Prometheus: serves the metrics of one moment until told to renew them."""

import time
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from tests.real.local import LocalServer

ACCEPT = "application/openmetrics-text; version=1.0.0"


class Relay(LocalServer):
    """A target on loopback that all who scrape it find the same: ``async with Relay(url) as relay``.

    Each sample tells when it was taken. So whoever scrapes, sooner or later, gets the same samples.
    """

    def __init__(self, url: str) -> None:
        self.taken_at = 0.0
        """Unix time of that moment, in whole milliseconds as Prometheus has it."""
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
            text = await answer.text()
        self.taken_at = round(time.time(), 3)
        self._text = "".join(f"{self._timed(line)}\n" for line in text.splitlines())
        return text

    def _timed(self, line: str) -> str:
        if line.startswith("#"):
            return line
        sample, mark, exemplar = line.partition(" # {")
        return f"{sample} {self.taken_at:.3f}{mark}{exemplar}"

    async def _serve(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self._text, headers={"Content-Type": f"{ACCEPT}; charset=utf-8"})
