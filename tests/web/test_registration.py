"""Taking ids over HTTP."""

import asyncio
import io
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.errors import StorageError
from exporter.model import WatchedId
from exporter.web import registration
from exporter.web.application import build
from exporter.web.registration import BadBody, read
from exporter.web.server import Address, Server
from exporter.web.views import RegistrationOff, TooManyTasks, UnknownSource
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

PATH = "/api/v1/sources/epm/tasks"
JSON = {"Content-Type": "application/json"}
HALF = (
    f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    + b'Content-Length: 16\r\n\r\n{"task_'
)


async def test_an_id_is_taken_with_what_is_known_about_it(client: Client, fake: FakeExporter) -> None:
    """One object registers one task; the answer says that it is new."""
    body = {"task_id": "244592", "operation": "deploy", "name": "Q4"}
    response = await client.post(PATH, json=body)
    assert response.status == 201
    data = {"source": "epm", "new": ["244592"], "known": []}
    assert await response.json() == {"status": "success", "data": data}
    assert fake.posted == [("epm", (WatchedId(id="244592", operation="deploy", name="Q4"),))]


async def test_posting_twice_is_posting_once(client: Client) -> None:
    """The second time is a success too, and says that nothing is new."""
    await client.post(PATH, json={"task_id": "1"})
    response = await client.post(PATH, json=[{"task_id": "1"}])
    assert response.status == 200
    assert (await response.json())["data"] == {"source": "epm", "new": [], "known": ["1"]}


async def test_a_batch_may_be_new_in_parts(client: Client) -> None:
    """201 tells that something was new, and the answer what."""
    await client.post(PATH, json={"task_id": "1"})
    response = await client.post(PATH, json={"tasks": [{"task_id": "1"}, {"task_id": 2}]})
    assert response.status == 201
    assert (await response.json())["data"] == {"source": "epm", "new": ["2"], "known": ["1"]}


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"task_id": 244592}, ["244592"]),
        ([{"task_id": "a"}, {"task_id": "b"}], ["a", "b"]),
        ({"tasks": [{"task_id": "a"}, {"task_id": "a"}]}, ["a"]),
        ({"tasks": []}, []),
        ([], []),
        ({"task_id": "a", "operation": None, "name": None}, ["a"]),
        ({"task_id": "/pulp/api/v3/tasks/1/"}, ["/pulp/api/v3/tasks/1/"]),
    ],
)
def test_bodies(body: object, ids: list[str]) -> None:
    """Single, list and wrapped list are read; numbers are ids too; each id comes once."""
    assert [watched.id for watched in read(json.dumps(body).encode())] == ids


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("{", "the body is not JSON"),
        ("", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ('{"task_id": ' + "9" * 5000 + "}", "the body is not JSON"),
        ("\xff", "the body is not JSON"),
        ("null", 'the body: must be an object such as {"task_id": "244592"}'),
        ('"244592"', 'the body: must be an object such as {"task_id": "244592"}'),
        ("{}", "task_id: is required"),
        ("[1]", '[0]: must be an object such as {"task_id": "244592"}'),
        ('[{"task_id": "1"}, {}]', "[1].task_id: is required"),
        ('{"tasks": {"task_id": "1"}}', "tasks: must be a list"),
        ('{"tasks": [{"task_id": "1"}, {"name": "x"}]}', "tasks[1].task_id: is required"),
        ('{"tasks": [{"task_id": 1.5}]}', "tasks[0].task_id: a task id must be text"),
        ('{"task_id": true}', "task_id: a task id must be text"),
        ('{"task_id": null}', "task_id: a task id must be text"),
        ('{"task_id": " "}', "task_id: a task id is empty"),
        ('{"task_id": "1\\n"}', "task_id: task id '1\\n' has blanks"),
        ('{"task_id": "1", "operation": ["x"]}', "operation: must be one line of text"),
        ('{"task_id": "1", "operaton": "x"}', "operaton: unknown key; did you mean 'operation'?"),
        ('{"task_id": "1", "zzz": "x"}', "zzz: unknown key; known: task_id, operation, name"),
        ('{"tasks": [], "task_id": "1"}', "tasks: must be the only key of its object"),
    ],
)
def test_bad_bodies_name_the_place(body: str, error: str) -> None:
    """A refused body is told where and why, whatever nonsense it is."""
    with pytest.raises(BadBody) as caught:
        read(body.encode("latin-1"))
    assert str(caught.value).startswith(error)


