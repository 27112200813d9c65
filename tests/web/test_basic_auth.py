"""Logging in: who gets in, what it costs, and what nobody can find out."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import bcrypt
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.secret import Secret
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.login import MAX_REMEMBERED, Passwords, credentials, hash_of_nobody
from exporter.web.rate_limit import TokenBucket
from exporter.web.settings import RateLimit, WebSettings
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

PASSWORD = "open sesame"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
SETTINGS = WebSettings(users={"ada": Secret(HASH)})
PATHS = [
    "/metrics",
    "/",
    "/-/healthy",
    "/-/ready",
    "/api/v1/tasks",
    "/static/x/y.js",
    "/nothing",
    "/-/reload",
]

Serve = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def serve(fake: FakeExporter) -> Serve:
    """Serves the fake exporter to whom it is allowed."""

    @asynccontextmanager
    async def served(settings: WebSettings = SETTINGS, **more: bool) -> AsyncIterator[Client]:
        access = Access(current=lambda: settings, **more)
        async with TestClient[web.Request, web.Application](TestServer(build(fake, access=access))) as client:
            yield client

    return served


def basic(user: str, password: str | bytes) -> dict[str, str]:
    """The header of a login."""
    given = password.encode() if isinstance(password, str) else password
    return {"Authorization": f"Basic {base64.b64encode(user.encode() + b':' + given).decode()}"}


class Checks:
    """Checks passwords at once, and remembers against what."""

    def __init__(self, right: bytes = b"right") -> None:
        self.right = right
        self.hashes: list[bytes] = []

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        """Whether it is the right one."""
        self.hashes.append(hashed)
        return password == self.right


async def admits(passwords: Passwords, name: str, password: bytes, users: dict[str, Secret]) -> bool:
    """Ask for somebody who waits for the answer."""
    return await passwords.admits(users, name, password, is_awaited=lambda: True)


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_gets_in_without_a_password(serve: Serve, path: str) -> None:
    """Every path is behind the login, health and what is not there included, and it asks as Go's do."""
    async with serve() as client:
        response = await client.get(path)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Basic"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        basic("ada", "open sesam"),
        basic("ada", ""),
        basic("Ada", PASSWORD),
        basic("", PASSWORD),
        basic("eve", PASSWORD),
        basic("ada", PASSWORD + "\0"),
        basic("ada", "x" * 73),
        basic("eve", "x" * 4000),
        basic("ada", b"\xff\xfe"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YWRh"},
        {"Authorization": "Basic /////w=="},
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": ""},
    ],
)
async def test_wrong_ones_do_not_get_in(serve: Serve, fake: FakeExporter, headers: dict[str, str]) -> None:
    """Wrong, unknown, over-long and garbled ones get 401, and nothing breaks."""
    async with serve() as client:
        response = await client.get("/metrics", headers=headers)
    assert response.status == 401
    assert fake.failures == 0


async def test_the_right_one_gets_in(serve: Serve) -> None:
    """Name and password open every path; so do they a second time."""
    async with serve() as client:
        for _ in range(2):
            assert (await client.get("/metrics", headers=basic("ada", PASSWORD))).status == 200
        assert (await client.get("/nothing", headers=basic("ada", PASSWORD))).status == 404


async def test_a_password_of_72_bytes() -> None:
    """The longest that bcrypt takes is taken; one byte more is another password, not a crash."""
    longest = b"x" * 72
    users = {"ada": Secret(bcrypt.hashpw(longest, bcrypt.gensalt(4)).decode())}
    assert await admits(Passwords(), "ada", longest, users)
    assert not await admits(Passwords(), "ada", longest + b"x", users)


async def test_hashes_of_other_tools_are_taken() -> None:
    """``$2y$`` of htpasswd and ``$2a$`` of Go are the same as ``$2b$``."""
    for version in ("2a", "2y"):
        users = {"ada": Secret(HASH.replace("2b", version, 1))}
        assert await admits(Passwords(), "ada", PASSWORD.encode(), users)


async def test_an_unknown_user_costs_what_a_known_one_does() -> None:
    """A name that nobody has is checked against a hash of the same cost, and never gets in."""
    checks = Checks()
    users = {"ada": Secret(HASH.replace("$04$", "$12$")), "bob": Secret(HASH)}
    passwords = Passwords(checks)
    assert not await admits(passwords, "eve", b"right", users)
    assert await admits(passwords, "ada", b"right", users)
    assert checks.hashes == [hash_of_nobody(users).encode(), users["ada"].reveal().encode()]
    assert checks.hashes[0][:7] == b"$2b$12$"


def test_the_hash_of_nobody_is_one() -> None:
    """It is checked like any other, for it is not refused in no time."""
    assert not bcrypt.checkpw(b"x", hash_of_nobody(SETTINGS.users).encode())


async def test_a_password_is_checked_once() -> None:
    """What was found is remembered, right or wrong, until the hash is another one."""
    checks = Checks()
    passwords, users = Passwords(checks), dict(SETTINGS.users)
    for _ in range(3):
        assert await admits(passwords, "ada", b"right", users)
        assert not await admits(passwords, "ada", b"wrong", users)
        assert not await admits(passwords, "eve", b"right", users)
    assert len(checks.hashes) == 3
    users["ada"] = Secret(HASH.replace("$04$", "$05$"))
    checks.right = b"new"
    assert not await admits(passwords, "ada", b"right", users)
    del users["ada"]
    assert not await admits(passwords, "ada", b"new", users)


