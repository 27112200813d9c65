"""A real Pulp 3 on loopback: its API, one worker and its content app, on a database of their own."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.real.program import free_port
from tests_real.daemons import running
from tests_real.postgres import SUPERUSER, postgres

Measured = Callable[[str], AbstractContextManager[None]]
"""Measures a part of the work, by its name."""
USER = "admin"
PASSWORD = "correct horse"
_SETTINGS = """\
SECRET_KEY = {secret!r}
DB_ENCRYPTION_KEY = "{place}/key"
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "HOST": "{database}", "USER": "{user}", "NAME": "postgres",
}}}}
DEPLOY_ROOT = "{place}"
MEDIA_ROOT = "{place}/media"
STATIC_ROOT = "{place}/assets"
WORKING_DIRECTORY = FILE_UPLOAD_TEMP_DIR = "{place}/tmp"
CONTENT_ORIGIN = "{content}"
CACHE_ENABLED = False
ANALYTICS = False
ORPHAN_PROTECTION_TIME = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
"""Without Redis, without telling anybody of us, without work on its own schedule, and without the half
second of computing that checking the password costs with every request."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Where Pulp's programs are."""

    programs: Path
    env: Mapping[str, str]

    def program(self, name: str) -> str:
        """One of Pulp's programs."""
        return str(self.programs / f"pulpcore-{name}")

    def manage(self, *words: str) -> None:
        """Run ``pulpcore-manager``.

        Raises:
            RuntimeError: it failed; tells its last words.
        """
        command = [self.program("manager"), *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pulpcore-manager {words[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def pulp(programs: Path, place: Path, measured: Measured) -> Iterator[str]:
    """Run a new Pulp below *place*; yield its address.

    Args:
        programs: the folder of the virtual environment where Pulp is installed, with its programs.
        place: an empty folder.
        measured: measures each part.

    Raises:
        RuntimeError: it cannot be started; tells why.
    """
    api, content = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        with measured("PostgreSQL: initdb and start"):
            database = stack.enter_context(postgres(place))
        installed = Installed(programs, _configure(place, database, f"http://{content}"))
        with measured("Pulp: database migrations"):
            installed.manage("migrate", "--no-input")
            installed.manage("reset-admin-password", "--password", PASSWORD)
        with measured("Pulp: start of API, worker, content"):
            _start(stack, installed, place, api, content)
        yield f"http://{api}"


def _configure(place: Path, database: Path, content: str) -> dict[str, str]:
    """Write the settings; return the environment that points to them."""
    for folder in ("media", "tmp", "assets"):
        (place / folder).mkdir()
    (place / "key").write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
    settings = place / "settings.py"
    settings.write_text(
        _SETTINGS.format(
            secret=secrets.token_hex(), place=place, database=database, user=SUPERUSER, content=content
        )
    )
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PULP_SETTINGS": str(settings)}


def _start(stack: ExitStack, installed: Installed, place: Path, api: str, content: str) -> None:
    """Start the three programs side by side and wait until each has reported for work."""
    daemons = {
        name: stack.enter_context(
            running([installed.program(name), *words], place / f"{name}.log", env=installed.env)
        )
        for name, words in (("worker", []), ("content", ["--bind", content]), ("api", ["--bind", api]))
    }
    daemons["api"].await_that("all of Pulp is online", lambda: _is_online(api))


def _is_online(api: str) -> bool:
    connection = HTTPConnection(api, timeout=10)
    try:
        connection.request("GET", "/pulp/api/v3/status/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    if answer.status != 200:
        return False
    told = json.loads(body)
    return all(told[f"online_{part}"] for part in ("workers", "api_apps", "content_apps"))
