"""The command that hands over ids, against the real endpoint."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.errors import StorageError
from exporter.model import WatchedId
from exporter.watch import NotWatched, Patience, run, watch
from exporter.web.application import build
from exporter.web.server import Address, Server
from exporter.web.views import TooManyTasks, UnknownSource
from tests.http.servers import answer, says, serve
from tests.real.program import free_port
from tests.web.fake_exporter import FakeExporter

WATCHED = b'{"status": "success", "data": {"source": "epm", "new": ["1"], "known": []}}'
IMPATIENT = Patience(in_all=0.0, between=0.01, per_try=60.0)
PATIENT = Patience(in_all=60.0, between=0.01, per_try=60.0)


@pytest.fixture
async def url(fake: FakeExporter) -> AsyncIterator[str]:
    """The address of an exporter."""
    async with TestServer(build(fake)) as server:
        yield str(server.make_url("/"))


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    return free_port()


async def test_ids_are_handed_over(url: str, fake: FakeExporter) -> None:
    """All ids go in one request, with what is known about them, and a line says what was new."""
    fake.known.add("2")
    line = await watch(url, "epm", ["1", "2", "3"], operation="import", name="Q4", patience=IMPATIENT)
    assert line == "epm: 2 new tasks watched, 1 known already"
    ((source, watched),) = fake.posted
    assert source == "epm"
    assert watched == tuple(WatchedId(id=each, operation="import", name="Q4") for each in "123")


async def test_one_id_is_one_task(url: str) -> None:
    """The line reads well for a single id, the common case."""
    assert await watch(url, "epm", ["1"], patience=IMPATIENT) == "epm: 1 new task watched"


async def test_a_source_is_named_whatever_its_name(url: str, fake: FakeExporter) -> None:
    """A name is one part of the path, never two."""
    await watch(url, "a/b c?", ["1"], patience=IMPATIENT)
    assert fake.posted[0][0] == "a/b c?"


@pytest.mark.parametrize(
    "refusal",
    [UnknownSource("there is no source 'epm'; known: pulp"), TooManyTasks("it watches 5 of 5 tasks")],
)
async def test_a_refusal_is_told_in_the_exporters_words(
    url: str, fake: FakeExporter, refusal: Exception
) -> None:
    """What the exporter refuses is not tried again, and its reason is shown."""
    fake.error = refusal
    with pytest.raises(NotWatched) as caught:
        await watch(url, "epm", ["1"], patience=PATIENT)
    assert str(caught.value) == str(refusal)


async def test_a_bad_id_is_refused_with_its_place(url: str) -> None:
    """The exporter names which of the ids it does not take."""
    with pytest.raises(NotWatched, match=r"^tasks\[1\].task_id: a task id is empty$"):
        await watch(url, "epm", ["1", " "], patience=PATIENT)


async def test_a_busy_exporter_is_asked_again(url: str, fake: FakeExporter) -> None:
    """A 503 is tried again until the ids are committed."""
    fake.error = StorageError("busy")
    post = asyncio.create_task(watch(url, "epm", ["1"], patience=PATIENT))
    await fake.asked.wait()
    fake.error = None
    assert await post == "epm: 1 new task watched"


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_exporter_behind_a_proxy_is_waited_for(status: int) -> None:
    """While the exporter restarts its proxy answers, in words of its own; the ids are not lost for that."""
    async with serve(says(answer(status, b"<html>"), answer(201, WATCHED))) as proxy:
        assert await watch(proxy.url, "epm", ["1"], patience=PATIENT) == "epm: 1 new task watched"
    async with serve(says(answer(status, b"<html>"))) as proxy:
        with pytest.raises(NotWatched, match=rf"^{proxy.url} is not available now \({status}\)$"):
            await watch(proxy.url, "epm", ["1"], patience=IMPATIENT)


async def test_a_busy_exporter_is_given_up(url: str, fake: FakeExporter) -> None:
    """When patience ends, the exporter's reason is what is told."""
    fake.error = StorageError("busy")
    with pytest.raises(NotWatched, match="could not be committed yet"):
        await watch(url, "epm", ["1"], patience=IMPATIENT)


