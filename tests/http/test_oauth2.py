"""Tokens of an OAuth 2.0 server: fetched once for all, renewed in time and once when refused."""

import asyncio
import json
import math
import re
import socket
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from exporter.apis.base import Answer
from exporter.errors import (
    ConnectFailed,
    ExporterError,
    RateLimited,
    ServerFailed,
    SourceError,
    TimedOut,
    TlsFailed,
    Unauthorized,
)
from exporter.http import MAX_PAUSE, HeaderValues, HttpClient, HttpSettings, OAuth2, TlsSettings
from exporter.http.tokens import HOLD_AFTER_FAILURE, HOLD_AFTER_REFUSAL, RENEWED_BEFORE, SPARED
from exporter.secret import Secret
from tests.http.certificates import authority, signed
from tests.http.fake_clock import FakeClock
from tests.http.servers import (
    Asked,
    Counted,
    Respond,
    Server,
    answer,
    hangs_up_after,
    never_answers,
    says,
    serve,
    until,
)

SECRET = "hush" * 2  # so that the source lines in a traceback do not hold it
OURS = OAuth2(client_id="me", client_secret=Secret(SECRET), endpoint=HttpSettings(url=""))


def issued(token: object = "t1", **more: object) -> bytes:  # noqa: S107 - a made-up token
    """The answer of a token endpoint."""
    return answer(body=json.dumps({"access_token": token, "token_type": "bearer", **more}).encode())


def refused(status: int = 401, **more: object) -> bytes:
    """The answer of a token endpoint that issues none."""
    return answer(status, json.dumps(more).encode())


def wants(*tokens: str) -> Respond:
    """An API that answers 401 to all but these tokens."""

    async def respond(asked: Asked, writer: asyncio.StreamWriter) -> None:
        known = [f"Bearer {token}" for token in tokens]
        writer.write(answer(200 if asked.all("Authorization")[0] in known else 401))

    return respond


@asynccontextmanager
async def asking(
    issuer: Respond,
    api: Respond | None = None,
    oauth2: OAuth2 = OURS,
    clock: FakeClock | None = None,
    **settings: Any,  # noqa: ANN401 - fields of HttpSettings
) -> AsyncIterator[tuple[HttpClient, Server, Server]]:
    """Run a token endpoint, an API, and a client of both."""
    clock = clock or FakeClock()
    async with serve(issuer) as endpoint, serve(api or says(answer())) as server:
        there = replace(oauth2, endpoint=replace(oauth2.endpoint, url=f"{endpoint.url}/token"))
        whole: dict[str, Any] = {"url": server.url, "requests_per_second": math.inf, "oauth2": there}
        all_settings = HttpSettings(**whole | settings)
        async with HttpClient(all_settings, clock=clock, sleep=clock.sleep) as client:
            yield client, server, endpoint


def sent_to(server: Server) -> list[str]:
    """The credentials of each request."""
    return [asked.all("Authorization")[0] for asked in server.asked]


async def test_a_token_is_fetched_and_sent() -> None:
    """The client says who it is in the header, and what for; the token goes out beside other headers."""
    ours = replace(OURS, scopes=("read", "a:b"), endpoint_params={"audience": "api x"})
    headers = {"X-Team": HeaderValues(values=("finance",))}
    async with asking(says(issued(expires_in=60)), oauth2=ours, http_headers=headers) as (client, api, idp):
        assert (await client.get("x", "/")).status == 200
    assert sent_to(api) == ["Bearer t1"]
    assert api.asked[0].all("X-Team") == ["finance"]
    (asked,) = idp.asked
    assert asked.line == "POST /token HTTP/1.1"
    assert asked.all("Content-Type") == ["application/x-www-form-urlencoded"]
    assert asked.all("Authorization") == ["Basic " + b64encode(f"me:{SECRET}".encode()).decode()]
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read a:b"],
        "audience": ["api x"],
    }


