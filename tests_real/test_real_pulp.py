"""The exporter beside a real Pulp 3: every figure must be the one that Pulp's own documents tell."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.apis.base import Listing
from exporter.apis.pulp import Pulp, PulpOptions
from exporter.clock import SystemClock
from exporter.http import BasicAuth, HttpClient, HttpSettings
from exporter.secret import Secret
from tests_real.client import PulpClient, task_id
from tests_real.figures import Figures
from tests_real.remote import Remote
from tests_real.server import PASSWORD, USER
from tests_real.truth import error_code, took
from tests_real.waiting import until
from tests_real.watched import Watched, watching

SYNC = "pulp_file.app.tasks.synchronizing.synchronize"
HELD_BACK = 0
"""How many files a remote serves when a sync is to last until it is let go."""
A_BATCH = 500
"""Pulp asks for files in batches of so many, and takes down its progress every other second."""
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Watch = Callable[..., AbstractAsyncContextManager[Watched]]


@pytest.fixture
def watch(pulp: PulpClient, tmp_path: Path, figures: Figures, request: pytest.FixtureRequest) -> Watch:
    """Lets a new exporter watch Pulp; when all is done, every figure is compared and some are noted."""

    @asynccontextmanager
    async def begin(*, page_size: int = 100) -> AsyncIterator[Watched]:
        async with watching(pulp, tmp_path, page_size=page_size) as watched:
            yield watched
            await watched.agrees()
            await figures.note(request.node.name, watched)

    return begin


async def test_what_ended_before_is_history(pulp: PulpClient, watch: Watch) -> None:
    """Tasks that ended before the exporter's first start are neither counted nor shown; later ones are."""
    async with Remote() as remote:
        begun = [await pulp.sync_new(where) for where in (remote.manifest, remote.no_manifest)]
        await pulp.ended(*begun, await pulp.clean_orphans())

    async with watch() as watched:
        assert await watched.board() == {}
        assert not any(await watched.samples("asynctask_discovered_total"))
        task = await pulp.clean_orphans()
        await watched.sees(task, "success")
        assert list(await watched.board()) == [task_id(task)]


async def test_a_sync_that_succeeds(pulp: PulpClient, watch: Watch) -> None:
    """A sync is seen with progress between 0 and 1 on its way, and succeeds with all of it."""
    async with Remote(files=2 * A_BATCH + 10, freely=A_BATCH + 20) as remote, watch() as watched:
        task = await pulp.sync_new(remote.manifest)

        async def is_on_its_way() -> bool:
            shown = await watched.samples("asynctask_task_progress_ratio", task_id=task_id(task))
            return any(0 < ratio < 1 for ratio in shown)

        await watched.sees(task, "running")
        await until("progress is seen", is_on_its_way)
        remote.release()
        await watched.sees(task, "success")
        [ended] = await pulp.ended(task)
        shown = (await watched.board())[task_id(task)]

    assert (shown["progress"], shown["processed"], shown["expected"]) == (1.0, 1010, 1010)
    assert datetime.fromisoformat(shown["started_at"]) == datetime.fromisoformat(ended["started_at"])
    assert datetime.fromisoformat(shown["finished_at"]) == datetime.fromisoformat(ended["finished_at"])


async def test_syncs_that_fail(pulp: PulpClient, watch: Watch) -> None:
    """A failed sync shows Pulp's own words, and the code that they begin with where they have one."""
    async with Remote(corrupt=1) as remote, watch() as watched:
        begun = [await pulp.sync_new(where) for where in (remote.no_manifest, remote.manifest)]
        for task in begun:
            await watched.sees(task, "error")
        board = await watched.board()
        ended = await pulp.ended(*begun)

    shown = [board[task_id(task)] for task in begun]
    assert [one["error_code"] for one in shown] == [error_code(task) for task in ended] == ["", "PLP0003"]
    assert [one["message"] for one in shown] == [task["error"]["description"] for task in ended]
    assert "404" in shown[0]["message"]


async def test_syncs_that_are_cancelled(pulp: PulpClient, watch: Watch) -> None:
    """One cancelled while it runs has a duration; one cancelled while it waits behind it has none."""
    async with Remote(freely=HELD_BACK) as remote, watch() as watched:
        repository, source = await pulp.repository(), await pulp.remote(remote.manifest)
        running, waiting = [await pulp.sync(repository, source) for _ in range(2)]
        await watched.sees(running, "running")
        await watched.sees(waiting, "pending")
        for task in (waiting, running):
            await pulp.cancel(task)
        for task in (waiting, running):
            await watched.sees(task, "cancelled")
        ended = await pulp.ended(running, waiting)
        board = await watched.board()

    assert [task["started_at"] is None for task in ended] == [False, True]
    shown = [board[task_id(task)]["duration_seconds"] for task in (running, waiting)]
    assert shown == [_seconds(took(task)) for task in ended]
    assert shown[0] > 0
    assert shown[1] is None


