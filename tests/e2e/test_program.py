"""The program as an operator meets it: flags, exit codes, signals, log lines."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from exporter import __version__
from exporter.demo.faults import Fault
from tests.campaigns.process import Exporter
from tests.e2e.harness import configured, silent_simulation
from tests.real.program import free_port
from tests.real.waiting import until

CONFIG = """
sources:
  - name: epm
    api: epmware
    url: http://127.0.0.1:9
    static_configs: [{targets: ["1"]}]
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int | None
    out: str
    err: str


async def run(*arguments: str, cwd: Path | None = None) -> Ended:
    """Run the program until it ends by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "exporter",
        *arguments,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that is fine."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


async def test_the_version_goes_to_stdout() -> None:
    """As the version of Prometheus' programs does."""
    ended = await run("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == f"asynctask-exporter, version {__version__} (revision: unknown)"
    assert ended.out.splitlines()[1].startswith("  python version: ")


async def test_help_names_every_flag() -> None:
    """In Prometheus' spelling."""
    told = (await run("--help")).out
    for flag in (
        "--config.file",
        "--config.check",
        "--config.schema",
        "--storage.path",
        "--web.listen-address",
        "--web.telemetry-path",
        "--log.level",
        "--log.format",
        "--version",
    ):
        assert flag in told


async def test_an_unknown_flag_is_refused_in_one_line() -> None:
    """As kingpin does it: exit code 1, and a hint."""
    ended = await run("--config.flie=x")
    assert ended.code == 1
    assert ended.err == "asynctask-exporter: error: unrecognized arguments: --config.flie=x, try --help\n"


async def test_checking_a_good_configuration(config: Path) -> None:
    """Exit code 0, and nothing is started."""
    ended = await run(f"--config.file={config}", "--config.check")
    assert (ended.code, ended.err) == (0, "")


async def test_every_mistake_in_the_configuration_gets_a_line(config: Path) -> None:
    """Exit code 1; place and cure; checked or started, the same."""
    config.write_text(CONFIG.replace("url:", "uurl:") + "    keep: 5 minutes\n")
    for more in (["--config.check"], []):
        ended = await run(f"--config.file={config}", *more)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.splitlines() == [
            f"asynctask-exporter: error: {config}: sources[0].{mistake}"
            for mistake in (
                "url: is required",
                "keep: '5 minutes' is not a duration such as '30s' or '5m'",
                "uurl: unknown key; did you mean 'url'?",
            )
        ]


async def test_a_missing_configuration_file_is_one_line(tmp_path: Path) -> None:
    """The default file name, too."""
    ended = await run(cwd=tmp_path)
    assert ended.code == 1
    assert ended.err == "asynctask-exporter: error: asynctask-exporter.yml: No such file or directory\n"


async def test_the_schema_is_json() -> None:
    """For editors."""
    ended = await run("--config.schema")
    assert ended.code == 0
    assert "sources" in json.loads(ended.out)["properties"]


async def test_a_port_in_use_is_one_line(config: Path, tmp_path: Path) -> None:
    """Naming the address and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = await run(
            f"--config.file={config}", f"--storage.path={tmp_path}/data", f"--web.listen-address={address}"
        )
    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"asynctask-exporter: error: cannot listen on {address}: the port is in use")
    assert "Traceback" not in ended.err


async def test_a_broken_ledger_stops_the_start_and_is_left_as_it_is(config: Path, tmp_path: Path) -> None:
    """Never a silent new one."""
    ledger = tmp_path / "ledger.sqlite3"
    ledger.write_bytes(b"this is no database" * 100)
    ended = await run(f"--config.file={config}", f"--storage.path={tmp_path}")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"asynctask-exporter: error: {ledger}")
    assert "Traceback" not in ended.err
    assert ledger.read_bytes() == b"this is no database" * 100


async def test_a_second_process_on_the_same_ledger_is_refused(config: Path, tmp_path: Path) -> None:
    """At once, by one line; the first one goes on, and its end lets the next one in."""
    storage = tmp_path / "ledger"
    with (tmp_path / "log").open("wb") as log:
        first = Exporter(config, storage, log)
        await first.start()
        await first.ready()
        ended = await run(
            f"--config.file={config}", f"--storage.path={storage}", f"--web.listen-address=:{free_port()}"
        )
        assert ended.code == 1
        assert "asynctask-exporter: error: " in ended.err
        assert str(storage) in ended.err.splitlines()[-1]
        await first.kill()
        await first.start()
        await first.ready()
        await first.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_work_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    """A poll hangs and a client is half way through a request: neither is waited for; the exit code is 0.

    The process means to end within two seconds; a test machine with ten other things to do may take longer.
    """
    async with silent_simulation() as simulation:
        world = simulation.worlds["epmware"]
        world.add("import", length=timedelta(seconds=60))
        await simulation.hand_over()
        config = tmp_path / "config.yaml"
        config.write_text(configured(simulation, only=["epmware"], polling={"timeout": "60s"}))
        api = simulation.apis["epmware"]
        api.faults.mode = Fault.HANG
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "exporter",
            f"--config.file={config}",
            f"--storage.path={tmp_path}/ledger",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=asyncio.subprocess.PIPE,
        )

        async def polls() -> bool:
            return api.requests.total > 0

        await until("a poll hangs", polls)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/sources/epmware/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        await writer.drain()
        began = time.monotonic()
        process.send_signal(number)
        _, err = await process.communicate()
        writer.close()
        assert time.monotonic() - began < 20
        assert process.returncode == 0
        assert f"signal={number.name}".encode() in err


async def test_log_lines_are_logfmt_or_json(config: Path, tmp_path: Path) -> None:
    """On stderr, the version first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = [
            f"--config.file={config}",
            f"--storage.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{taken.getsockname()[1]}",
        ]
        logfmt = (await run(*flags)).err.splitlines()[0]
        as_json = (await run(*flags, "--log.format=json")).err.splitlines()[0]
    assert " level=INFO source=cli.py:" in logfmt
    assert f'msg="Starting asynctask-exporter" version={__version__}' in logfmt
    assert json.loads(as_json)["msg"] == "Starting asynctask-exporter"