async def test_an_exporter_that_starts_late_is_waited_for(fake: FakeExporter, closed_port: int) -> None:
    """A script need not know that the exporter is being restarted."""
    post = asyncio.create_task(watch(f"http://127.0.0.1:{closed_port}", "epm", ["1"], patience=PATIENT))
    await asyncio.sleep(0.05)
    server = Server(build(fake), [Address("127.0.0.1", closed_port)])
    await server.start()
    assert await post == "epm: 1 new task watched"
    await server.stop()


async def test_an_exporter_that_is_not_there_is_told(closed_port: int) -> None:
    """The line says what could not be reached, without the password that was in the address."""
    with pytest.raises(NotWatched) as caught:
        await watch(f"http://me:hunter2@127.0.0.1:{closed_port}", "epm", ["1"], patience=IMPATIENT)
    place = f"POST http://127.0.0.1:{closed_port}/api/v1/sources/epm/tasks"
    assert str(caught.value) == f"{place}: cannot connect: Connection refused"


async def test_an_answer_that_does_not_come_is_told(url: str, fake: FakeExporter) -> None:
    """A hanging server ends in an error, not in a hanging script."""
    fake.committed.clear()
    with pytest.raises(NotWatched, match=r"^POST http://127.0.0.1:\d+/\S+: no whole answer within 0.05s$"):
        await watch(url, "epm", ["1"], patience=Patience(in_all=0.0, between=0.01, per_try=0.05))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>"),
        (404, "404 page not found"),
        (200, "[]"),
        (201, '{"data": 1}'),
        (200, "[" * 99999),
    ],
)
async def test_another_server_is_told_apart(status: int, body: str) -> None:
    """An address where something else listens is no success, whatever it answers."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    application = web.Application()
    application.router.add_post("/{path:.*}", answer)
    async with TestServer(application) as server:
        with pytest.raises(NotWatched, match="not as asynctask-exporter would; is --url right"):
            await watch(str(server.make_url("/")), "epm", ["1"], patience=PATIENT)


async def test_redirects_are_not_followed() -> None:
    """Ids, and a password in the address, go to the exporter that was named and to nobody else."""
    application = web.Application()

    async def move(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/moved")

    async def succeed(_request: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"new": ["1"], "known": []}})

    application.router.add_post("/api/v1/sources/epm/tasks", move)
    application.router.add_post("/moved", succeed)
    async with TestServer(application) as server:
        with pytest.raises(NotWatched, match=r"redirected, which is followed for GET only; check --url$"):
            await watch(str(server.make_url("/")), "epm", ["1"], patience=PATIENT)


@pytest.mark.parametrize(
    "url", ["", "localhost:9926", "ftp://localhost", "http://", "http://[::1", "http://a:b"]
)
async def test_a_bad_url_is_told(url: str) -> None:
    """A --url that is no address is told at once."""
    with pytest.raises(
        NotWatched, match=r"^--url must be the exporter's address, such as http://localhost:9926$"
    ):
        await watch(url, "epm", ["1"], patience=PATIENT)


@pytest.mark.parametrize("source", ["", ".", ".."])
async def test_a_source_that_is_a_path_is_told(source: str) -> None:
    """What would change the path is no source."""
    with pytest.raises(NotWatched, match="cannot be the name of a source"):
        await watch("http://localhost:9926", source, ["1"], patience=PATIENT)


async def test_the_command_prints_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Success is exit code 0 and a line on standard output."""
    assert await asyncio.to_thread(run, watch(url, "epm", ["1"])) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("epm: 1 new task watched\n")
    assert printed.err == ""


async def test_the_command_fails_with_one_line(
    url: str, fake: FakeExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failure is exit code 1 and a line on standard error."""
    fake.error = UnknownSource("there is no source 'epm'")
    assert await asyncio.to_thread(run, watch(url, "epm", ["1"])) == 1
    assert capsys.readouterr().err == "asynctask-exporter: error: there is no source 'epm'\n"
