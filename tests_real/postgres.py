"""A PostgreSQL cluster of our own: in a folder of its own, on a socket of its own, without TCP.

PostgreSQL refuses to run as root, so root lends it Debian's user ``postgres``.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests_real.daemons import running

SUPERUSER = "pulp"
_ENV = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
_IN_HASTE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Nothing in it outlives the test."""


@contextmanager
def postgres(place: Path) -> Iterator[Path]:
    """Run a new cluster below *place*; yield the folder of its socket, which is its host name as well.

    Raises:
        RuntimeError: it cannot be started; tells why.
    """
    user = "postgres" if os.geteuid() == 0 else None
    home = place / "postgres"
    home.mkdir(mode=0o700)
    if user:
        shutil.chown(home, user, user)
    programs, cluster = _programs(), home / "cluster"
    _init(programs / "initdb", cluster, user)
    options = (f"unix_socket_directories={home}", "listen_addresses=", *_IN_HASTE)
    command = [str(programs / "postgres"), "-D", str(cluster)]
    for option in options:
        command += ["-c", option]
    log = place / "postgres.log"
    with running(command, log, env=_ENV, user=user) as server:
        server.await_that("it accepts connections", lambda: _accepts(programs / "pg_isready", home))
        yield home


def _programs() -> Path:
    """Where Debian keeps the server's programs: not in the PATH, but by version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("no PostgreSQL server found; scripts/install-packages postgresql")
    return found[-1].parent


def _init(initdb: Path, cluster: Path, user: str | None) -> None:
    words = ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    done = subprocess.run(
        [initdb, *words, "-D", cluster],
        capture_output=True,
        text=True,
        env=_ENV,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd=cluster.parent,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr}")


def _accepts(pg_isready: Path, host: Path) -> bool:
    return subprocess.run([pg_isready, "--quiet", "--host", host], env=_ENV, check=False).returncode == 0
