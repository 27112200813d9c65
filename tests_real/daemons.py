"""A program that runs for as long as a with-block does, and is gone afterwards."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_LAST_WORDS = 3000
_STOP_SECONDS = 20.0


class Daemon:
    """A running program and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def await_that(self, what: str, condition: Callable[[], bool], *, seconds: float = 300.0) -> None:
        """Return as soon as *condition* holds.

        Raises:
            RuntimeError: it ended, or did not come so far within *seconds*; tells its last words.
        """
        end = time.monotonic() + seconds
        while not condition():
            if self._process.poll() is not None:
                raise RuntimeError(f"ended with {self._process.returncode} before {what}:\n{self._words()}")
            if time.monotonic() > end:
                raise RuntimeError(f"waited {seconds:g} s in vain until {what}:\n{self._words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Interrupt it, which to Pulp and PostgreSQL means "at once"; kill it if it stays."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:]


@contextmanager
def running(
    command: Sequence[str], log: Path, *, env: Mapping[str, str], user: str | None = None
) -> Iterator[Daemon]:
    """Run a program in a session of its own, as *user* if one is named; stop it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env=dict(env),
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=log.parent,
            start_new_session=True,
        )
    daemon = Daemon(process, log)
    try:
        yield daemon
    finally:
        daemon.stop()
