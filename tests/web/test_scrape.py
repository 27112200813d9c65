"""Serving the metrics."""

import asyncio
import gzip
import socket

import pytest
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

from exporter.web.application import build
from exporter.web.metrics import accepts_gzip
from exporter.web.server import Address
from tests.web.conftest import Client
from tests.web.fake_exporter import BODY, FakeExporter

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"


async def test_metrics_come_as_rendered(client: Client) -> None:
    """Body and content type are the renderer's; caches are told what they depend on."""
    response = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert await response.read() == BODY
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert "Content-Encoding" not in response.headers


async def test_metrics_are_compressed_on_demand(client: Client) -> None:
    """A scraper that takes gzip gets gzip."""
    response = await client.get("/metrics", headers={"Accept-Encoding": "deflate, gzip;q=0.5"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await response.read()) == BODY


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_many_pieces_are_one_answer(client: Client, fake: FakeExporter, coding: str) -> None:
    """What was rendered in pieces arrives as one body of the length that was told, also to HEAD."""
    fake.pieces = [b"line %d\n" % number * (number % 90) for number in range(5_000)]
    headers = {"Accept-Encoding": coding}
    response = await client.get("/metrics", headers=headers)
    head = await client.head("/metrics", headers=headers)
    body = await response.read()
    assert (gzip.decompress(body) if coding == "gzip" else body) == b"".join(fake.pieces)
    assert "Transfer-Encoding" not in response.headers
    assert head.headers["Content-Length"] == response.headers["Content-Length"]


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip ; q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip;q=odd", False),
        ("x-gzipped", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_is_negotiated(header: str, *, accepted: bool) -> None:
    """Accept-Encoding is read with its weights, not searched for a word."""
    assert accepts_gzip(CIMultiDict({"Accept-Encoding": header})) is accepted


async def test_no_accept_encoding_means_no_compression() -> None:
    """A client that names no coding gets none."""
    assert not accepts_gzip(CIMultiDict())


async def test_the_caller_is_described(client: Client, fake: FakeExporter) -> None:
    """What tells one scraper from another reaches the renderer as it was sent."""
    headers = {
        "X-Prometheus-Scrape-Timeout-Seconds": "9.5",
        "User-Agent": "Prometheus/2.42.0",
        "Accept": "application/openmetrics-text",
    }
    await client.get("/metrics?scraper=b&name[]=asynctask_tasks&name[]=asynctask_source_up", headers=headers)
    (request,) = fake.scrapes
    assert request.accept == "application/openmetrics-text"
    assert request.names == ("asynctask_tasks", "asynctask_source_up")
    caller = request.caller
    assert (caller.address, caller.user_agent) == ("127.0.0.1", "Prometheus/2.42.0")
    assert (caller.timeout, caller.scraper) == ("9.5", "b")


async def test_one_connection_is_one_object(client: Client, fake: FakeExporter) -> None:
    """Scrapes over one kept connection are told as such; it is closing once the client has left."""
    for _ in range(2):
        await (await client.get("/metrics")).read()
    first, second = (await fake.delivered.get(), await fake.delivered.get())
    assert first.caller.connection is second.caller.connection
    assert not first.caller.connection.is_closing()
    await client.session.close()
    async with asyncio.timeout(60):
        while not first.caller.connection.is_closing():
            await asyncio.sleep(0.01)


async def test_connections_of_two_clients_differ(fake: FakeExporter) -> None:
    """Two scrapers at the same time are two connections."""
    async with TestServer(build(fake)) as server:
        streams = [await asyncio.open_connection(server.host, server.port) for _ in range(2)]
        for _, writer in streams:
            writer.write(REQUEST)
        first, second = (await fake.delivered.get(), await fake.delivered.get())
        assert first.caller.connection is not second.caller.connection
        for _, writer in streams:
            writer.close()


async def test_delivery_is_reported(client: Client, fake: FakeExporter) -> None:
    """An answer that was written completely is reported as delivered, once."""
    await (await client.get("/metrics")).read()
    assert await fake.delivered.get() is fake.scrapes[0]
    assert fake.delivered.empty()
    assert fake.abandoned.empty()


async def test_head_delivers_nothing(client: Client, fake: FakeExporter) -> None:
    """HEAD shows no counts to anybody, so nothing counts as shown."""
    await client.head("/metrics")
    assert await fake.abandoned.get() is fake.scrapes[0]
    assert fake.delivered.empty()


async def test_a_client_that_leaves_half_way_got_nothing(fake: FakeExporter, address: Address) -> None:
    """An answer larger than all buffers, to a client that hangs up, is abandoned and no defect."""
    fake.pieces = [b"#" * 1_000_000] * 50
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(REQUEST)
    await reader.readexactly(1000)
    writer.transport.abort()
    async with asyncio.timeout(60):
        await fake.abandoned.get()
    assert fake.delivered.empty()
    assert fake.failures == 0


async def test_a_client_that_left_before_the_answer_got_nothing(fake: FakeExporter, address: Address) -> None:
    """Metrics that were rendered for nobody are abandoned, and no defect."""
    fake.rendered.clear()
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(REQUEST)
    async with asyncio.timeout(60):
        while not fake.scrapes:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while not fake.scrapes[0].caller.connection.is_closing():
            await asyncio.sleep(0.01)
        fake.rendered.set()
        await fake.abandoned.get()
    assert fake.delivered.empty()
    assert fake.failures == 0


async def test_a_client_that_left_during_a_pause_got_nothing(fake: FakeExporter, address: Address) -> None:
    """Metrics were rendered in time, but the process stood still until the scraper had given up."""
    fake.rendered.clear()
    with socket.create_connection((address.host, address.port)) as scraper:
        scraper.sendall(REQUEST)
        while not fake.scrapes:
            await asyncio.sleep(0)
        scraper.shutdown(socket.SHUT_WR)  # As far away, from where no reset comes before all is written.
        fake.rendered.set()  # Before the loop could hear that the connection is closed.
        async with asyncio.timeout(60):
            assert await fake.abandoned.get() is fake.scrapes[0]
    assert fake.delivered.empty()


async def test_a_defect_is_answered_without_its_traceback(client: Client, fake: FakeExporter) -> None:
    """A scrape that fails is a plain 500 and is counted; the next one is served again."""
    fake.error = RuntimeError("hunter2")
    response = await client.get("/metrics")
    assert response.status == 500
    assert await response.text() == "internal error; see the exporter's log\n"
    assert fake.failures == 1
    fake.error = None
    assert (await client.get("/metrics")).status == 200
