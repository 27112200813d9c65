"""`make audit`: the real pip-audit asks a service about every locked package, and says so where it cannot."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.real.program import free_port

ROOT = Path(__file__).parents[2]
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)([^\\]*)", re.MULTILINE)


class Osv(ThreadingHTTPServer):
    """Answers as OSV's query API does (https://google.github.io/osv.dev/post-v1-query/)."""

    def __init__(self, vulnerable: str = "", status: int = HTTPStatus.OK) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: set[tuple[str, str]] = set()
        self.vulnerable = vulnerable
        self.status = status

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://127.0.0.1:{self.server_port}/v1/query"

    def vulnerabilities(self, name: str) -> list[object]:
        """What is known of a package."""
        if name != self.vulnerable:
            return []
        since = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999"}]}
        affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [since]}
        return [{"id": "CVE-2099-1", "modified": "2099-01-01T00:00:00Z", "affected": [affected]}]


class _Answer(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        """Answer a query."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked.add((name, query["version"]))
        body = json.dumps({"vulns": self.server.vulnerabilities(name)}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(server: Osv) -> Iterator[Osv]:
    """Run a service for as long as the block."""
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    """What `make audit` runs, with another service."""
    command = [str(ROOT / "scripts/audit"), "--vulnerability-service", "osv", "--osv-url", url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_locked_package_is_asked_about() -> None:
    """Where nothing is known, it passes, and was asked about all that the lock files name for this system."""
    with serving(Osv()) as service:
        done = audit(service.url)
    assert (done.returncode, done.stderr) == (0, "")
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "requirements").glob("*.txt")]
    told = (found for text in files for found in LOCKED.findall(text))
    locked = {(name.lower(), version) for name, version, rest in told if ";" not in rest}
    assert len(locked) > 100
    assert locked - {(name.lower(), version) for name, version in service.asked} == set()


def test_known_vulnerability_fails() -> None:
    """A locked package with a known vulnerability fails it, with the package, its version and the cure."""
    with serving(Osv(vulnerable="aiohttp")) as service:
        done = audit(service.url)
    assert done.returncode == 1
    assert re.search(r"aiohttp +\S+ +CVE-2099-1 +999", done.stdout)
    assert "make lock" in done.stderr


def test_service_that_is_away_fails() -> None:
    """Where nobody answers, nothing is known: it fails, and says that it was not done."""
    done = audit(f"http://127.0.0.1:{free_port()}/v1/query")
    assert done.returncode == 1
    assert "NOT DONE: the vulnerability service could not be asked" in done.stderr


def test_service_that_fails_fails() -> None:
    """So it is where the service answers with an error."""
    with serving(Osv(status=HTTPStatus.INTERNAL_SERVER_ERROR)) as service:
        done = audit(service.url)
    assert done.returncode == 1
    assert "NOT DONE" in done.stderr