async def test_id_and_secret_are_encoded_before_they_are_joined() -> None:
    """A colon or a letter beyond ASCII in the id does not shift the secret (RFC 6749 2.3.1)."""
    ours = replace(OURS, client_id="a:\u00e4", client_secret=Secret("p w"))
    async with asking(says(issued()), oauth2=ours) as (client, _, idp):
        await client.get("x", "/")
    assert idp.asked[0].all("Authorization") == ["Basic " + b64encode(b"a%3A%C3%A4:p+w").decode()]


async def test_a_server_that_wants_id_and_secret_in_the_form_gets_them() -> None:
    """Whoever refuses the header is asked once more with a form, and from then on so at once."""
    clock = FakeClock()
    answers = says(refused(400, error="invalid_request"), issued(expires_in=100), issued("t2"))
    async with asking(answers, clock=clock) as (client, api, idp):
        await client.get("x", "/")
        clock.seconds += 100
        await client.get("x", "/")
    assert sent_to(api) == ["Bearer t1", "Bearer t2"]
    assert [bool(asked.all("Authorization")) for asked in idp.asked] == [True, False, False]
    assert parse_qs(idp.asked[2].body.decode())["client_secret"] == [SECRET]


async def test_a_client_with_a_certificate_sends_no_secret() -> None:
    """Without a secret only the id is told, in the form."""
    ours = replace(OURS, client_secret=None)
    async with asking(says(issued()), oauth2=ours) as (client, _, idp):
        await client.get("x", "/")
    assert idp.asked[0].all("Authorization") == []
    assert parse_qs(idp.asked[0].body.decode()) == {"client_id": ["me"], "grant_type": ["client_credentials"]}


@pytest.mark.parametrize("lifetime", [3600, "3600"])
async def test_a_token_is_renewed_before_it_ends(lifetime: object) -> None:
    """It serves until five minutes before its end, and not one second longer."""
    clock = FakeClock()
    answers = says(issued(expires_in=lifetime), issued("t2"))
    async with asking(answers, clock=clock) as (client, api, idp):
        await client.get("x", "/")
        clock.seconds += 3600 - RENEWED_BEFORE - 1
        await client.get("x", "/")
        assert len(idp.asked) == 1
        clock.seconds += 1
        await client.get("x", "/")
    assert sent_to(api) == ["Bearer t1", "Bearer t1", "Bearer t2"]


