"""Listening, and ending."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import ClientSession

from exporter.errors import ConfigError
from exporter.web.application import build
from exporter.web.server import KEEPALIVE_SECONDS, Address, ListenError, Server, parse_address
from tests.web.fake_exporter import FakeExporter

LOCAL = Address("127.0.0.1", 0)
TICK = 0.01
HEAD = b"POST /api/v1/sources/epm/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def serve(fake: FakeExporter) -> AsyncIterator[Callable[..., Server]]:
    """Makes servers of the fake exporter; all of them are stopped after the test."""
    servers: list[Server] = []

    def make(*addresses: Address) -> Server:
        servers.append(Server(build(fake), addresses))
        return servers[-1]

    yield make
    for server in servers:
        await server.stop()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9926", Address("", 9926)),
        ("0.0.0.0:9926", Address("0.0.0.0", 9926)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:9926", Address("::1", 9926)),
        ("[::]:65535", Address("::", 65535)),
        ("[fe80::1%eth0]:9926", Address("fe80::1%eth0", 9926)),
        ("exporter.example.com:80", Address("exporter.example.com", 80)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """Addresses are read as Prometheus' exporters spell them, and written the same."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no port"),
        ("9926", "has no port; did you mean ':9926'?"),
        ("localhost", "has no port"),
        ("localhost:", "the port must be a number up to 65535"),
        (":http", "the port must be a number up to 65535"),
        (":65536", "the port must be a number up to 65535"),
        (":" + "9" * 5000, "the port must be a number up to 65535"),
        (":-1", "the port must be a number up to 65535"),
        (":²", "the port must be a number up to 65535"),
        ("::1:9926", "an IPv6 address needs brackets, as in [::1]:9926"),
        ("::1", "an IPv6 address needs brackets, as in [::1]:9926"),
        ("[::1]", "the port must be a number up to 65535"),
        ("[localhost]:9926", "'localhost' is not an IPv6 address"),
        ("[]:9926", "'' is not an IPv6 address"),
        ("http://localhost:9926", "must be HOST:PORT, as in 0.0.0.0:9926"),
        ("a b:9926", "must be HOST:PORT, as in 0.0.0.0:9926"),
        ("//a:9926", "must be HOST:PORT, as in 0.0.0.0:9926"),
    ],
)
def test_bad_addresses(text: str, reason: str) -> None:
    """What is no address is refused with the flag, the text and the cure."""
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert str(caught.value) == f"--web.listen-address: {text!r}: {reason}"


async def test_it_listens_on_several_addresses(serve: Callable[..., Server]) -> None:
    """Every address answers, IPv6 included."""
    bound = await serve(LOCAL, Address("::1", 0), Address("localhost", 0)).start()
    assert [address.host for address in bound] == ["127.0.0.1", "::1", "localhost"]
    async with ClientSession() as session:
        for address in bound:
            async with session.get(f"http://{address}/-/healthy") as response:
                assert response.status == 200


async def test_no_host_means_every_address(serve: Callable[..., Server], fake: FakeExporter) -> None:
    """One port serves IPv4 and IPv6, and clients of IPv4 are told by their own address."""
    (bound,) = await serve(Address("", 0)).start()
    async with ClientSession() as session:
        for host in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{host}:{bound.port}/metrics") as response:
                assert response.status == 200
    assert [request.caller.address for request in fake.scrapes] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
async def test_a_port_that_is_taken_is_one_clear_line(serve: Callable[..., Server], host: str) -> None:
    """The line names the address and the cure, and the other addresses are let go."""
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as free:
        port, free_port = other.getsockname()[1], free.getsockname()[1]
        free.close()
        with pytest.raises(ListenError) as caught:
            await serve(Address("127.0.0.1", free_port), Address(host, port)).start()
    assert str(caught.value) == (
        f"cannot listen on {host}:{port}: the port is in use; stop what listens there or choose another port"
    )
    with socket.create_server(("127.0.0.1", free_port)):
        pass


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "this machine has no such address"),
        ("no-such-host.invalid", "the host name is not known"),
    ],
)
async def test_an_address_of_another_machine_is_one_clear_line(
    serve: Callable[..., Server], host: str, reason: str
) -> None:
    """What cannot be bound says why."""
    with pytest.raises(ListenError, match=rf"^cannot listen on {host}:0: {reason}"):
        await serve(Address(host, 0)).start()


async def seconds_of(doing: Coroutine[Any, Any, None]) -> float:
    """How long it takes while the loop runs; what a busy machine keeps it waiting for does not count."""
    task, seconds = asyncio.create_task(doing), 0.0
    while not task.done():
        await asyncio.sleep(TICK)
        seconds += TICK
    await task
    return seconds


async def test_it_ends_within_two_seconds_whatever_is_in_flight(
    serve: Callable[..., Server], fake: FakeExporter
) -> None:
    """An idle connection, a reader that stopped, half a body and a hanging commit hold nobody up."""
    server = serve(LOCAL)
    (address,) = await server.start()
    fake.committed.clear()
    fake.pieces = [b"#" * 1_000_000] * 50
    writers = []
    for request in (
        b"",
        b"GET /metr",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: 99\r\n\r\n{",
        HEAD + b'Content-Length: 16\r\n\r\n{"task_id": "1"}',
    ):
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        writers.append(writer)
    async with asyncio.timeout(60):
        await fake.asked.wait()
        while not fake.scrapes:
            await asyncio.sleep(0.01)
    assert await seconds_of(server.stop()) < 2
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)
    for writer in writers:
        writer.transport.abort()


async def test_a_request_that_is_nearly_done_is_answered(
    serve: Callable[..., Server], fake: FakeExporter
) -> None:
    """An end does not cut off who gets an answer in a moment."""
    server = serve(LOCAL)
    (address,) = await server.start()
    fake.committed.clear()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(HEAD + b'Content-Length: 16\r\n\r\n{"task_id": "1"}')
    await fake.asked.wait()
    stop = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    fake.committed.set()
    assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
    await stop
    writer.close()


async def test_stopping_twice_is_stopping_once(serve: Callable[..., Server]) -> None:
    """Whoever is not sure may stop again."""
    server = serve(LOCAL)
    await server.start()
    await server.stop()
    await server.stop()


async def test_garbage_is_no_error_of_ours(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    """A client that speaks no HTTP gets 400 and fills no log."""
    (address,) = await serve(LOCAL).start()
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(garbage)
        assert b" 400 " in await reader.readline()
        writer.close()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_connections_outlive_the_patience_of_prometheus() -> None:
    """Prometheus closes an idle connection after five minutes; we must not be the first to do so."""
    assert KEEPALIVE_SECONDS > 300
