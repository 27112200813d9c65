"""The page of all tasks, as people use it."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from exporter.model import Status, Task
from exporter.web.views import SourceInfo
from tests.browser.conftest import Served
from tests.real.waiting import until
from tests.web.fake_exporter import START, FakeExporter, moment, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fill(fake: FakeExporter) -> None:
    """Two sources, one of them down, with tasks of all kinds."""
    fake.infos = [
        SourceInfo(
            name="epm",
            api="epmware",
            url="https://epm.example",
            up=True,
            tasks={Status.RUNNING: 2, Status.PENDING: 1, Status.ERROR: 1},
        ),
        SourceInfo(name="pulp", api="pulp", url="https://pulp.example", up=False, last_error="HTTP 502"),
    ]
    fake.took["epm", "import"] = [60.0, 60.0, 60.0]
    fake.add(
        "epm",
        running("1", operation="import", name="Load actuals", progress=0.25, processed=5, started_at=START),
        running("2", operation="deploy"),
        Task(id="3", status=Status.PENDING, operation="import", message="Task is queued"),
        Task(id="4", status=Status.ERROR, operation="import", message="Invalid data", error_code="IMP_001"),
    )
    fake.add("pulp", running("5", operation="sync"), Task(id="6", status=Status.SUCCESS, operation="sync"))
    fake.at = moment(30)


def rows(page: Page) -> Locator:
    """The rows of tasks that are shown."""
    return page.locator("#tasks tr:not(.group):visible").filter(has=page.locator("td"))


async def names(page: Page, *expected: str) -> None:
    """Wait until these tasks are shown, in this order."""
    await expect(rows(page).locator("a.name")).to_have_text(list(expected))


async def test_a_stranger_sees_what_goes_on(page: Page, fake: FakeExporter) -> None:
    """Sources tell their health, tasks their status, progress, age, remaining time and message in words."""
    fill(fake)
    await page.goto("/")
    await expect(page.locator(".source").nth(0)).to_have_text(
        re.compile("epm.*up.*2 running.*1 waiting.*1 failed")
    )
    await expect(page.locator(".source").nth(1)).to_contain_text("down")
    await expect(page.locator(".source").nth(1)).to_contain_text("HTTP 502")
    await names(page, "Load actuals", "deploy 2", "sync 5", "import 3", "import 4", "sync 6")
    first = rows(page).filter(has_text="Load actuals")
    await expect(first.get_by_role("progressbar", name="Progress of Load actuals")).to_have_attribute(
        "value", "0.25"
    )
    await expect(first).to_contain_text(re.compile(r"running.*25 %.*5.*3\ds.*about 3\ds|about 4\ds"))
    failed = rows(page).filter(has_text="import 4")
    await expect(failed).to_contain_text(re.compile("error.*IMP_001 Invalid data"))
    await expect(page.get_by_role("rowheader")).to_have_text(["In progress · 4", "Ended · 2"])


async def test_filters_are_kept_in_the_address(page: Page, fake: FakeExporter) -> None:
    """Status, source, operation and text narrow what is shown; the address leads to the same view again."""
    fill(fake)
    await page.goto("/")
    await page.get_by_role("button", name=re.compile("^running")).click()
    await names(page, "Load actuals", "deploy 2", "sync 5")
    await page.get_by_role("button", name=re.compile("^epm")).click()
    await names(page, "Load actuals", "deploy 2")
    await page.get_by_label("Operation").select_option("import")
    await names(page, "Load actuals")
    await page.get_by_label("Operation").select_option("All operations")
    await page.get_by_role("searchbox").fill("ACTU")
    await names(page, "Load actuals")
    await expect(page).to_have_url(re.compile(r"\?source=epm&status=running&text=ACTU$"))
    await page.reload()
    await names(page, "Load actuals")
    await expect(page.get_by_role("button", name=re.compile("^epm"))).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.get_by_role("button", name="Clear filters").click()
    await expect(rows(page)).to_have_count(6)
    await expect(page).to_have_url(re.compile(r"/$"))


async def test_a_filter_that_matches_nothing_says_so(page: Page, fake: FakeExporter) -> None:
    """An empty list is explained, and the number is told to those who cannot see it."""
    fill(fake)
    await page.goto("/")
    await page.get_by_role("searchbox").fill("nothing like that")
    await expect(page.locator("#empty")).to_have_text("No task matches these filters.")
    await expect(page.locator("#count")).to_have_text("0 tasks of 6")


async def test_without_tasks_the_page_tells_what_to_do(page: Page) -> None:
    """Somebody who has just set it up learns where tasks come from."""
    await page.goto("/")
    await expect(page.locator("#empty")).to_contain_text("asynctask-exporter watch SOURCE TASK_ID")


async def test_the_page_is_used_by_keyboard(page: Page, fake: FakeExporter) -> None:
    """A slash leads to the search, Tab to the tasks, Enter to the page of one."""
    fill(fake)
    await page.goto("/")
    await expect(rows(page)).to_have_count(6)
    await page.keyboard.press("/")
    await page.keyboard.type("actuals")
    await names(page, "Load actuals")
    link = page.get_by_role("link", name="Load actuals")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await link.evaluate("link => link === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Load actuals")


async def test_the_focus_stays_when_rows_move(page: Page, fake: FakeExporter) -> None:
    """A task that overtakes another takes the focus from nobody."""
    fill(fake)
    await page.goto("/")
    link = page.get_by_role("link", name="import 3")
    await link.focus()
    fake.add("epm", running("3", operation="import"), at=31)
    fake.at = moment(31)
    await names(page, "Load actuals", "deploy 2", "import 3", "sync 5", "import 4", "sync 6")
    await expect(link).to_be_focused()


async def test_progress_moves_live(page: Page, fake: FakeExporter) -> None:
    """The bar follows the task without a reload; a task that ends goes to the ended ones."""
    fill(fake)
    await page.goto("/")
    bar = page.get_by_role("progressbar", name="Progress of Load actuals")
    await expect(bar).to_have_attribute("value", "0.25")
    fake.add("epm", running("1", operation="import", name="Load actuals", progress=0.75), at=31)
    await expect(bar).to_have_js_property("value", 0.75)
    fake.add("epm", Task(id="1", status=Status.SUCCESS, name="Load actuals"), at=32)
    await names(page, "deploy 2", "sync 5", "import 3", "Load actuals", "import 4", "sync 6")


async def test_the_connection_is_lost_and_found(page: Page, served: Served) -> None:
    """The page says that it is cut off, keeps what it shows, and goes on by itself."""
    fill(served.fake)
    await page.goto("/")
    state = page.locator("#connection")
    await expect(state).to_have_text("Live")
    await served.down()
    await expect(state).to_contain_text("Connection lost, trying again. What you see is from")
    await expect(rows(page)).to_have_count(6)
    served.fake.by_source["epm"].drop("2")
    served.fake.add("epm", running("7", operation="export"), at=40)
    served.fake.at = moment(41)
    await served.up()
    await expect(state).to_have_text("Live")
    await names(page, "export 7", "Load actuals", "sync 5", "import 3", "import 4", "sync 6")


async def test_two_thousand_tasks_are_no_burden(page: Page, fake: FakeExporter) -> None:
    """With 2000 tasks, a tenth of them moving each second, the page draws what is in sight and stays idle."""
    tasks = [running(f"t{number}", operation="sync", progress=0.0) for number in range(2000)]
    fake.add("pulp", *tasks)
    await page.goto("/")
    await expect(page.get_by_role("rowheader").first).to_have_text("In progress · 2\u2009000")
    assert await rows(page).count() <= 300
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = await busy(session)
    for second in range(1, 5):
        moved = [
            running(f"t{number}", operation="sync", progress=second / 10) for number in range(0, 2000, 10)
        ]
        fake.add("pulp", *moved, at=second)
        fake.at = moment(second)
        await expect(page.get_by_role("progressbar", name="Progress of sync t0")).to_have_js_property(
            "value", second / 10
        )
    assert await busy(session) - before < 2.0


async def busy(session: object) -> float:
    """The seconds of a processor that the page's main thread has taken."""
    told = await session.send("Performance.getMetrics")  # type: ignore[attr-defined]
    return float({metric["name"]: metric["value"] for metric in told["metrics"]}["TaskDuration"])


async def is_live(page: Page) -> bool:
    """Whether the page follows the exporter, or is one that does not need to."""
    return await page.evaluate("document.body.dataset.connection") in (None, "live")


@pytest.mark.parametrize("path", ["/", "/tasks/epm/4", "/status", "/config"])
async def test_nothing_is_cut_off_on_a_telephone(page: Page, fake: FakeExporter, path: str) -> None:
    """At 360 pixels no page needs to be scrolled sideways, however long the texts are."""
    fill(fake)
    fake.add("epm", running("x" * 200, name="y" * 300, message="z" * 500, operation="o" * 80))
    await page.set_viewport_size({"width": 360, "height": 700})
    await page.goto(path)
    # Playwright's own waiting evaluates text in the page, which the page's policy forbids.
    await until("the page is live", lambda: is_live(page))
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
