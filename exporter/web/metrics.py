"""Serves the metrics to whoever scrapes them."""

import asyncio
import gzip
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web
from multidict import MultiMapping

from exporter.metrics.births import Caller
from exporter.web.middleware import client_address
from exporter.web.views import Exposition, Metrics, ScrapeRequest

_COMPRESSION_LEVEL = 3
"""Metrics repeat themselves: higher levels cost twice the time for a tenth less of size."""


def routes(path: str, metrics: Metrics) -> Sequence[web.RouteDef]:
    """The telemetry path, for GET and HEAD."""

    async def scrape(request: web.Request) -> web.StreamResponse:
        exposition = await metrics.scrape(describe(request))
        return await _deliver(request, exposition)

    return [web.get(path, scrape)]


def describe(request: web.Request) -> ScrapeRequest:
    """Read from a request what tells its scraper from others, and what it wants.

    Raises:
        web.HTTPBadRequest: the connection is gone already; nobody will read this.
    """
    if request.transport is None:
        raise web.HTTPBadRequest(text="the client went away")
    caller = Caller(
        connection=request.transport,
        address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        timeout=request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", ""),
        scraper=request.query.get("scraper", ""),
    )
    return ScrapeRequest(
        caller=caller,
        accept=",".join(request.headers.getall("Accept", ())),
        names=tuple(request.query.getall("name[]", ())),
    )


def accepts_gzip(headers: MultiMapping[str]) -> bool:
    """Whether ``Accept-Encoding`` names gzip (or ``*``) without refusing it by ``q=0``."""
    offers = {}
    for offer in ",".join(headers.getall("Accept-Encoding", ())).split(","):
        coding, _, weight = offer.partition(";")
        offers[coding.strip().lower()] = _weight(weight)
    return offers.get("gzip", offers.get("*", 0.0)) > 0


async def _deliver(request: web.Request, exposition: Exposition) -> web.StreamResponse:
    """Write the metrics, and tell whoever rendered them whether all of it went out."""
    arrived = False
    try:
        response = await _respond(request, exposition)
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
            arrived = request.method == "GET" and _is_open(request)
    finally:
        note = exposition.delivered if arrived else exposition.abandoned
        note()
    return response


async def _respond(request: web.Request, exposition: Exposition) -> web.Response:
    headers = {"Content-Type": exposition.content_type, "Vary": "Accept, Accept-Encoding"}
    body = exposition.body
    if accepts_gzip(request.headers):
        headers["Content-Encoding"] = "gzip"
        body = await asyncio.to_thread(gzip.compress, body, _COMPRESSION_LEVEL, mtime=0)
    return web.Response(body=body, headers=headers)


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _is_open(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()
