"""Runs an image's command as a container engine would, with no more than the kernel and util-linux.

It is process 1 of its own process table, on a network of its own, as the image's user, without capabilities
and with a root file system that cannot be written to.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_UNSHARE = ("unshare", "--mount", "--pid", "--net", "--fork")
_SCRIPT = """\
set -eu
root=$1 user=$2 tmpfs=$3; shift 3
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind "$root.data" "$root/data"
[ -z "$tmpfs" ] || mount -t tmpfs tmpfs "$root$tmpfs"
exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all -- "$@"
"""
_FETCH = (
    "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=5).read().decode())"
)


@dataclass(slots=True)
class Container:
    """A command in an unpacked image: ``with Container(...) as container``.

    Its ``/data`` is the folder beside the root whose name ends in ``.data``.
    """

    root: Path
    """Where the image is unpacked; its mount points are there."""
    user: str
    """The user's and the group's number, with a colon between."""
    command: Sequence[str]
    tmpfs: str = ""
    """A folder in memory, if any."""
    process: subprocess.Popen[str] | None = None
    log: IO[str] | None = None

    def __enter__(self) -> Self:
        self.log = Path(f"{self.root}.log").open("w+", encoding="utf-8")
        words = (*_UNSHARE, "sh", "-c", _SCRIPT, "sh", str(self.root), self.user, self.tmpfs, *self.command)
        self.process = subprocess.Popen(
            words, stdout=self.log, stderr=self.log, text=True, env={"PATH": _PATH}
        )
        while self.process.poll() is None and not self._children():
            time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process is not None
        assert self.log is not None
        # Not unshare itself: with its credentials a process also changes who is told of its parent's end.
        for child in self._children():
            os.kill(int(child), signal.SIGKILL)
        self.process.wait()
        self.log.close()

    @property
    def pid(self) -> int:
        """What this machine calls process 1 of the container."""
        return int(self._children()[0])

    def _children(self) -> list[str]:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return path.read_text(encoding="utf-8").split()
        except (FileNotFoundError, ProcessLookupError):
            return []

    def said(self) -> str:
        """All that it printed."""
        return Path(f"{self.root}.log").read_text(encoding="utf-8")

    def status(self) -> dict[str, str]:
        """The kernel's words on process 1: proc(5), "status"."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def execute(self, command: Sequence[str]) -> int:
        """Run a second command in it, as ``docker exec`` does, and return its exit code."""
        user, _, group = self.user.partition(":")
        inside = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root")
        done = subprocess.run(
            [*inside, f"--setuid={user}", f"--setgid={group}", *command], capture_output=True, check=False
        )
        return done.returncode

    def fetch(self, path: str) -> str:
        """GET a path of port 9926 from within its network; an empty text if there is no answer."""
        inside = ("nsenter", f"--target={self.pid}", "--net", sys.executable, "-c", _FETCH)
        done = subprocess.run(
            [*inside, f"http://127.0.0.1:9926{path}"], capture_output=True, text=True, check=False
        )
        return done.stdout

    def wait_for(self, text: str, path: str, seconds: float = 180.0) -> str:
        """Fetch a path until it shows a text, and return all of it.

        Raises:
            AssertionError: it did not in time, or the command ended; tells what the command said.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self._children(), self.said()
            answer = self.fetch(path)
            if text in answer:
                return answer
            time.sleep(0.2)
        raise AssertionError(f"{path} never showed {text!r}; the container said:\n{self.said()}")

    def terminate(self) -> float:
        """Ask process 1 to end, and return how many seconds that took."""
        assert self.process is not None
        begin = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        self.process.wait(timeout=30)
        return time.monotonic() - begin

    def wait(self) -> int:
        """Wait for its end by itself, and return the exit code."""
        assert self.process is not None
        return self.process.wait(timeout=30)


def prepare(root: Path, user: str, files: Mapping[str, str]) -> None:
    """Make what an engine makes before it starts a container: mount points, mounted files, the volume.

    Args:
        root: where the image is unpacked.
        user: to whom the volume belongs, as in the image.
        files: texts by path.
    """
    for path, text in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    data = Path(f"{root}.data")
    data.mkdir(exist_ok=True)
    os.chown(data, *(int(number) for number in user.split(":")))
