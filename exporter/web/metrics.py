"""Serves the metrics to whoever scrapes them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web
from multidict import MultiMapping

from exporter.metrics.births import Caller
from exporter.metrics.packing import chunks, compressed
from exporter.web.middleware import client_address
from exporter.web.views import Exposition, Metrics, ScrapeRequest

_TURNS = 2
"""So often the event loop turns until it has looked at all connections and heard who has closed theirs."""


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
        headers, pieces = await _encoded(request, exposition)
        response = web.StreamResponse(headers=headers)
        await _look()
        with suppress(ConnectionError):
            await response.prepare(request)
            if request.method == "GET":
                await _write(response, pieces)
                arrived = _is_open(request)
    finally:
        note = exposition.delivered if arrived else exposition.abandoned
        note()
    return response


async def _look() -> None:
    """Let the loop hear who has left: after a pause of the whole process a scraper may have given up."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _encoded(request: web.Request, exposition: Exposition) -> tuple[dict[str, str], Sequence[bytes]]:
    headers = {"Content-Type": exposition.content_type, "Vary": "Accept, Accept-Encoding"}
    pieces = exposition.pieces
    if accepts_gzip(request.headers):
        headers["Content-Encoding"] = "gzip"
        pieces = await asyncio.to_thread(compressed, pieces)
    headers["Content-Length"] = str(sum(map(len, pieces)))
    return headers, pieces


async def _write(response: web.StreamResponse, pieces: Sequence[bytes]) -> None:
    for chunk in chunks(pieces):
        await response.write(chunk)
    await response.write_eof()


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
