"""The pages behind a proxy that has another path for them, and behind a password."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bcrypt
import pytest
from aiohttp import ClientSession, web
from playwright.async_api import Browser, expect

from exporter.secret import Secret
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.paths import Paths
from exporter.web.server import Address, Server
from exporter.web.settings import WebSettings
from tests.browser.conftest import PATIENCE
from tests.browser.test_task_page import failed, source
from tests.web.fake_exporter import FakeExporter

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOCAL = Address("127.0.0.1", 0)
SETTINGS = WebSettings(users={"ada": Secret(bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode())})


@asynccontextmanager
async def proxied(application: web.Application) -> AsyncIterator[str]:
    """Serve it, and a proxy that shows its ``/inner`` as ``/outer``; tells the latter's URL."""
    server = Server(application, [LOCAL])
    (behind,) = await server.start()
    async with ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            url = f"http://{behind}/inner/{request.match_info['rest']}?{request.query_string}"
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            body = await request.read()
            async with session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as inner:
                response = web.StreamResponse(status=inner.status, headers=inner.headers)
                await response.prepare(request)
                async for chunk in inner.content.iter_any():
                    await response.write(chunk)
            return response

        front = web.Application()
        front.add_routes([web.route("*", "/outer/{rest:.*}", forward)])
        proxy = Server(front, [LOCAL])
        (bound,) = await proxy.start()
        try:
            yield f"http://{bound}/outer"
        finally:
            await proxy.stop()
            await server.stop()


async def test_everything_works_below_another_path(browser: Browser) -> None:
    """The list, a task, its acknowledgement and the way back, for who knows the password."""
    fake = FakeExporter()
    fake.infos = [source()]
    fake.add("epm", failed())
    application = build(fake, paths=Paths("/inner", "/outer"), access=Access(current=lambda: SETTINGS))
    async with proxied(application) as url:
        context = await browser.new_context(http_credentials={"username": "ada", "password": "open sesame"})
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        await page.goto(f"{url}/")
        await page.get_by_role("link", name="Load actuals").click()
        await expect(page).to_have_url(f"{url}/tasks/epm/4")
        await expect(page.locator(".standing")).to_have_text("error")
        await page.get_by_label("Your name").fill("Ada")
        await page.get_by_role("button", name="Acknowledge").click()
        await expect(page.locator(".actions [role=status]")).to_contain_text("Acknowledged by Ada")
        await page.get_by_role("link", name="Status").click()
        await expect(page).to_have_url(f"{url}/status")
        await page.get_by_role("link", name="asynctask-exporter").first.click()
        await expect(page).to_have_url(f"{url}/")
        await context.close()
