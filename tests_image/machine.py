"""Boots a small Debian with systemd as process 1, with no more than the kernel and util-linux.

It has its own tables of processes, mounts and control groups, and a network of its own that leads nowhere.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

_UNSHARE = ("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork")
_BOOT = """\
set -eu
root=$1 group=$2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t cgroup2 cgroup2 "$root/mnt"
mkdir "$root/mnt/$group"
echo 0 >"$root/mnt/$group/cgroup.procs"
umount "$root/mnt"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for device in full null random tty urandom zero; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
cd "$root"
pivot_root . mnt
exec unshare --cgroup sh -c '
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    umount --lazy /mnt
    exec env --ignore-environment container=test /lib/systemd/systemd --unit=basic.target
' </dev/null
"""
_TIDY = 'mount -t cgroup2 cgroup2 "$1" && find "$1/$2" -depth -type d -exec rmdir {} \\;'
_FETCH = (
    "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=5).read().decode())"
)


@dataclass(slots=True)
class Machine:
    """A booted machine: ``with Machine(root) as machine``; root only."""

    root: Path
    """Where it is unpacked."""
    group: str = ""
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.group = f"asynctask-{uuid4()}"
        with Path(f"{self.root}.log").open("w", encoding="utf-8") as log:
            words = (*_UNSHARE, "sh", "-c", _BOOT, "sh", str(self.root), self.group)
            self.process = subprocess.Popen(words, stdout=log, stderr=log, text=True)
        self._wait_for_boot()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process is not None
        if first := self._first():
            os.kill(int(first), signal.SIGKILL)
        self.process.wait()
        tidy = ("unshare", "--mount", "sh", "-c", _TIDY, "sh", str(self.root / "mnt"), self.group)
        subprocess.run(tidy, check=True)

    def run(self, *words: str, cwd: str = "/") -> str:
        """Run a command in it, as root, and return what it printed.

        Raises:
            AssertionError: it failed; tells its words.
        """
        done = self._enter("sh", "-c", 'cd "$0" && exec "$@"', cwd, *words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fetch(self, path: str) -> str:
        """GET a path of port 9926 from within its network; an empty text if there is no answer."""
        command = [sys.executable, "-c", _FETCH, f"http://127.0.0.1:9926{path}"]
        inside = ("nsenter", f"--target={self._first()}", "--net", *command)
        return subprocess.run(inside, capture_output=True, text=True, check=False).stdout

    def wait_for(self, text: str, path: str, seconds: float = 180.0) -> str:
        """Fetch a path until it shows a text, and return all of it.

        Raises:
            AssertionError: it did not in time; tells the journal.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.fetch(path)
            if text in answer:
                return answer
            time.sleep(0.2)
        raise AssertionError(f"{path} never showed {text!r}: {self.run('journalctl', '--no-pager')[-4000:]}")

    def _enter(self, *words: str) -> subprocess.CompletedProcess[str]:
        inside = ("nsenter", f"--target={self._first()}", "--all", "--root")
        clean = ("env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
        return subprocess.run([*inside, *clean, *words], capture_output=True, text=True, check=False)

    def _first(self) -> str:
        """What this machine calls process 1 of that one; "" when it has ended."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return path.read_text(encoding="utf-8").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def _wait_for_boot(self, seconds: float = 180.0) -> None:
        assert self.process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if self._first() and self._enter("systemctl", "is-active", "basic.target").returncode == 0:
                return
            time.sleep(0.1)
        said = Path(f"{self.root}.log").read_text(encoding="utf-8")
        self.__exit__()
        raise AssertionError(f"systemd did not come up: {said}")