async def test_a_bad_body_registers_nothing(client: Client, fake: FakeExporter) -> None:
    """One bad task refuses the whole batch with 400."""
    response = await client.post(PATH, json=[{"task_id": "1"}, {"taskid": "2"}])
    assert response.status == 400
    assert await response.json() == {
        "status": "error",
        "errorType": "bad_data",
        "error": "[1].taskid: unknown key; did you mean 'task_id'?",
    }
    assert fake.posted == []


@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        (UnknownSource("there is no source 'epm'"), 404, "not_found"),
        (RegistrationOff("source 'epm' says registration: false"), 403, "forbidden"),
        (TooManyTasks("source 'epm' watches 100 of 100 tasks"), 429, "limit_exceeded"),
    ],
)
async def test_refusals_have_their_own_codes(
    client: Client, fake: FakeExporter, refusal: Exception, status: int, kind: str
) -> None:
    """What the exporter refuses is told by code and by its own words."""
    fake.error = refusal
    response = await client.post(PATH, json={"task_id": "1"})
    assert response.status == status
    assert await response.json() == {"status": "error", "errorType": kind, "error": str(refusal)}


async def test_storage_that_fails_asks_to_try_again(client: Client, fake: FakeExporter) -> None:
    """Without a commit there is no success; what the database said is not for strangers."""
    fake.error = StorageError("/var/lib/secret.db: disk full")
    response = await client.post(PATH, json={"task_id": "1"})
    assert response.status == 503
    assert (await response.json())["error"] == "the ids could not be committed yet; it is safe to try again"


async def test_storage_that_hangs_asks_to_try_again(fake: FakeExporter) -> None:
    """Nobody waits longer than agreed for a commit."""
    fake.committed.clear()
    application = web.Application()
    application.add_routes(registration.routes(fake, commit_seconds=0.05, read_seconds=5))
    async with TestClient(TestServer(application)) as client:
        response = await client.post(PATH, json={"task_id": "1"})
    assert response.status == 503
    assert fake.posted == []


async def test_a_body_that_never_ends_is_given_up(fake: FakeExporter) -> None:
    """A client that sends half a body does not hold its request for ever."""
    application = web.Application()
    application.add_routes(registration.routes(fake, commit_seconds=5, read_seconds=0.05))
    async with TestServer(application) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(HALF)
        async with asyncio.timeout(60):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_a_body_that_breaks_off_is_no_defect(fake: FakeExporter) -> None:
    """A client that hangs up half way registers nothing and counts as nobody's fault."""
    server = Server(build(fake), [Address("127.0.0.1", 0)])
    (address,) = await server.start()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(HALF.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.transport.abort()
    await server.stop()
    assert fake.posted == []
    assert fake.failures == 0


async def test_the_answer_waits_for_the_commit(client: Client, fake: FakeExporter) -> None:
    """No success before the ids are safe."""
    fake.committed.clear()
    post = asyncio.create_task(client.post(PATH, json={"task_id": "1"}))
    await fake.asked.wait()
    assert not post.done()
    fake.committed.set()
    assert (await post).status == 201


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp"],
)
async def test_forms_of_foreign_pages_are_kept_out(
    client: Client, fake: FakeExporter, content_type: str
) -> None:
    """What a browser would send across sites unasked is refused, whatever its content."""
    body = b'{"task_id": "1"}'
    response = await client.post(PATH, data=body, headers={"Content-Type": content_type})
    assert response.status == 415
    assert (await response.json())["errorType"] == "unsupported_media_type"
    assert fake.posted == []


async def test_a_charset_does_no_harm(client: Client) -> None:
    """Clients that name a charset are served."""
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert (await client.post(PATH, data=b'{"task_id": "1"}', headers=headers)).status == 201


async def test_bodies_are_capped(client: Client, fake: FakeExporter) -> None:
    """More than a MiB is refused, with the cure."""
    body = b'{"task_id": "' + b"1" * registration.MAX_BODY + b'"}'
    response = await client.post(PATH, data=io.BytesIO(body), headers=JSON)
    assert response.status == 413
    answer = await response.json()
    assert answer["errorType"] == "too_large"
    assert answer["error"] == "the body is larger than 1048576 bytes; post the ids in several batches"
    assert fake.posted == []


async def test_a_large_batch_fits(client: Client, fake: FakeExporter) -> None:
    """Ten thousand ids go in one request."""
    tasks = [{"task_id": str(number)} for number in range(10_000)]
    assert (await client.post(PATH, json={"tasks": tasks})).status == 201
    assert len(fake.posted[0][1]) == 10_000