async def test_a_short_lived_token_serves_most_of_its_life() -> None:
    """A token of one minute is renewed after 54 seconds, and not with each request."""
    clock = FakeClock()
    async with asking(says(issued(expires_in=60), issued("t2")), clock=clock) as (client, api, _):
        for seconds in (0, 53, 1):
            clock.seconds += seconds
            await client.get("x", "/")
    assert sent_to(api) == ["Bearer t1", "Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("more", [{}, {"expires_in": 0}, {"expires_in": None}, {"expires_in": "soon"}])
async def test_a_token_without_an_end_serves_until_it_is_refused(more: dict[str, object]) -> None:
    """Where nobody tells the end, or nonsense, the token is kept."""
    clock = FakeClock()
    async with asking(says(issued(**more)), clock=clock) as (client, _, idp):
        for _ in range(3):
            await client.get("x", "/")
            clock.seconds += 1e6
    assert len(idp.asked) == 1


@pytest.mark.parametrize(
    ("kind", "word"), [("bearer", "Bearer"), (None, "Bearer"), ("DPoP", "DPoP"), ("a\nb", "Bearer")]
)
async def test_the_kind_of_the_token_is_its_word(kind: object, word: str) -> None:
    """A token is sent as the kind it was issued as."""
    async with asking(says(issued(token_type=kind))) as (client, api, _):
        await client.get("x", "/")
    assert sent_to(api) == [f"{word} t1"]


async def test_requests_at_once_share_one_token() -> None:
    """Of ten that need a token one fetches it, and none is sent before it is there."""
    async with asking(says(issued()), concurrency=10) as (client, api, idp):
        answers = await asyncio.gather(*(client.get("x", "/") for _ in range(10)))
    assert [one.status for one in answers] == [200] * 10
    assert (len(idp.asked), sent_to(api)) == (1, ["Bearer t1"] * 10)


async def test_requests_at_once_share_one_failure() -> None:
    """A token endpoint that is down is not asked by each of those who wait."""
    async with asking(hangs_up_after(b"")) as (client, _, idp):
        told = await asyncio.gather(*(client.get("x", "/") for _ in range(10)), return_exceptions=True)
    assert {type(one) for one in told} == {ConnectFailed}
    assert len(idp.asked) == 1


async def test_whoever_gives_up_leaves_the_token_to_the_others() -> None:
    """A request that is cancelled while it fetches the token does not fail those who wait for it."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def issuer(_: Asked, writer: asyncio.StreamWriter) -> None:
        began.set()
        await go_on.wait()
        writer.write(issued())

    async with asking(issuer) as (client, api, idp):
        first, second = (asyncio.ensure_future(client.get("x", "/")) for _ in range(2))
        await began.wait()
        first.cancel()
        go_on.set()
        assert (await second).status == 200
        assert first.cancelled()
    assert (len(idp.asked), sent_to(api)) == (2, ["Bearer t1"])


async def test_a_wait_for_a_token_does_not_break_the_pace() -> None:
    """Requests take no turn while they wait for a token; when it is there, they are spaced."""
    clock, began, go_on = FakeClock(), asyncio.Event(), asyncio.Event()

    async def issuer(_: Asked, writer: asyncio.StreamWriter) -> None:
        began.set()
        await go_on.wait()
        writer.write(issued())

    async with asking(issuer, clock=clock, requests_per_second=2.0) as (client, _, __):
        under_way = asyncio.gather(*(client.get("x", "/") for _ in range(4)))
        await began.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert clock.slept == []
        go_on.set()
        await under_way
    assert clock.slept == pytest.approx([0.5, 0.5, 0.5])


async def test_a_refused_token_is_renewed_once() -> None:
    """After 401 the request is made again with a new token, in a turn of its own; both are observed."""
    clock, counted = FakeClock(), Counted()
    async with serve(says(issued(), issued("t2"))) as idp, serve(wants("t2")) as api:
        ours = replace(OURS, endpoint=HttpSettings(url=idp.url))
        settings = HttpSettings(url=api.url, oauth2=ours, requests_per_second=1.0)
        async with HttpClient(settings, clock=clock, observer=counted, sleep=clock.sleep) as client:
            assert (await client.request("POST", "x", "/", body=b"again")).status == 200
    assert sent_to(api) == ["Bearer t1", "Bearer t2"]
    assert [asked.body for asked in api.asked] == [b"again"] * 2
    assert clock.seconds == pytest.approx(1001.0)
    assert counted.requests == [("token", "200"), ("x", "401"), ("token", "200"), ("x", "200")]


async def test_a_second_refusal_is_the_answer() -> None:
    """Whoever refuses the new token as well is not asked a third time, and it is not replaced at once."""
    clock = FakeClock()
    async with asking(says(issued(), issued("t2"), issued("t3")), wants(), clock=clock) as (client, api, idp):
        assert (await client.get("x", "/")).status == 401
        assert (await client.get("x", "/")).status == 401
        assert sent_to(api) == ["Bearer t1", "Bearer t2", "Bearer t2"]
        clock.seconds += SPARED
        assert (await client.get("x", "/")).status == 401
    assert sent_to(api)[3:] == ["Bearer t2", "Bearer t3"]
    assert len(idp.asked) == 3


async def test_requests_that_are_refused_at_once_share_one_renewal() -> None:
    """Five that sent the same dead token fetch one new one, and all succeed."""
    waiting = 0
    all_are_here = asyncio.Event()

    async def api(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        if asked.all("Authorization") == ["Bearer t1"]:
            waiting += 1
            if waiting == 5:
                all_are_here.set()
            await all_are_here.wait()
            writer.write(answer(401))
        else:
            writer.write(answer())

    async with asking(says(issued(), issued("t2")), api, concurrency=5) as (client, _, idp):
        answers = await asyncio.gather(*(client.get("x", "/") for _ in range(5)))
    assert [one.status for one in answers] == [200] * 5
    assert len(idp.asked) == 2


async def test_other_errors_of_the_api_leave_the_token_alone() -> None:
    """A 403 says that the token is known and not enough: another would not be."""
    async with asking(says(issued()), says(answer(403))) as (client, api, idp):
        assert (await client.get("x", "/")).status == 403
    assert (len(api.asked), len(idp.asked)) == (1, 1)


async def test_an_old_token_serves_while_no_new_one_is_to_be_had() -> None:
    """A token endpoint that is down shortly before the token's end fails nothing until then."""
    clock = FakeClock()
    async with asking(says(issued(expires_in=1000), refused(500)), clock=clock) as (client, api, idp):
        await client.get("x", "/")
        clock.seconds += 950
        await client.get("x", "/")
        await client.get("x", "/")
        assert (len(idp.asked), sent_to(api)) == (2, ["Bearer t1"] * 3)
        clock.seconds += 50
        with pytest.raises(ServerFailed):
            await client.get("x", "/")
    assert len(idp.asked) == 3


async def test_a_refused_login_is_not_repeated_for_a_refused_token() -> None:
    """Where the issuer has just said no, a token that dies early does not make us ask again."""
    clock = FakeClock()
    answers = says(issued(expires_in=1000), refused(403))
    async with asking(answers, says(answer(), answer(), answer(401)), clock=clock) as (client, _, idp):
        await client.get("x", "/")
        clock.seconds += 950
        await client.get("x", "/")
        with pytest.raises(Unauthorized, match="HTTP 403"):
            await client.get("x", "/")
    assert len(idp.asked) == 2


async def test_the_secret_is_read_for_each_token(tmp_path: Path) -> None:
    """A secret that was rotated counts from the next token on."""
    clock, file = FakeClock(), tmp_path / "secret"
    ours = replace(OURS, client_secret=None, client_secret_file=file)
    async with asking(says(issued(expires_in=10)), oauth2=ours, clock=clock) as (client, _, idp):
        for secret in ("one", "two"):
            file.write_text(f"{secret}\n")
            await client.get("x", "/")
            clock.seconds += 10
    assert sent_to(idp) == [
        "Basic " + b64encode(f"me:{secret}".encode()).decode() for secret in ("one", "two")
    ]


async def test_a_missing_secret_is_told(tmp_path: Path) -> None:
    """Where the file is not there nobody is asked; when it is, the watch goes on within seconds."""
    clock, file = FakeClock(), tmp_path / "gone"
    ours = replace(OURS, client_secret=None, client_secret_file=file)
    async with asking(says(issued()), oauth2=ours, clock=clock) as (client, api, idp):
        with pytest.raises(Unauthorized, match=r"cannot read the secret in .*gone: No such file"):
            await client.get("x", "/")
        assert (api.asked, idp.asked) == ([], [])
        file.write_text("here")
        clock.seconds += HOLD_AFTER_FAILURE
        assert (await client.get("x", "/")).status == 200


REFUSALS: list[tuple[Respond, type[ExporterError], str]] = [
    (
        says(refused(401, error="invalid_client", error_description="unknown client")),
        Unauthorized,
        "HTTP 401: invalid_client: unknown client",
    ),
    (says(refused(400, error="invalid_scope")), Unauthorized, "HTTP 400: invalid_scope"),
    (says(refused(403)), Unauthorized, "HTTP 403: {}"),
    (says(answer(404, b"<html>Not here</html>")), Unauthorized, "HTTP 404: <html>Not here</html>"),
    (says(answer(401, b"")), Unauthorized, "HTTP 401: nothing said"),
    (
        says(answer(200, b"<html>Log in</html>")),
        Unauthorized,
        "the answer holds no access_token; check token_url",
    ),
    (
        says(answer(200, b'{"access_token": 1}')),
        Unauthorized,
        "the answer holds no access_token; check token_url",
    ),
    (says(issued("t\n1")), Unauthorized, "the answer holds no access_token; check token_url"),
    (says(answer(302, b"", ("Location: /login",))), Unauthorized, "redirected to a login page"),
    (
        says(answer(307, b"", ("Location: /other",))),
        Unauthorized,
        "redirected, which is followed for GET only; check token_url",
    ),
    (says(answer(200, b"<html>", ("Content-Encoding: gzip",))), Unauthorized, "the body is not gzip"),
    (says(refused(429)), RateLimited, "HTTP 429"),
    (says(answer(503, b"down")), ServerFailed, "HTTP 503: down"),
    (hangs_up_after(b""), ConnectFailed, "closed the connection instead of answering"),
    (never_answers, TimedOut, "no whole answer within 0.1s"),
]


@pytest.mark.parametrize(("issuer", "kind", "words"), REFUSALS, ids=[words for _, __, words in REFUSALS])
async def test_why_there_is_no_token_is_told(issuer: Respond, kind: type[ExporterError], words: str) -> None:
    """Each way to get none has its error, that names the block and the address; the API is not asked."""
    # Who answers has all the time that it takes a busy machine.
    ours = replace(OURS, endpoint=HttpSettings(url="", timeout=0.1 if kind is TimedOut else 60.0))
    async with asking(issuer, oauth2=ours) as (client, api, idp):
        with pytest.raises(SourceError) as told:
            await client.get("x", "/")
    assert isinstance(told.value, kind)
    assert str(told.value).startswith(f"oauth2: POST {idp.url}/token: ")
    assert words in str(told.value)
    assert api.asked == []


async def test_a_token_endpoint_that_is_not_there() -> None:
    """A refused connection is unreachable, and no matter of credentials."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ours = replace(OURS, endpoint=HttpSettings(url=f"http://127.0.0.1:{unused.getsockname()[1]}/token"))
        async with HttpClient(
            HttpSettings(url="http://api.invalid", oauth2=ours), clock=FakeClock()
        ) as client:
            with pytest.raises(ConnectFailed, match=r"oauth2: POST .*: cannot connect: Connection refused"):
                await client.get("x", "/")


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [(refused(403), HOLD_AFTER_REFUSAL), (refused(500), HOLD_AFTER_FAILURE)],
)
async def test_a_token_endpoint_is_not_asked_all_the_time(refusal: bytes, seconds: float) -> None:
    """After a refusal for minutes, and after a failure for seconds, the same error is told without asking."""
    clock = FakeClock()
    async with asking(says(refusal, issued()), clock=clock) as (client, _, idp):
        for passed in (0.0, seconds - 1):
            clock.seconds += passed
            with pytest.raises(SourceError):
                await client.get("x", "/")
        assert len(idp.asked) == 1
        clock.seconds += 1
        assert (await client.get("x", "/")).status == 200


@pytest.mark.parametrize(("asked", "kept"), [(40, 40), (86400, MAX_PAUSE)])
async def test_a_pause_that_the_token_endpoint_asks_for_is_kept(asked: int, kept: float) -> None:
    """Retry-After holds, within reason, and is told as the API's own would be."""
    clock = FakeClock()
    busy = answer(429, b"{}", (f"Retry-After: {asked}",))
    async with asking(says(busy, issued()), clock=clock) as (client, _, idp):
        for passed in (0, kept - 1):
            clock.seconds += passed
            with pytest.raises(RateLimited) as told:
                await client.get("x", "/")
            assert told.value.retry_after == asked
        assert len(idp.asked) == 1
        clock.seconds += 1
        await client.get("x", "/")
    assert len(idp.asked) == 2


def echo(asked: Asked) -> bytes:
    """All that a request told, as a careless server repeats it."""
    return json.dumps({"error": "no", "error_description": f"{asked.headers} {asked.body!r}"}).encode()


@pytest.mark.parametrize("status", [400, 401, 500, 200])
async def test_no_error_shows_the_secret(status: int) -> None:
    """A server that repeats what it was sent does not bring it into message or traceback."""

    async def issuer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, echo(asked)))

    ours = replace(OURS, endpoint_params={})
    async with asking(issuer, oauth2=ours) as (client, _, __):
        with pytest.raises(SourceError) as told:
            await client.get("x", "/")
    shown = "".join(traceback.format_exception(told.value))
    assert SECRET not in shown
    assert b64encode(f"me:{SECRET}".encode()).decode() not in shown


