"""Debian's Chromium in front of a served exporter whose tasks the test decides."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from exporter.web.application import build
from exporter.web.server import Address, Server
from tests.browser.chromium import launch
from tests.real.program import free_port
from tests.web.fake_exporter import FakeExporter

PATIENCE = 60_000
"""Milliseconds to wait for what ought to come, on a machine that does ten other things."""


class Served:
    """A fake exporter behind the real server, which may go down and come up again."""

    def __init__(self) -> None:
        self.fake = FakeExporter()
        self.address = Address("127.0.0.1", free_port())
        self.url = f"http://{self.address}"
        self._server: Server | None = None

    async def up(self) -> None:
        """Serve."""
        self._server = Server(build(self.fake), [self.address])
        await self._server.start()

    async def down(self) -> None:
        """Be gone."""
        if self._server is not None:
            await self._server.stop()
            self._server = None


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests."""
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def served() -> AsyncIterator[Served]:
    """The exporter, up."""
    served = Served()
    await served.up()
    yield served
    await served.down()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, served: Served) -> AsyncIterator[Page]:
    """A page of its own for each test; whatever its console calls an error fails the test."""
    context = await browser.new_context(base_url=served.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    await context.close()
    assert [error for error in errors if not error.startswith("Failed to load resource: net::")] == []


@pytest.fixture
def fake(served: Served) -> FakeExporter:
    """What the test puts tasks into."""
    return served.fake