async def test_a_flood_of_wrong_ones_does_not_slow_the_right_one() -> None:
    """Refusals are forgotten, the oldest first; logins are not."""
    checks = Checks()
    passwords, users = Passwords(checks), dict(SETTINGS.users)
    assert await admits(passwords, "ada", b"right", users)
    for number in range(MAX_REMEMBERED + 1):
        assert not await admits(passwords, "ada", str(number).encode(), users)
    checked = len(checks.hashes)
    assert await admits(passwords, "ada", b"right", users)
    assert not await admits(passwords, "ada", b"1", users)
    assert len(checks.hashes) == checked
    assert not await admits(passwords, "ada", b"0", users)
    assert len(checks.hashes) == checked + 1


async def test_one_is_checked_at_a_time_and_not_on_the_event_loop() -> None:
    """However many come at once, one thread is busy; who has gone meanwhile is not checked at all."""
    inside, most, release, asked = 0, 0, threading.Event(), []
    lock = threading.Lock()

    def check(password: bytes, _hashed: bytes) -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            asked.append(password)
        release.wait(10)
        with lock:
            inside -= 1
        return True

    passwords, users = Passwords(check), dict(SETTINGS.users)
    present = {b"gone": False}
    waiting = [
        asyncio.create_task(
            passwords.admits(users, "ada", given, is_awaited=lambda given=given: present.get(given, True))  # type: ignore[misc]
        )
        for given in (b"1", b"2", b"2", b"gone")
    ]
    while not asked:
        await asyncio.sleep(0.001)
    release.set()
    assert await asyncio.gather(*waiting) == [True, True, True, False]
    assert (most, asked) == (1, [b"1", b"2"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_without_auth(serve: Serve, method: str) -> None:
    """With the switch, both probes answer everybody, and nothing else does."""
    async with serve(health_without_auth=True) as client:
        for path in PATHS:
            status = (await client.request(method, path)).status
            assert status == (200 if path in {"/-/healthy", "/-/ready"} else 401)
        assert (await client.post("/-/healthy")).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_reloading_needs_a_switch(serve: Serve, method: str) -> None:
    """Whoever may read may not reload, unless the exporter was started so; the password comes first."""
    for lifecycle, status in ((False, 403), (True, 200 if method == "POST" else 405)):
        async with serve(lifecycle=lifecycle) as client:
            assert (await client.request(method, "/-/reload")).status == 401
            response = await client.request(method, "/-/reload", headers=basic("ada", PASSWORD))
            assert response.status == status


async def test_acting_needs_a_password_where_reading_does(serve: Serve, fake: FakeExporter) -> None:
    """Ids are not taken from who is not let in."""
    async with serve() as client:
        address, body = "/api/v1/sources/epm/tasks", {"task_id": "1"}
        refused = await client.post(address, json=body)
        assert refused.status == 401
        assert (await refused.json())["status"] == "error"
        assert not fake.posted
        assert (await client.post(address, json=body, headers=basic("ada", PASSWORD))).status == 201


async def test_nothing_tells_a_password(serve: Serve, fake: FakeExporter) -> None:
    """Neither logs nor answers repeat what was sent, when it is refused and when the exporter breaks."""
    fake.error = RuntimeError("broken")
    with structlog.testing.capture_logs() as logs:
        async with serve() as client:
            for password in (PASSWORD, "hunter2"):
                for path in PATHS:
                    response = await client.get(path, headers=basic("ada", password))
                    assert "hunter2" not in await response.text()
                    assert HASH not in await response.text()
    assert fake.failures
    for secret in (PASSWORD, "hunter2", HASH, *basic("ada", PASSWORD).values()):
        assert secret not in str(logs)


def test_credentials() -> None:
    """The scheme's case does not matter, and a password may hold a colon."""
    assert credentials(f"bAsIc  {base64.b64encode(b'ada:a:b').decode()} ") == ("ada", b"a:b")


async def test_headers_are_on_every_answer(serve: Serve) -> None:
    """Configured headers are on pages, refusals and what is not there, and win over ours."""
    headers = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=1"}
    async with serve(replace(SETTINGS, headers=headers)) as client:
        for path in PATHS:
            for login in ({}, basic("ada", PASSWORD)):
                given = (await client.get(path, headers=login)).headers
                assert given.getall("X-Frame-Options") == ["sameorigin"]
                assert given["Strict-Transport-Security"] == "max-age=1"


def test_a_token_comes_back_each_interval() -> None:
    """A burst, then one request each interval, and never more than the burst at once."""
    now = 100.0
    bucket = TokenBucket(RateLimit(2.0, 3), lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now += 1.9
    assert not bucket.take()
    now += 0.1
    assert [bucket.take(), bucket.take()] == [True, False]
    now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


async def test_what_is_beyond_the_limit_gets_429(serve: Serve) -> None:
    """The limit holds for every path and everybody, before passwords are checked, and says how long."""
    async with serve(replace(SETTINGS, rate_limit=RateLimit(3600.0, 2))) as client:
        statuses = [(await client.get(path)).status for path in ("/metrics", "/-/healthy", "/-/healthy", "/")]
        last = await client.get("/api/v1/tasks", headers=basic("ada", PASSWORD))
        assert (last.status, (await last.json())["errorType"]) == (429, "limit_exceeded")
        assert last.headers["Retry-After"] == "3600"
    assert statuses == [401, 401, 429, 429]
