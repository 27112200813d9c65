"""Sockets that systemd listens on."""

import os
import socket
from pathlib import Path

import aiohttp
import pytest

from exporter.errors import ConfigError
from exporter.web.application import build
from exporter.web.server import Address, Server
from exporter.web.systemd import take_sockets
from tests.web.fake_exporter import FakeExporter

HERE = str(os.getpid())


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": HERE, "LISTEN_FDS": "0"},
        {"LISTEN_PID": HERE, "LISTEN_FDS": "many"},
    ],
)
def test_without_a_socket_it_says_so(environment: dict[str, str]) -> None:
    """Sockets of nobody, or of another process, are not taken."""
    with pytest.raises(ConfigError, match=r"^--web\.systemd-socket: systemd handed over no socket"):
        take_sockets(environment)


def test_what_is_not_a_listening_socket_is_refused(tmp_path: Path) -> None:
    """A file, or a socket that does not listen, is named by its number."""
    file = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ConfigError, match=rf"file descriptor {file} is not a socket"):
            take_sockets({"LISTEN_PID": HERE, "LISTEN_FDS": "1"}, first=file)
    finally:
        os.close(file)
    with socket.socket() as idle:
        number = os.dup(idle.fileno())
    with pytest.raises(ConfigError, match=rf"file descriptor {number} does not listen"):
        take_sockets({"LISTEN_PID": HERE, "LISTEN_FDS": "1"}, first=number)


async def test_what_was_taken_is_served(tmp_path: Path) -> None:
    """A socket of the network and one of the file system answer; the variables are gone."""
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        address = Address(*one.getsockname())
        numbers = _adjacent(one.fileno(), other.fileno())
    environment = {"LISTEN_PID": HERE, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    taken = take_sockets(environment, first=numbers)
    assert environment == {"HOME": "/"}
    server = Server(build(FakeExporter()), [], sockets=taken)
    assert await server.start() == [address, Address(str(path), 0)]
    for connector in (aiohttp.TCPConnector(), aiohttp.UnixConnector(str(path))):
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://{address}/metrics") as response,
        ):
            assert response.status == 200
    await server.stop()


def _adjacent(one: int, other: int) -> int:
    """Copy two file descriptors to two that follow each other, as systemd numbers them."""
    first = 200
    os.dup2(one, first)
    os.dup2(other, first + 1)
    return first
