"""Huawei Cloud's two ways to tell who asks: signatures as the vendor makes them, and tokens of the IAM."""

import asyncio
import json
import math
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from exporter.errors import ConnectFailed, RateLimited, ServerFailed, SourceError, Unauthorized
from exporter.http import HeaderValues, HttpClient, HttpSettings, HuaweiAkSk, HuaweiIam
from exporter.http.huawei_aksk import AccessKey, authorization, canonical_request
from exporter.http.tokens import HOLD_AFTER_REFUSAL, RENEWED_BEFORE
from exporter.secret import Secret
from tests.http.fake_clock import FakeClock
from tests.http.servers import Asked, Respond, Server, answer, hangs_up_after, says, serve

VECTORS = json.loads(Path(__file__).with_name("huawei_vectors.json").read_text("utf-8"))
KEY = AccessKey(VECTORS["access_key"], VECTORS["secret_key"])
SECRET = "hush" * 2  # so that the source lines in a traceback do not hold it


def test_the_published_vector() -> None:
    """Canonical request and signature are those of the vendor's signing guide, step by step."""
    url = URL(
        "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
        "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0"
    )
    signed = {
        "Content-Type": "application/json",
        "Host": "service.region.example.com",
        "X-Sdk-Date": "20191115T033655Z",
    }
    lowered = {name.lower(): value for name, value in signed.items()}
    hashed = sha256(canonical_request("GET", url, lowered, b"").encode()).hexdigest()
    assert hashed == "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    assert authorization(KEY, "GET", url, signed, b"") == (
        "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    )


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["url"])
def test_signatures_are_those_of_the_vendor_s_sdk(vector: dict[str, str]) -> None:
    """Odd paths, queries, ports and bodies are signed as the SDK did; the file says how it was made."""
    url = URL(vector["url"], encoded=True)
    signed = {"Host": url.host_port_subcomponent or "", "X-Sdk-Date": VECTORS["date"]}
    optional = {"X-Project-Id": vector["project_id"], "X-Security-Token": vector["security_token"]}
    signed |= {name: value for name, value in optional.items() if value}
    body = vector["body"].encode()
    assert authorization(KEY, vector["method"], url, signed, body) == vector["authorization"]


def signature_of(asked: Asked, key: AccessKey) -> str:
    """What a gateway that knows the key computes from the bytes that came."""
    method, target, _ = asked.line.split()
    url = URL(f"http://{asked.all('host')[0]}{target}", encoded=True)
    names = asked.all("authorization")[0].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    return authorization(key, method, url, {name: asked.all(name)[0] for name in names}, asked.body)


@asynccontextmanager
async def signing(
    aksk: HuaweiAkSk, respond: Respond | None = None, *, clock: FakeClock | None = None
) -> AsyncIterator[tuple[HttpClient, Server]]:
    """Run a server, and a client that signs."""
    clock = clock or FakeClock()
    async with serve(respond or says(answer())) as server:
        headers = {"X-Team": HeaderValues(values=("finance",))}
        settings = HttpSettings(url=f"{server.url}/v1/p", huawei_aksk=aksk, http_headers=headers)
        async with HttpClient(settings, clock=clock, sleep=clock.sleep) as client:
            yield client, server


OURS = HuaweiAkSk(access_key=KEY.id, secret_key=Secret(KEY.secret))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("system-tasks/7", ()),
        ("system-tasks/a%2Fb%20c%25~*", ()),
        ("jobs", (("b", "2"), ("a", "x y+z&~"), ("a", "1"), ("c", ""), ("\u4efb", "\u00e4"))),
    ],
)
async def test_what_is_sent_is_what_was_signed(path: str, query: tuple[tuple[str, str], ...]) -> None:
    """From the bytes on the wire, with the port in Host, a gateway computes the same signature."""
    async with signing(OURS) as (client, server):
        await client.get("x", path, query=query, headers={"workspace": "w"})
        await client.request("POST", "x", path, query=query, body=b'{"a": 1}')
    for asked in server.asked:
        assert asked.all("Authorization") == [signature_of(asked, KEY)]
        assert asked.all("Host") == [f"127.0.0.1:{server.port}"]
        assert asked.all("X-Team") == ["finance"]


