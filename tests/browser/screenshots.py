"""Takes the pictures of the live page in ``docs/images``: ``make screenshots``."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import aiohttp
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from exporter.demo.simulation import Simulation
from tests.browser.chromium import launch
from tests.e2e.harness import exporting

IMAGES = Path("docs/images")
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 800}
SPEED = 1.5
WARM_UP = timedelta(seconds=150)
SOURCE, API_DOWN = "epmware", "pulp1"


async def main() -> None:
    """Let the demo run until there is something to see, and take all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        async with (
            Simulation(seed=7, speed=SPEED) as simulation,
            exporting(simulation.config_yaml(), Path(folder)) as running,
        ):
            await asyncio.sleep(WARM_UP.total_seconds())
            await simulation.servers[API_DOWN].down()
            await until_down(running.url)
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                await take_all(browser, running.url)
                await browser.close()


async def take_all(browser: Browser, url: str) -> None:
    """Light, dark, narrow, and the pages of two tasks."""
    tasks = await ask(f"{url}/api/v1/tasks?source={SOURCE}&limit=500")
    failed = path_of(task for task in tasks["tasks"] if task["status"] == "error")
    await take(browser, url, "/", "tasks-light")
    await take(browser, url, "/", "tasks-dark", scheme="dark")
    await take(browser, url, "/", "tasks-narrow", size=NARROW)
    await take(browser, url, failed, "task-light", log=True)
    await take(browser, url, failed, "task-dark", scheme="dark", log=True)


async def take(
    browser: Browser,
    url: str,
    path: str,
    name: str,
    *,
    scheme: Any = "light",  # noqa: ANN401 - one of Playwright's literals
    size: ViewportSize = WIDE,
    log: bool = False,
) -> None:
    """Take one picture, once the page is live."""
    page = await browser.new_page(base_url=url, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    await page.goto(path)
    await page.locator("body[data-connection=live]").wait_for()
    if log:
        await show_log(page)
    await page.screenshot(path=IMAGES / f"{name}.png")
    await page.close()


async def show_log(page: Page) -> None:
    """Open the log."""
    await page.get_by_role("button", name="Show log").click()
    await page.get_by_role("region", name="Log").wait_for()


async def until_down(url: str) -> None:
    """Wait until the exporter has noticed that a source is down."""
    while all(source["up"] for source in (await ask(f"{url}/api/v1/sources"))["sources"]):
        await asyncio.sleep(0.5)


async def ask(url: str) -> Mapping[str, Any]:
    """What the JSON API answers."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        data: Mapping[str, Any] = (await response.json())["data"]
        return data


def path_of(tasks: Iterable[Mapping[str, str]]) -> str:
    """The page of the first of some tasks."""
    task = next(iter(tasks))
    return f"/tasks/{quote(task['source'])}/{quote(task['task_id'], safe='')}"


if __name__ == "__main__":
    asyncio.run(main())
