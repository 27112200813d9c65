"""Stands for the exporter: serves metrics that a test writes by hand, and can be down."""

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from tests.real.local import LocalServer


class Exposition(LocalServer):
    """A target on loopback: ``async with Exposition() as target``, then set ``target.text``."""

    def __init__(self) -> None:
        self.text = ""
        """What it serves, in Prometheus' text format."""
        self.down = False
        """Whether it answers every scrape with 503."""
        self.refused = 0
        """How many scrapes it has answered with 503."""
        super().__init__()

    def routes(self) -> Sequence[web.RouteDef]:
        """The metrics."""
        return [web.get("/metrics", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        del request
        if self.down:
            self.refused += 1
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.Response(text=self.text)