async def test_syncs_that_wait(pulp: PulpClient, watch: Watch) -> None:
    """Behind the same repository a sync is not ready before it is unblocked; behind a busy worker it is."""
    async with Remote(freely=HELD_BACK) as remote, watch() as watched:
        repository, source = await pulp.repository(), await pulp.remote(remote.manifest)
        first, blocked = [await pulp.sync(repository, source) for _ in range(2)]
        ready = await pulp.sync_new(remote.manifest)
        await watched.sees(first, "running")
        for task in (blocked, ready):
            await watched.sees(task, "pending")
        remote.release()
        for task in (first, blocked, ready):
            await watched.sees(task, "success")
        begun, later, busy = await pulp.ended(first, blocked, ready)

    assert later["unblocked_at"] > begun["finished_at"] > busy["unblocked_at"]


async def test_other_work(pulp: PulpClient, watch: Watch) -> None:
    """What is not a sync is counted as an operation of its own."""
    async with watch() as watched:
        begun = [await pulp.clean_orphans(), await pulp.delete(await pulp.repository())]
        for task in begun:
            await watched.sees(task, "success")
        operations = {task["name"] for task in await pulp.ended(*begun)}
        counted = [
            sum(await watched.samples("asynctask_finished_total", operation=operation, status="success"))
            for operation in operations
        ]

    assert counted == [1, 1]


async def test_killed_in_the_middle(pulp: PulpClient, watch: Watch) -> None:
    """A ``kill -9`` loses nothing and counts nothing twice: not what ended before, during, or after it."""
    async with Remote(freely=HELD_BACK) as remote, watch() as watched:
        before = await pulp.sync_new(remote.no_manifest)
        await watched.sees(before, "error")
        during = [await pulp.sync_new(remote.manifest), await pulp.sync_new(remote.manifest)]
        await watched.sees(during[0], "running")
        await watched.sees(during[1], "pending")

        await watched.kill()
        unseen = await pulp.sync_new(remote.no_manifest)
        remote.release()
        await pulp.ended(*during, unseen)
        await watched.restart()
        for task, status in ((during[0], "success"), (during[1], "success"), (unseen, "error")):
            await watched.sees(task, status)
        after = await pulp.sync_new(remote.no_manifest)
        await watched.sees(after, "error")

        await watched.kill()
        await watched.restart()
        finished = await watched.samples("asynctask_finished_total", operation=SYNC)

    assert sum(finished) == len((before, *during, unseen, after))


async def test_more_tasks_than_fit_on_a_page(pulp: PulpClient, watch: Watch) -> None:
    """With three tasks a page, a burst that is listed while it is worked off is counted like any other."""
    async with Remote(freely=HELD_BACK) as remote, watch(page_size=3) as watched:
        holding = await pulp.sync_new(remote.manifest)
        repository, nothing = await pulp.repository(), await pulp.remote(remote.no_manifest)
        burst = [await pulp.sync(repository, nothing) for _ in range(8)]
        for task in burst:
            await watched.sees(task, "pending")
        remote.release()
        await watched.sees(holding, "success")
        for task in burst:
            await watched.sees(task, "error")


@pytest.mark.parametrize("page_size", [3, 100])
async def test_a_listing_of_pages(pulp: PulpClient, page_size: int) -> None:
    """Our own listing finds just Pulp's tasks, however many pages it takes, and knows if it may have gaps."""
    async with Remote(freely=HELD_BACK) as remote:
        repository, source = await pulp.repository(), await pulp.remote(remote.manifest)
        begun = [await pulp.sync(repository, source) for _ in range(4)]
        listing = await _list(pulp.url, page_size)
        told = {task_id(task["pulp_href"]): task["finished_at"] is None for task in await pulp.tasks()}
        remote.release()
        await pulp.ended(*begun)

    assert {task.id: not task.status.is_final for task in listing.tasks} == told
    assert len(listing.tasks) == len(told)
    assert listing.complete is (math.ceil(len(begun) / page_size) == 1)


async def _list(url: str, page_size: int) -> Listing:
    """List all that a Pulp knows."""
    settings = HttpSettings(
        url=url, basic_auth=BasicAuth(username=USER, password=Secret(PASSWORD)), requests_per_second=math.inf
    )
    async with HttpClient(settings, clock=SystemClock()) as client:
        return await Pulp(client, PulpOptions(page_size=page_size)).list(LONG_AGO)


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
