"""The page of one task, as people use it, and what hostile systems try with it."""

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from exporter.model import Status, Subtask, Task
from exporter.web.views import SourceInfo
from tests.browser.conftest import Served
from tests.web.fake_exporter import START, FakeExporter, moment, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "</script></title></pre><img src=x onerror='window.pwned=1'><svg onload=window.pwned=1>{{7*7}}"


def source(*, acknowledgement: bool = True, keeps_logs: bool = True) -> SourceInfo:
    """The source of the tasks."""
    return SourceInfo(
        name="epm",
        api="epmware",
        url="https://epm.example",
        up=True,
        registration=True,
        acknowledgement=acknowledgement,
        keeps_logs=keeps_logs,
    )


def failed(task_id: str = "4", **more: object) -> Task:
    """A task that failed, with everything that an API may tell."""
    values: dict[str, object] = {
        "id": task_id,
        "status": Status.ERROR,
        "operation": "import",
        "name": "Load actuals",
        "progress": 0.4,
        "started_at": START,
        "message": "Invalid data",
        "error_code": "IMP_001",
        "detail": "Traceback\n  line 7",
        "subtasks": (
            Subtask(id="a", status=Status.SUCCESS, name="Extract"),
            Subtask(id="b", status=Status.ERROR, name="Load"),
        ),
    } | more
    return Task(**values)  # type: ignore[arg-type]


async def test_a_task_is_opened_and_understood(page: Page, fake: FakeExporter) -> None:
    """From the list to the page of a failed task: its error, subtasks, timeline and facts."""
    fake.infos = [source()]
    fake.add("epm", failed())
    await page.goto("/")
    await page.get_by_role("link", name="Load actuals").click()
    await expect(page).to_have_url(re.compile("/tasks/epm/4$"))
    await expect(page).to_have_title("Load actuals - asynctask-exporter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Load actuals")
    await expect(page.locator(".standing")).to_have_text("error")
    await expect(page.locator(".said")).to_contain_text("IMP_001")
    await expect(page.get_by_label("Details")).to_have_text("Traceback\n  line 7")
    await expect(page.locator(".subtasks h2")).to_have_text("Subtasks · 2 of 2 ended")
    await expect(page.locator(".subtasks tbody tr")).to_have_text(["successExtracta", "errorLoadb"])
    await expect(page.locator(".timeline .what")).to_have_text(["Started", "First seen here", "Ended: error"])


async def test_a_log_is_read(page: Page, fake: FakeExporter) -> None:
    """The log is asked for when somebody wants it, and shown as it is."""
    fake.infos = [source()]
    fake.add("epm", failed())
    fake.logs["epm", "4"] = "first line\n\tsecond line\n"
    await page.goto("/tasks/epm/4")
    assert not fake.asked.is_set()
    await page.get_by_role("button", name="Show log").click()
    await expect(page.get_by_role("region", name="Log")).to_have_text("first line\n\tsecond line\n")
    await expect(page.locator(".log [role=status]")).to_have_text("2 lines")


async def test_where_there_are_no_logs_there_is_no_button(page: Page, fake: FakeExporter) -> None:
    """Nobody is offered what the API does not have, nor an acknowledgement where there is no alert."""
    fake.infos = [source(acknowledgement=False, keeps_logs=False)]
    fake.add("epm", failed())
    await page.goto("/tasks/epm/4")
    await expect(page.locator(".timeline")).to_be_visible()
    await expect(page.get_by_role("button", name="Show log")).to_have_count(0)
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


async def test_a_failure_is_acknowledged(page: Page, fake: FakeExporter) -> None:
    """Who presses the button is noted as having seen it."""
    fake.infos = [source()]
    fake.add("epm", failed())
    await page.goto("/tasks/epm/4")
    await page.get_by_label("Your name").fill("Ada")
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator(".actions [role=status]")).to_contain_text("Acknowledged by Ada")
    assert fake.acknowledged["epm", "4"].by == "Ada"


async def test_a_task_is_followed_to_its_end(page: Page, fake: FakeExporter) -> None:
    """The page shows how a task moves and ends, without a reload."""
    fake.infos = [source()]
    fake.add("epm", running("4", progress=0.5, started_at=START))
    await page.goto("/tasks/epm/4")
    await expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.5)
    fake.add("epm", running("4", progress=0.75, started_at=START), at=1)
    await expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.75)
    fake.add("epm", failed(), at=2)
    fake.at = moment(3)
    await expect(page.locator(".standing")).to_have_text("error")
    await expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()


async def test_a_task_that_is_gone_says_so(page: Page, fake: FakeExporter) -> None:
    """A link from an old page explains itself, and the queries still work."""
    fake.infos = [source()]
    await page.goto("/tasks/epm/4")
    await expect(page.locator(".notice")).to_contain_text("Source epm has no task 4 on its board.")
    await expect(page.locator(".queries code").first).to_have_text(
        'asynctask_task_status{source="epm", task_id="4"}'
    )


@pytest.mark.parametrize("task_id", ["/pulp/api/v3/tasks/01/", "a b?c#d%e", 'quo"te\\', "täsk"])
async def test_any_id_has_a_page(page: Page, fake: FakeExporter, task_id: str) -> None:
    """The link in the list leads to the right task whatever its id is, and PromQL quotes it."""
    fake.infos = [source()]
    fake.add("epm", failed(task_id), failed("other", name="Other"))
    await page.goto("/")
    await page.get_by_role("link", name="Load actuals").click()
    await expect(page.locator("#path-id")).to_have_text(task_id)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Load actuals")
    quoted = task_id.replace("\\", "\\\\").replace('"', '\\"')
    await expect(page.locator(".queries code").first).to_contain_text(f'task_id="{quoted}"')


async def test_hostile_texts_stay_texts(page: Page, fake: FakeExporter) -> None:
    """Script in a name, message, log, id or anything else that an API sends is shown and never run."""
    fake.infos = [
        SourceInfo(name="epm", api=HOSTILE, url=HOSTILE, up=False, last_error=HOSTILE, acknowledgement=True)
    ]
    task = failed(
        HOSTILE,
        name=HOSTILE,
        operation=HOSTILE,
        message=HOSTILE,
        error_code=HOSTILE,
        detail=HOSTILE,
        parent_id=HOSTILE,
        subtasks=(Subtask(id=HOSTILE, status=Status.ERROR, name=HOSTILE),),
    )
    fake.add("epm", task)
    fake.logs["epm", HOSTILE] = HOSTILE
    await page.goto("/")
    await expect(page.locator("td.message .clamp")).to_have_text(HOSTILE)
    await expect(page.locator(".problem")).to_contain_text(HOSTILE)
    await page.goto(f"/tasks/epm/{quote(HOSTILE, safe='')}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    await page.get_by_role("button", name="Show log").click()
    await expect(page.get_by_role("region", name="Log")).to_have_text(HOSTILE)
    assert await page.locator("main img, main script, main svg:not([aria-hidden])").count() == 0
    assert await page.evaluate("window.pwned") is None


async def test_markup_that_came_in_would_be_refused(browser: Browser, served: Served) -> None:
    """Even if a mistake of ours made markup of a text, the browser would not take it."""
    page = await browser.new_page(base_url=served.url)
    await page.goto("/")
    refused = await page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
    )
    assert refused
    await page.close()
