"""The exporter as a real process, to be killed and started again."""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import IO

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.real.program import free_port

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by sample name and sorted labels."""


class Exporter:
    """One exporter with its ledger, over any number of processes."""

    def __init__(self, config: Path, storage: Path | None, log: IO[bytes]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable,
            "-m",
            "exporter",
            f"--config.file={config}",
            f"--storage.path={storage or ''}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._storage = storage
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start a process; it need not serve yet."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stderr=self._log, stdout=self._log, cwd=Path.cwd(), env=os.environ.copy()
        )

    async def ready(self, seconds: float = 120.0) -> None:
        """Wait until it serves."""
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while True:
                self.check()
                try:
                    async with session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    def check(self) -> None:
        """Fail if it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"the exporter ended by itself with code {self._process.returncode}")

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it as an operator would."""
        await self._end(signal.SIGTERM)

    def abandon(self) -> None:
        """Leave no process behind, whatever has happened."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.check()
        self._process.send_signal(number)
        await self._process.wait()
        self._process = None

    def forget(self) -> None:
        """While it is down, take what was counted out of its ledger: a sabotage that a trial must notice."""
        if self._storage is None:
            return
        connection = sqlite3.connect(self._storage / "ledger.sqlite3")
        with connection:
            for table in ("runs", "entries"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - from the line above
        connection.close()


async def scrape(url: str) -> Samples:
    """What an exporter exposes to a person, who is shown true counts."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
