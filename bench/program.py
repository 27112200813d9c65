"""Runs the program itself, installed with only what it needs, for the parts that measure it whole."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_PYTHON = Path(".cache/installed-venv/bin/python").absolute()
"""Made by ``make bench``; tools for development, such as rich, make the program larger where they are."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Program:
    """An exporter that runs."""

    process: int
    url: str
    began: float
    """When it was started, by `time.perf_counter`."""

    def get(self, path: str) -> bytes:
        """Fetch one of its pages."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:  # noqa: S310 - our own
            body: bytes = answer.read()
            return body

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            self.get("/-/ready")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def cpu(self) -> float:
        """Seconds that it has used so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> int:
        """Bytes that it has in memory."""
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * _PAGE


@contextmanager
def running(config: Path, storage: Path, environ: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Start the program and yield it when it is ready; end it.

    Args:
        config: its configuration file.
        storage: the directory of its ledger.
        environ: what it has in its environment beside ours.
    """
    port = _free_port()
    command = [
        *(str(_PYTHON), "-m", "exporter"),
        f"--config.file={config}",
        f"--storage.path={storage}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    began = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - ours
        command, stderr=subprocess.DEVNULL, env={**os.environ, **(environ or {})}
    ) as process:
        try:
            program = Program(process.pid, f"http://127.0.0.1:{port}", began)
            while not program.is_ready():
                if process.poll() is not None:
                    raise RuntimeError("the exporter ended by itself")
                time.sleep(0.01)
            yield program
        finally:
            process.terminate()


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return int(listening.getsockname()[1])
