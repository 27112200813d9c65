"""A real server program on loopback: started on a free port, awaited until ready, stopped at the end."""

import asyncio
import contextlib
import os
import random
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.real.waiting import until

STOP_SECONDS = 60.0
_PORTS = range(15_000, 32_000)
"""Below those that Linux gives to outgoing connections."""
_WORKERS = 16
"""So many of pytest's processes have ports of their own."""


def free_port() -> int:
    """A port that nobody listens on now, and that nobody else will be given while its server is down."""
    for port in _candidates():
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


@cache
def _candidates() -> Iterator[int]:
    """The ports of this one of pytest's processes, each once."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = _PORTS[worker % _WORKERS :: _WORKERS]
    return iter(random.sample(ports, len(ports)))


class Program(ABC):
    """A program with a configuration file, a directory of its own and ``/-/ready``.

    It may be stopped and started again; port and data stay.

    Args:
        config_text: the configuration file.
        files: further files beside it, by name.
    """

    def __init__(self, config_text: str, files: Mapping[str, str] | None = None) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="asynctask-test-")
        self.directory = Path(self._place.name)
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self._process: asyncio.subprocess.Process | None = None
        for name, text in {"config.yml": config_text, **(files or {})}.items():
            (self.directory / name).write_text(text, encoding="utf-8")

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        self._place.cleanup()

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it ended instead; tells its last words.
        """
        with (self.directory / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self.command(), stdout=log, stderr=log)
        await until(f"{self.command()[0]} is ready", self._is_ready)

    async def stop(self) -> None:
        """Ask it to end, and make it end if it does not."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._process = None

    async def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON of either program
        """Ask its HTTP API and return the JSON."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(self.url + path, params=query) as answer,
        ):
            return await answer.json()

    def log(self) -> str:
        """What it has written so far."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    async def _is_ready(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"{self.command()[0]} ended:\n{self.log()[-2000:]}")
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/-/ready") as answer:
                return answer.ok
        except aiohttp.ClientConnectionError:
            return False
