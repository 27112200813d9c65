"""A served application around a fake exporter."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.web.application import build
from exporter.web.server import Address, Server
from tests.web.fake_exporter import FakeExporter

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def fake() -> FakeExporter:
    """The exporter behind the application."""
    return FakeExporter()


@pytest.fixture
async def client(fake: FakeExporter) -> AsyncIterator[Client]:
    """A client of the application, over a real connection."""
    async with TestClient(TestServer(build(fake)), auto_decompress=False) as client:
        yield client


@pytest.fixture
async def address(fake: FakeExporter) -> AsyncIterator[Address]:
    """Where the real server serves; aiohttp's own for tests treats clients that leave in another way."""
    server = Server(build(fake), [Address("127.0.0.1", 0)])
    (bound,) = await server.start()
    yield bound
    await server.stop()