async def test_only_what_is_made_here_is_signed() -> None:
    """Host and date are signed, and no header that a proxy on the way may change; the date is ours in UTC."""
    async with signing(OURS) as (client, server):
        await client.get("x", "/", headers={"workspace": "w"})
    (asked,) = server.asked
    assert "SignedHeaders=host;x-sdk-date," in asked.all("Authorization")[0]
    assert asked.all("X-Sdk-Date") == ["20260101T001640Z"]
    assert asked.all("X-Security-Token") == asked.all("X-Project-Id") == []


async def test_temporary_keys_and_projects_are_told_and_signed() -> None:
    """The security token and the project's id go out in headers that the signature covers."""
    ours = replace(OURS, security_token=Secret("temporary+/="), project_id="p1")
    async with signing(ours) as (client, server):
        await client.get("x", "/")
    (asked,) = server.asked
    assert asked.all("X-Security-Token") == ["temporary+/="]
    assert asked.all("X-Project-Id") == ["p1"]
    assert "SignedHeaders=host;x-project-id;x-sdk-date;x-security-token," in asked.all("Authorization")[0]
    assert asked.all("Authorization") == [signature_of(asked, KEY)]


async def test_keys_in_files_are_read_on_each_use(tmp_path: Path) -> None:
    """All three parts of a temporary key are rotated without a reload."""
    files = {name: tmp_path / name for name in ("access_key", "secret_key", "security_token")}
    ours = HuaweiAkSk(
        access_key_file=files["access_key"],
        secret_key_file=files["secret_key"],
        security_token_file=files["security_token"],
    )
    async with signing(ours) as (client, server):
        for turn in "12":
            for name, file in files.items():
                file.write_text(f"{name}{turn}\n")
            await client.get("x", "/")
        files["secret_key"].unlink()
        with pytest.raises(Unauthorized, match=r"cannot read the secret in .*secret_key: No such file"):
            await client.get("x", "/")
    for turn, asked in zip("12", server.asked, strict=True):
        assert asked.all("Authorization") == [
            signature_of(asked, AccessKey(f"access_key{turn}", f"secret_key{turn}"))
        ]
        assert asked.all("X-Security-Token") == [f"security_token{turn}"]


EXPIRED = b'{"error_msg": "Incorrect IAM authentication information: x", "error_code": "APIGW.0301"}'


@pytest.mark.parametrize(("minutes", "words"), [(17, "17 minutes behind"), (-16, "16 minutes ahead of")])
async def test_a_wrong_clock_is_told_as_such(minutes: int, words: str) -> None:
    """Where the gateway refuses and its date is not ours, the error says so, and by how much."""
    clock = FakeClock()
    date = format_datetime(clock.now() + timedelta(minutes=minutes), usegmt=True)
    async with signing(OURS, says(answer(401, EXPIRED, (f"Date: {date}",))), clock=clock) as (client, server):
        with pytest.raises(Unauthorized) as told:
            await client.get("x", "/")
    assert str(told.value) == (
        f"huawei_aksk: HTTP 401 APIGW.0301: the signature is refused, and the clock here is {words} "
        "the server's; a signature holds for 15 minutes, so set the clock"
    )
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "minutes"), [(401, 4), (401, None), (403, 17), (200, 17)])
async def test_a_clock_is_blamed_only_where_it_may_be_the_cause(status: int, minutes: int | None) -> None:
    """A small skew, an answer without a date and anything but 401 are left to the API to tell."""
    clock = FakeClock()
    date = format_datetime(clock.now() + timedelta(minutes=minutes or 0), usegmt=True)
    sent = answer(status, EXPIRED, () if minutes is None else (f"Date: {date}",))
    async with signing(OURS, says(sent), clock=clock) as (client, server):
        assert (await client.get("x", "/")).status == status
    assert len(server.asked) == 1


USER = HuaweiIam(
    username="ann",
    password=Secret(SECRET),
    domain_name="acme",
    project_name="eu-west-101",
    endpoint=HttpSettings(url=""),
)
HAS_KEY = HuaweiIam(
    access_key="AK1", secret_key=Secret(SECRET), project_name="eu-west-101", endpoint=HttpSettings(url="")
)
TOKEN = "MII" + "x" * 19_997


def logged_in(token: str = TOKEN, *, ends: str | None = None, date: str | None = None) -> bytes:
    """The IAM's answer to a login."""
    body = json.dumps({"token": {"methods": ["password"]} | ({"expires_at": ends} if ends else {})})
    headers = [f"X-Subject-Token: {token}"] + ([f"Date: {date}"] if date else [])
    return answer(201, body.encode(), tuple(headers))