async def test_nothing_of_a_token_is_shown() -> None:
    """Neither settings nor the client nor an error of a later request shows secret or token."""
    token = "tell" * 5
    clock = FakeClock()
    answers = says(issued(token, expires_in=10), answer(200, f'{{"other": "{token}"}}'.encode()))
    async with asking(answers, clock=clock) as (client, api, _):
        await client.get("x", "/")
        clock.seconds += 10
        with pytest.raises(Unauthorized) as told:
            await client.get("x", "/")
        shown = f"{OURS!r} {client!r} {vars(client)!r}" + "".join(traceback.format_exception(told.value))
    assert sent_to(api) == [f"Bearer {token}"]
    assert token not in shown
    assert SECRET not in shown


async def test_the_token_endpoint_s_connection_is_not_kept() -> None:
    """A token is needed once an hour: its connection is closed until then."""
    async with asking(says(issued())) as (client, _, idp):
        answered: Answer = await client.get("x", "/")
        await until(lambda: idp.closed == 1)
    assert answered.status == 200


@pytest.mark.parametrize(
    ("host", "cure"),
    [
        ("localhost", "set oauth2.tls_config.ca_file"),
        ("127.0.0.1", "check token_url or set oauth2.tls_config.server_name"),
    ],
)
async def test_cures_name_the_keys_of_the_block(tmp_path: Path, host: str, cure: str) -> None:
    """Whoever reads the cure looks for the key where it is: in oauth2, and not in the source."""
    ca = authority(tmp_path, "ca")
    tls = TlsSettings(ca_file=ca.cert) if host != "localhost" else TlsSettings()
    async with serve(says(issued()), tls=signed(ca, tmp_path, "idp").server_context()) as idp:
        endpoint = HttpSettings(url=idp.url.replace("localhost", host), tls_config=tls)
        settings = HttpSettings(url="http://api.invalid", oauth2=replace(OURS, endpoint=endpoint))
        async with HttpClient(settings, clock=FakeClock()) as client:
            with pytest.raises(TlsFailed, match=rf"^oauth2: POST https://\S+: .*; {re.escape(cure)}$"):
                await client.get("x", "/")


async def test_the_token_endpoint_has_a_proxy_of_its_own() -> None:
    """The block's proxy is gone through for the token, and not for the API."""
    async with serve(says(issued())) as proxy, serve(says(answer())) as api:
        endpoint = HttpSettings(url="http://idp.example/token", proxy_url=Secret(proxy.url))
        settings = HttpSettings(url=api.url, oauth2=replace(OURS, endpoint=endpoint))
        async with HttpClient(settings, clock=FakeClock()) as client:
            await client.get("x", "/")
    assert proxy.asked[0].line == "POST http://idp.example/token HTTP/1.1"
    assert api.asked[0].line == "GET / HTTP/1.1"
