"""What axe-core, which knows the rules of WCAG, finds on the pages; by light and by dark, wide and narrow."""

from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it tells no types
from playwright.async_api import Browser

from exporter.model import Status, Subtask, Task
from exporter.web.views import SourceInfo
from tests.browser.conftest import Served
from tests.web.fake_exporter import START, moment, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fill(served: Served) -> None:
    """A task of every status, and a source of every state."""
    fake = served.fake
    up = SourceInfo(
        name="epm", api="epmware", url="u", up=True, acknowledgement=True, tasks={Status.ERROR: 1}
    )
    down = SourceInfo(name="pulp", api="pulp", url="u", up=False, last_error="HTTP 502")
    fake.infos = [up, down, SourceInfo(name="new", api="pulp", url="u")]
    fake.took["epm", "import"] = [60.0, 60.0, 60.0]
    tasks = [
        Task(id=status, status=status, operation="import", message="said", progress=0.5, started_at=START)
        for status in Status
    ]
    parts = (Subtask(id="a", status=Status.ERROR, name="Load"),)
    failed = Task(id="7", status=Status.ERROR, message="m", detail="d", error_code="E", subtasks=parts)
    fake.add("epm", *tasks, running("stalled"), failed)
    fake.at = moment(3600)
    fake.logs["epm", "7"] = "a log"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("path", ["/", "/?status=error", "/tasks/epm/7", "/status", "/config"])
async def test_no_rule_is_broken(
    browser: Browser, served: Served, path: str, scheme: Literal["light", "dark"], width: int
) -> None:
    """Names, roles, contrasts and order are such that everybody can use the page."""
    fill(served)
    page = await browser.new_page(
        base_url=served.url,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": width, "height": 800},
    )
    await page.goto(path)
    if path not in {"/status", "/config"}:
        await page.locator("body[data-connection=live]").wait_for()
    if path.startswith("/tasks"):
        await page.get_by_role("button", name="Show log").click()
        await page.get_by_role("region", name="Log").wait_for()
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    await page.close()