@asynccontextmanager
async def with_iam(
    iam: Respond, api: Respond | None = None, user: HuaweiIam = USER, clock: FakeClock | None = None
) -> AsyncIterator[tuple[HttpClient, Server, Server]]:
    """Run an IAM, an API, and a client of both."""
    clock = clock or FakeClock()
    async with serve(iam) as login, serve(api or says(answer())) as server:
        there = replace(user, endpoint=HttpSettings(url=f"{login.url}/v3/auth/tokens"))
        settings = HttpSettings(url=server.url, huawei_iam=there, requests_per_second=math.inf)
        async with HttpClient(settings, clock=clock, sleep=clock.sleep) as client:
            yield client, server, login


@pytest.mark.parametrize(
    ("more", "project"),
    [({}, {"name": "eu-west-101"}), ({"project_name": None, "project_id": "p1"}, {"id": "p1"})],
)
async def test_a_login_is_for_a_user_of_an_account_in_a_project(
    more: dict[str, Any], project: dict[str, str]
) -> None:
    """The body is that of the IAM's reference, and the token of 20,000 characters goes out whole."""
    async with with_iam(says(logged_in()), user=replace(USER, **more)) as (client, api, iam):
        assert (await client.get("x", "/")).status == 200
    assert iam.asked[0].line == "POST /v3/auth/tokens HTTP/1.1"
    assert iam.asked[0].all("Content-Type") == ["application/json;charset=utf8"]
    user = {"name": "ann", "password": SECRET, "domain": {"name": "acme"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    assert json.loads(iam.asked[0].body) == {"auth": {"identity": identity, "scope": {"project": project}}}
    assert len(TOKEN) == 20_000
    assert api.asked[0].all("X-Auth-Token") == [TOKEN]
    assert api.asked[0].all("Authorization") == []


@pytest.mark.parametrize(
    ("more", "project"),
    [({}, {"name": "eu-west-101"}), ({"project_name": None, "project_id": "p1"}, {"id": "p1"})],
)
async def test_a_login_may_be_by_access_key(more: dict[str, Any], project: dict[str, str]) -> None:
    """The key takes the place of user, password and account; project and token are as with a password."""
    async with with_iam(says(logged_in()), user=replace(HAS_KEY, **more)) as (client, api, iam):
        assert (await client.get("x", "/")).status == 200
    assert iam.asked[0].line == "POST /v3/auth/tokens HTTP/1.1"
    identity = {"methods": ["hw_ak_sk"], "hw_ak_sk": {"access": {"key": "AK1"}, "secret": {"key": SECRET}}}
    assert json.loads(iam.asked[0].body) == {"auth": {"identity": identity, "scope": {"project": project}}}
    assert api.asked[0].all("X-Auth-Token") == [TOKEN]
    assert api.asked[0].all("Authorization") == []


async def test_an_access_key_in_files_is_read_at_each_login(tmp_path: Path) -> None:
    """Both parts are rotated without a reload: the next login takes what the files hold then."""
    clock, ak, sk = FakeClock(), tmp_path / "ak", tmp_path / "sk"
    key = replace(HAS_KEY, access_key=None, access_key_file=ak, secret_key=None, secret_key_file=sk)
    answers = says(logged_in("t1", ends="2026-01-01T03:16:40.000000Z"), logged_in("t2"))
    async with with_iam(answers, user=key, clock=clock) as (client, _, iam):
        for turn in "12":
            ak.write_text(f"AK{turn}\n")
            sk.write_text(f"SK{turn}\n")
            await client.get("x", "/")
            clock.seconds += 3 * 3600
    told = [json.loads(asked.body)["auth"]["identity"]["hw_ak_sk"] for asked in iam.asked]
    assert told == [{"access": {"key": f"AK{turn}"}, "secret": {"key": f"SK{turn}"}} for turn in "12"]


@pytest.mark.parametrize("date", [None, "Fri, 02 Jan 2026 03:16:40 GMT"])
async def test_a_token_is_renewed_before_it_ends(date: str | None) -> None:
    """Its end counts from the IAM's own date, so that a clock of ours that is off does no harm."""
    clock = FakeClock()
    ends = "2026-01-01T03:16:40.000000Z" if date is None else "2026-01-02T06:16:40.000000Z"
    async with with_iam(says(logged_in("t1", ends=ends, date=date), logged_in("t2")), clock=clock) as (
        client,
        api,
        iam,
    ):
        for seconds in (0, 3 * 3600 - RENEWED_BEFORE - 1, 1):
            clock.seconds += seconds
            await client.get("x", "/")
    assert [asked.all("X-Auth-Token") for asked in api.asked] == [["t1"], ["t1"], ["t2"]]
    assert len(iam.asked) == 2


@pytest.mark.parametrize("ends", [None, "soon", "2001-01-01T00:00:00Z"])
async def test_an_end_that_is_nonsense_is_none(ends: str | None) -> None:
    """A token without a believable end serves until it is refused."""
    clock = FakeClock()
    async with with_iam(says(logged_in(ends=ends)), clock=clock) as (client, _, iam):
        await client.get("x", "/")
        clock.seconds += 1e6
        await client.get("x", "/")
    assert len(iam.asked) == 1


async def test_a_token_that_died_early_is_replaced_once() -> None:
    """After a change of password the old token is refused: there is one login, and the request again."""
    alive = "t1"

    async def api(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200 if asked.all("X-Auth-Token") == [alive] else 401))

    async with with_iam(says(logged_in("t1"), logged_in("t2")), api) as (client, server, iam):
        assert (await client.get("x", "/")).status == 200
        alive = "t2"
        assert (await client.get("x", "/")).status == 200
    assert [asked.all("X-Auth-Token")[0] for asked in server.asked] == ["t1", "t1", "t2"]
    assert len(iam.asked) == 2


WRONG = {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}
LOCKED = {"error_code": "IAM.0017", "error_msg": "The user is locked."}


@pytest.mark.parametrize(
    ("iam", "kind", "words"),
    [
        (
            says(answer(401, json.dumps(WRONG).encode())),
            Unauthorized,
            "HTTP 401: The username or password is wrong.",
        ),
        (
            says(answer(403, json.dumps(LOCKED).encode())),
            Unauthorized,
            "HTTP 403: IAM.0017: The user is locked.",
        ),
        (says(answer(400, b"Bad Request")), Unauthorized, "HTTP 400: Bad Request"),
        (
            says(answer(200, b"<html>Log in")),
            Unauthorized,
            "the answer holds no X-Subject-Token; check auth_url",
        ),
        (says(answer(429, b"{}")), RateLimited, "HTTP 429"),
        (says(answer(500, b"{}")), ServerFailed, "HTTP 500"),
        (hangs_up_after(b""), ConnectFailed, "closed the connection instead of answering"),
    ],
)
async def test_why_a_login_failed_is_told(iam: Respond, kind: type[SourceError], words: str) -> None:
    """Each refusal is told in the IAM's words, with the block and the address; the API is not asked."""
    async with with_iam(iam) as (client, api, login):
        with pytest.raises(SourceError) as told:
            await client.get("x", "/")
    assert isinstance(told.value, kind)
    assert str(told.value).startswith(f"huawei_iam: POST {login.url}/v3/auth/tokens: ")
    assert words in str(told.value)
    assert api.asked == []


async def test_a_wrong_password_does_not_lock_the_user() -> None:
    """In a quarter of an hour of polls every few seconds there are less than the five logins that lock."""
    clock = FakeClock()
    async with with_iam(says(answer(401, json.dumps(WRONG).encode())), clock=clock) as (client, _, iam):
        for _ in range(179):
            with pytest.raises(Unauthorized, match="The username or password is wrong"):
                await client.get("x", "/")
            clock.seconds += 5
    assert len(iam.asked) == 900 / HOLD_AFTER_REFUSAL == 3


ODD = 'hush"\\' * 2


@pytest.mark.parametrize(
    "user",
    [replace(USER, password=Secret(ODD)), replace(HAS_KEY, secret_key=Secret(ODD))],
    ids=["password", "key"],
)
async def test_nothing_of_a_login_is_shown(user: HuaweiIam) -> None:
    """Neither an IAM that repeats what it got, nor settings, show password or key."""

    async def iam(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400, b"cannot read " + asked.body))

    async with with_iam(iam, user=user) as (client, _, __):
        with pytest.raises(Unauthorized, match="cannot read") as told:
            await client.get("x", "/")
    shown = "".join(traceback.format_exception(told.value))
    assert json.dumps(ODD)[1:-1] not in shown
    assert ODD not in shown
    settings = HttpSettings(url="", huawei_iam=user, huawei_aksk=OURS)
    assert "hush" not in f"{settings!r}"
    assert KEY.secret not in f"{settings!r} {KEY!r}"
