"""The command `demo`, as somebody types it."""

import subprocess
import sys
from collections.abc import Sequence
from socket import create_server

import pytest

BUSY = "the port is in use; stop what listens there or choose another port"


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--web.listen-address"],
        ["--web.listen-address", "127.0.0.1:0", "demo", "--web.listen-address"],
    ],
)
def test_a_port_that_is_in_use_is_told_in_one_line(words: Sequence[str]) -> None:
    """By the demonstration as by the exporter: no traceback."""
    with create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        ended = _run(*words, address)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"asynctask-exporter: error: cannot listen on {address}: {BUSY}"
    assert "Traceback" not in ended.stderr


def test_flags_before_the_command_count_as_well() -> None:
    """What stands behind it wins; what does not stand there takes nothing back."""
    with create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        ended = _run("--web.listen-address", address, "--log.level=ERROR", "demo")
    assert ended.stderr == f"asynctask-exporter: error: cannot listen on {address}: {BUSY}\n"


@pytest.mark.parametrize("words", [["Demo"], ["extra"]])
def test_what_is_no_command_is_told_as_such(words: Sequence[str]) -> None:
    """With those that there are."""
    told = _run(*words).stderr
    assert told.startswith(f"asynctask-exporter: error: argument COMMAND: invalid choice: '{words[0]}'")
    assert "'watch', 'demo'" in told


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
