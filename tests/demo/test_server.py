"""What all simulated APIs share: faults, counts, skew, and going down and up."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import ClientError, ClientSession

from exporter.demo import epmware, pulp
from exporter.demo.epmware import Epmware
from exporter.demo.faults import Fault
from exporter.demo.pulp import Pulp
from exporter.demo.server import Api, RateLimit, Requests, Server
from exporter.demo.simulation import WORKLOADS, Simulation
from exporter.demo.world import World
from tests.demo.conftest import Serve
from tests.demo.fakes import Caller, StillClock

PATH = "/service/api/task/get_status/1"


@pytest.fixture
def api(clock: StillClock) -> Epmware:
    """Any of the simulated APIs."""
    return Epmware(World(epmware.WORKLOAD.silent(), clock))


@pytest.mark.parametrize(
    ("fault", "status", "begins"),
    [
        (Fault.STATUS_500, 500, "<html>"),
        (Fault.FLOOD_429, 429, '{"status": "E", "message": "Rate limit exceeded"}'),
        (Fault.GARBAGE, 200, '{"status": "R", "percentComp'),
        (Fault.LOGIN_PAGE, 200, "<!DOCTYPE html><html><form"),
    ],
)
async def test_a_fault_answers_in_its_own_way(
    api: Epmware, serve: Serve, *, fault: Fault, status: int, begins: str
) -> None:
    """Each fault that answers, and health again when it is gone."""
    caller = await serve(api)
    api.faults.mode = fault
    reply = await caller.get(PATH)
    assert (reply.status, reply.text[: len(begins)]) == (status, begins)
    api.faults.mode = Fault.NONE
    assert (await caller.get(PATH)).status == 404


@pytest.mark.parametrize("fault", [Fault.DISCONNECT, Fault.TRUNCATED])
async def test_a_fault_may_cut_the_connection(api: Epmware, serve: Serve, fault: Fault) -> None:
    """Before or in the middle of the answer."""
    caller = await serve(api)
    api.faults.mode = fault
    with pytest.raises(ClientError):
        await caller.get(PATH)


async def test_a_fault_may_never_answer(api: Epmware, serve: Serve) -> None:
    """The request arrives, and the client waits until it has had enough."""
    caller = await serve(api)
    api.faults.mode = Fault.HANG
    asking = asyncio.create_task(caller.get(PATH))
    while not api.requests.total:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asking, 0.1)


@pytest.mark.parametrize(("retry_after", "told"), [(None, None), (7, "7")])
async def test_a_flood_may_tell_when_to_come_again(
    api: Epmware, serve: Serve, *, retry_after: int | None, told: str | None
) -> None:
    """``Retry-After`` is sent if it is set."""
    caller = await serve(api)
    api.faults.mode, api.faults.retry_after = Fault.FLOOD_429, retry_after
    assert (await caller.get(PATH)).headers.get("Retry-After") == told


async def test_a_fault_may_meet_only_some_requests(api: Epmware, serve: Serve) -> None:
    """About the chosen share, drawn from a seed."""
    caller = await serve(api)
    api.faults.mode, api.faults.share = Fault.STATUS_500, 0.3
    codes = [(await caller.get(PATH)).status for _ in range(100)]
    assert 15 <= codes.count(500) <= 45
    assert set(codes) == {404, 500}


async def test_a_server_that_is_down_refuses_and_comes_back(api: Epmware) -> None:
    """On the same port, as long as it may have been away."""
    server = Server(api)
    await server.up()
    url = server.url + PATH
    async with ClientSession() as session:
        await server.down()
        with pytest.raises(ClientError):
            await session.get(url)
        await server.up()
        async with session.get(url) as answer:
            assert answer.status == 401
    await server.down()
    assert server.url + PATH == url


async def test_going_down_does_not_wait_for_hanging_requests(api: Epmware, serve: Serve) -> None:
    """A request that hangs is cut off."""
    caller = await serve(api)
    api.faults.mode = Fault.HANG
    server = Server(api)
    await server.up()
    hanging = asyncio.create_task(Caller(caller.session, server.url, {}).get(PATH))
    while not api.requests.total:
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await server.down()
        with pytest.raises(ClientError):
            await hanging


async def test_requests_are_counted(api: Epmware, clock: StillClock, serve: Serve) -> None:
    """By endpoint and by task; and how often the end of a task was told."""
    task, caller = api.world.add("import"), await serve(api)
    for seconds in (1, 20, 1):
        clock.forward(seconds)
        await caller.get(f"/service/api/task/get_status/{task.id}")
    await caller.get("/elsewhere")
    assert api.requests.by_endpoint == {"get_status": 3, "other": 1}
    assert api.requests.by_task == {task.id: 3}
    assert api.requests.final_answers == {(task.id, 0): 2}


def test_the_most_requests_in_a_stretch_of_time() -> None:
    """The rate is that of the busiest stretch, wherever it begins."""
    requests = Requests()
    for at in (0.0, 0.9, 1.0, 1.5, 1.8, 4.0):
        requests.record("any", "", at)
    assert requests.most_within(1.0) == 4


def test_a_rate_limit_slides() -> None:
    """It tells how long until the oldest request has left the window."""
    limit = RateLimit(2, 10)
    assert [limit.wait(at) for at in (0.0, 4.0, 5.0, 10.0, 11.0)] == [0.0, 0.0, 5.0, 0.0, 3.0]


async def test_a_wrong_clock_shifts_all_times_and_the_date(clock: StillClock, serve: Serve) -> None:
    """A server whose clock is ahead tells all times ahead, and compares with them."""
    api = Pulp(World(pulp.WORKLOAD.silent(), clock), skew=timedelta(minutes=5))
    api.world.add("any", length=timedelta(seconds=10))
    clock.forward(60)
    caller = await serve(api)
    reply = await caller.get("/pulp/api/v3/tasks/?finished_at__gte=2026-03-04T12:05:10Z")
    assert reply.headers["Date"] == "Wed, 04 Mar 2026 12:06:00 GMT"
    assert reply.json()["results"][0]["finished_at"] == "2026-03-04T12:05:10.000000Z"


@pytest.mark.parametrize("source", [workload.source for workload in WORKLOADS])
def test_every_api_has_its_own_words_for_too_many(source: str, clock: StillClock) -> None:
    """A flood has status 429 and ``Retry-After`` everywhere."""
    api: Api = Simulation(clock=clock).apis[source]
    answer = api.too_many(3)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
