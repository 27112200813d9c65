"""No secret shows: a real process with every kind of credential, and everybody against it."""

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import bcrypt
import pytest
import yaml

from exporter.demo.epmware import TOKEN
from exporter.demo.world import World
from exporter.model import Status
from exporter.web.application import build
from tests.e2e.echo import Echo
from tests.e2e.harness import configured, silent_simulation
from tests.e2e.leaks import Secrets
from tests.http.certificates import Pair, authority, signed
from tests.real.program import free_port
from tests.real.waiting import until
from tests.web.fake_exporter import FakeExporter

WATCHED = {"static_configs": [{"targets": ["1"]}]}


@dataclass(frozen=True)
class Scene:
    """What surrounds the exporter."""

    folder: Path
    secret: Secrets
    echo: Echo
    locked: Echo
    """The same over TLS, for who has a certificate."""
    ca: Pair
    client: Pair
    works: dict[str, Any]
    """A source that lets us in."""
    world: World
    """What goes on there."""

    def write(self, *sources: dict[str, Any], **more: Any) -> None:  # noqa: ANN401 - any YAML
        """Write a configuration."""
        text = yaml.safe_dump({"sources": list(sources), **more})
        (self.folder / "config.yml").write_text(text)

    def refused(self, name: str, **way: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """A source that refuses, and repeats what it was told; with 401 if no other URL is told."""
        return {"name": f"refused-{name}", "api": "epmware", "url": f"{self.echo.url}/401", **WATCHED, **way}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A system that lets us in, and servers that refuse everybody."""
    secret, ca = Secrets(), authority(tmp_path, "ca")
    (tmp_path / "tmp").mkdir()
    async with AsyncExitStack() as stack:
        simulation = await stack.enter_async_context(silent_simulation(speed=5))
        token = secret("token")
        tls = signed(ca, tmp_path, "locked").server_context(client_ca=ca.cert)
        works = yaml.safe_load(configured(simulation, only=["epmware"], registration=True))["sources"][0]
        secret.add("token-that-works", TOKEN)
        yield Scene(
            tmp_path,
            secret,
            await stack.enter_async_context(Echo(token)),
            await stack.enter_async_context(Echo(token, tls)),
            ca,
            signed(ca, tmp_path, "client"),
            works,
            simulation.worlds["epmware"],
        )


def sources(scene: Scene) -> Iterator[dict[str, Any]]:
    """One for each way to tell who we are; all are refused, but for the last."""
    secret, refused, echo = scene.secret, scene.refused, scene.echo
    yield refused("basic", basic_auth={"username": "me", "password": secret("basic")})
    yield refused("bearer", url=f"{echo.url}/403", authorization={"credentials": "${HUSH}"})
    headers = {"X-Key": {"secrets": [secret("header-1"), secret("header-2")]}}
    yield refused("headers", url=f"{echo.url}/500", http_headers=headers)
    oauth2 = {"client_id": "me", "client_secret": secret("oauth2")}
    yield refused("oauth2-token", oauth2=oauth2 | {"token_url": f"{echo.url}/token"})
    yield refused("oauth2", oauth2=oauth2 | {"token_url": f"{echo.url}/401"})
    iam = {"username": "me", "password": secret("iam"), "domain_name": "we", "project_name": "ours"}
    yield refused("iam-token", huawei_iam=iam | {"auth_url": f"{echo.url}/iam"})
    yield refused("iam", huawei_iam=iam | {"auth_url": f"{echo.url}/401"})
    key = {"access_key": "OURKEY", "secret_key": secret("sk"), "security_token": secret("security-token")}
    yield refused("aksk", huawei_aksk=key)
    yield from behind_a_proxy(scene)
    yield with_a_certificate(scene)
    for status in (200, 500):
        bearer = {"credentials": secret(f"discovery-{status}")}
        url = f"{echo.url}/{status}?key={quote(secret('query'), safe='')}"
        found = {"http_sd_configs": [{"url": url, "authorization": bearer}]}
        yield refused(f"discovery-{status}", **found)
    yield refused(
        "defect", api="tests.e2e.broken_api:Broken", authorization={"credentials": secret("defect")}
    )
    yield scene.works


def behind_a_proxy(scene: Scene) -> Iterator[dict[str, Any]]:
    """One that speaks through it, and one that asks it for a tunnel."""
    secret = scene.secret
    proxy = {"proxy_url": f"http://me:{quote(secret('proxy'), safe='')}@{scene.echo.address}"}
    yield scene.refused("proxy", url="http://api.invalid/407", **proxy)
    told = {"proxy_connect_header": {"X-Proxy-Key": [secret("tunnel")]}}
    yield scene.refused("tunnel", url="https://api.invalid/407", **proxy, **told)


def with_a_certificate(scene: Scene) -> dict[str, Any]:
    """One whose server wants a certificate; the key stands in the configuration."""
    key = scene.client.key.read_text()
    scene.secret.add("client-key", key.splitlines()[2])
    tls = {"ca_file": "ca.pem", "cert": scene.client.cert.read_text(), "key": key}
    told = {"X-Key": {"secrets": [scene.secret("header-over-tls")]}}
    return scene.refused("certificate", url=f"{scene.locked.url}/500", tls_config=tls, http_headers=told)


def receivers(scene: Scene) -> dict[str, Any]:
    """An Alertmanager and webhooks, which refuse as well: for now, and for good."""
    secret = scene.secret
    alertmanager = {
        "static_configs": [{"targets": [scene.echo.address]}],
        "path_prefix": "/401",
        "basic_auth": {"username": "me", "password": secret("alertmanager")},
    }
    webhooks = [
        {
            "name": f"hook-{status}",
            "url": f"{scene.echo.url}/{status}/{secret('webhook-path')}?key={quote(secret('webhook-query'))}",
            "secret": secret("signing"),
            "authorization": {"credentials": secret("webhook")},
        }
        for status in (400, 401)
    ]
    return {"alertmanagers": [alertmanager], "webhooks": webhooks}


def write_web(scene: Scene) -> None:
    """The web configuration: a user, and a key in the file itself."""
    server = signed(scene.ca, scene.folder, "server")
    hashed = bcrypt.hashpw(scene.secret("user").encode(), bcrypt.gensalt(4)).decode()
    key = server.key.read_text()
    scene.secret.add("hash", hashed)
    scene.secret.add("server-key", key.splitlines()[2])
    tls = {"cert": server.cert.read_text(), "key": key}
    told = {"tls_server_config": tls, "basic_auth_users": {"ada": hashed}}
    (scene.folder / "web.yml").write_text(yaml.safe_dump(told))


class Process:
    """The program in the scene; all that it writes is kept.

    Args:
        scene: where it runs.
        flags: beside those of both configuration files.
    """

    def __init__(self, scene: Scene, *flags: str) -> None:
        self._scene = scene
        self._command = [
            *(sys.executable, "-m", "exporter", *flags, f"--config.file={scene.folder / 'config.yml'}"),
            *("--config.expand-environment-variables", f"--web.config.file={scene.folder / 'web.yml'}"),
        ]
        self.log = b""

    async def output(self) -> bytes:
        """Run it to its end; return what it wrote."""
        process = await self._start()
        out, _ = await process.communicate()
        return out

    @asynccontextmanager
    async def running(self, end: signal.Signals) -> AsyncIterator[int]:
        """Run it until the block ends, and then end it by this signal; yields the process id."""
        process = await self._start()
        reading = asyncio.create_task(self._read(process))
        try:
            yield process.pid
        finally:
            process.send_signal(end)
            await process.wait()
            await reading

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {"HUSH": self._scene.secret("environment"), "PYTHONFAULTHANDLER": "1"}
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | environment | {"TMPDIR": str(self._scene.folder / "tmp")},
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.log += line


@pytest.mark.parametrize(
    ("log_format", "end"), [("logfmt", signal.SIGTERM), ("json", signal.SIGABRT)], ids=["logfmt", "json"]
)
async def test_no_secret_shows(scene: Scene, log_format: str, end: signal.Signals) -> None:
    """Not in logs, metrics, pages, JSON, the ledger, refused reloads, temporary files or the process list.

    Everybody the exporter talks to repeats what it is told; whoever asks it does so with right and wrong
    passwords; it is reloaded with mistakes and without, and at last ended, once with a traceback.
    """
    scene.write(*sources(scene), alerting=receivers(scene))
    write_web(scene)
    troubled = [one["name"] for one in yaml.safe_load((scene.folder / "config.yml").read_text())["sources"]]
    troubled = [*(name for name in troubled if name != "epmware"), "hook-400", "hook-401", "alertmanager/"]
    port = free_port()
    flags = (f"--storage.path={scene.folder / 'ledger'}", f"--web.listen-address=127.0.0.1:{port}")
    process = Process(
        scene, *flags, f"--log.format={log_format}", "--log.level=debug", "--web.enable-lifecycle"
    )
    shown: dict[str, bytes] = {}
    async with process.running(end) as pid, client_of(scene, port) as client:
        task = scene.world.add("import", outcome=Status.ERROR, length=timedelta(milliseconds=10))
        await until("everybody has refused", lambda: all_told(process, troubled))
        shown |= await everything_served(client, task.id)
        shown |= await acted(client, task.id, scene)
        shown |= await reloaded(client, scene)
        shown |= listed(pid)
        await until("they have refused again", lambda: all_told(process, ["again-basic"]))
    shown["the log"] = process.log
    for file in chain(scene.folder.glob("ledger/*"), scene.folder.glob("tmp/**/*")):
        shown[str(file)] = file.read_bytes() if file.is_file() else b""
    assert scene.secret.found(shown) == []
    assert_provoked(scene, process.log)
    assert (b"Fatal Python error: Aborted" in process.log) is (end is signal.SIGABRT)


def assert_provoked(scene: Scene, log: bytes) -> None:
    """All has happened that could have shown a secret; otherwise it would be no wonder that none does."""
    heard = "\n".join(scene.echo.heard + scene.locked.heard).encode()
    told = {entry.split(",")[0] for entry in scene.secret.found({"what they heard": heard})}
    kept = {"sk", "signing", "client-key", "server-key", "hash", "token-that-works", "user", "wrong"}
    mistakes = {name for name in scene.secret.names() if name.startswith("mistake")}
    assert told == scene.secret.names() - kept - mistakes
    assert log.count(b"<secret>") > 10
    assert b"Traceback" in log


async def all_told(process: Process, names: list[str]) -> bool:
    """Whether there has been trouble with each of these."""
    troubles = [line for line in process.log.splitlines() if b"err" in line]
    return all(any(name.encode() in line for line in troubles) for name in names)


@asynccontextmanager
async def client_of(scene: Scene, port: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the right password, once the exporter serves."""
    context = ssl.create_default_context(cafile=scene.ca.cert)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    async with aiohttp.ClientSession(
        f"https://localhost:{port}",
        connector=aiohttp.TCPConnector(ssl=context),
        headers={"Authorization": aiohttp.encode_basic_auth("ada", scene.secret("user"))},
    ) as client:

        async def serves() -> bool:
            try:
                return (await client.get("/-/ready")).ok
            except aiohttp.ClientConnectionError:
                return False

        await until("the exporter serves", serves)
        yield client


async def everything_served(client: aiohttp.ClientSession, task_id: str) -> dict[str, bytes]:
    """Whatever can be asked for with GET; of the stream of events, what comes first."""
    names = {"source": "epmware", "task_id": quote(task_id, safe=""), "name": "live.js"}
    shown = {}
    for route in build(FakeExporter()).router.routes():
        if route.method == "GET" and route.resource is not None:
            path = route.resource.canonical.format(**names)
            async with client.get(path) as answer:
                shown[path] = await answer.content.readany() + repr(answer.headers).encode()
                if path != "/api/v1/events":
                    shown[path] += await answer.read()
    assert b"keep_failed" in shown["/config"]
    return shown


async def acted(client: aiohttp.ClientSession, task_id: str, scene: Scene) -> dict[str, bytes]:
    """What answers those who register, acknowledge, meet a defect, or have the wrong password."""
    wrong = {"Authorization": aiohttp.encode_basic_auth("ada", scene.secret("wrong"))}
    tasks = "/api/v1/sources/epmware/tasks"
    asked: Mapping[str, Any] = {
        tasks: {"json": {"id": "9"}},
        f"{tasks}/{task_id}/acknowledge": {"json": {"by": "ada"}},
        "/-/reload": {"headers": wrong},
        "/api/v1/nothing": {"headers": wrong},
    }
    shown = {}
    async with client.get("/api/v1/sources/refused-defect/tasks/1/log") as answer:
        assert answer.status == 500
        shown["a traceback"] = await answer.read()
    for path, more in asked.items():
        async with client.post(path, **more) as answer:
            shown[f"POST {path}"] = await answer.read() + repr(answer.headers).encode()
    return shown


def mistakes(scene: Scene) -> Iterator[str]:
    """Configurations with mistakes where secrets stand."""
    secret = scene.secret
    url = f"http://me:{quote(secret('mistake-url'), safe='')}@localhost"
    wrong: list[dict[str, Any]] = [
        {"basic_auth": {"username": "me", "pasword": secret("mistake-1")}},
        {"basic_auth": {"username": "me", "password": [secret("mistake-2")]}},
        {"authorization": secret("mistake-3")},
        {"authorization": {"type": secret("mistake-type"), "credentials": secret("mistake-4")}},
        {"http_headers": {"X-Key": secret("mistake-5")}},
        {"http_headers": {"X-Key": {"secrets": f"{secret('mistake-6')}\n"}}},
        {"proxy_url": f"{url}:port"},
        {"url": url},
        {"tls_config": {"key": secret("mistake-7")}},
        {"options": {"token": secret("mistake-8")}},
    ]
    yield yaml.safe_dump({"sources": [scene.refused(str(n)) | way for n, way in enumerate(wrong)]})
    hooks = [
        {"name": "a", "url": f"ftp://localhost/{secret('mistake-9')}", "secret": {secret("mistake-10"): 1}}
    ]
    yield yaml.safe_dump({"sources": [scene.refused("a")], "alerting": {"webhooks": hooks}})
    for sign in ("*", "!", "%", "{", '"', "- ", "x: "):
        yield f"sources:\n  - basic_auth: {{password: {sign}{secret('mistake-yaml')}\n"


async def reloaded(client: aiohttp.ClientSession, scene: Scene) -> dict[str, bytes]:
    """What reloads and checks tell of mistakes; in the end all is well, and one source is new."""
    file = scene.folder / "config.yml"
    good, shown = file.read_text(), {}
    for number, text in enumerate(mistakes(scene)):
        file.write_text(text)
        async with client.post("/-/reload") as answer:
            assert answer.status == 500
            shown[f"reload {number}"] = await answer.read()
        if number < 3:
            shown[f"check {number}"] = await Process(scene, "--config.check").output()
            assert shown[f"check {number}"].startswith(b"asynctask-exporter: error: ")
    again = scene.refused("again-basic", basic_auth={"username": "me", "password": scene.secret("again")})
    told = yaml.safe_load(good)
    file.write_text(yaml.safe_dump(told | {"sources": [*told["sources"], again]}))
    shown["check"] = await Process(scene, "--config.check").output()
    assert b"is valid" in shown["check"]
    async with client.post("/-/reload") as answer:
        assert answer.status == 200
    return shown


def listed(pid: int) -> dict[str, bytes]:
    """What a list of processes tells of it, and of its children with their environments.

    Its own environment holds the variable that the operator put there, and is not looked at.
    """
    own = Path(f"/proc/{pid}")
    shown = {name: (own / name).read_bytes() for name in ("cmdline", "comm", "status")}
    for children in own.glob("task/*/children"):
        for child in children.read_text().split():
            for name in ("cmdline", "environ"):
                shown[f"child {child} {name}"] = Path(f"/proc/{child}/{name}").read_bytes()
    assert b"--web.config.file" in shown["cmdline"]
    return shown
