"""The client against servers on loopback: what it sends, and what it makes of the answers."""

import asyncio
import gzip
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from yarl import URL

from exporter.apis.base import Http
from exporter.errors import ConnectFailed, Rejected, Unauthorized
from exporter.http import Authorization, BasicAuth, Credentials, HeaderValues, HttpClient, HttpSettings
from exporter.secret import Secret
from tests.http.fake_clock import FakeClock
from tests.http.servers import (
    DATE,
    NOTHING_SPECIAL,
    Asked,
    Counted,
    answer,
    asking,
    client_of,
    hangs_up_after,
    says,
    serve,
    until,
)


async def test_an_answer_is_returned_whatever_its_status() -> None:
    """Status, headers, body and date come back as they are, for errors as well."""
    sent = answer(500, b"<html>oops", (f"Date: {DATE}", "X-Trace-Id: 7"))
    async with asking(says(sent)) as (client, _):
        http: Http = client
        got = await http.get("get_status", "/")
    assert (got.status, got.body, got.headers["x-trace-id"]) == (500, b"<html>oops", "7")
    assert got.date == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


async def test_the_request_is_sent_to_the_letter() -> None:
    """Path, query and headers arrive as given; ours say who asks and what compression is read."""
    async with asking(says(answer()), HttpSettings(url="/base")) as (client, server):
        await client.get("x", "/t/a%2Fb%41", query=[("q", "a b"), ("q", "")], headers={"workspace": "w1"})
    asked = server.asked[0]
    assert asked.line == "GET /base/t/a%2Fb%41?q=a%20b&q= HTTP/1.1"
    assert asked.all("workspace") == ["w1"]
    assert asked.all("Accept-Encoding") == ["gzip, deflate"]
    assert asked.all("User-Agent")[0].startswith("asynctask-exporter/")
    assert asked.all("Authorization") == []


async def test_a_body_is_posted() -> None:
    """A request may carry a body and tell its type."""
    async with asking(says(answer())) as (client, server):
        json = {"Content-Type": "application/json"}
        await client.request("POST", "notify", "/api/v2/alerts", headers=json, body=b"[]")
    assert (server.asked[0].line, server.asked[0].body) == ("POST /api/v2/alerts HTTP/1.1", b"[]")
    assert server.asked[0].all("Content-Type") == ["application/json"]


async def test_a_header_cannot_smuggle_another() -> None:
    """A value with a line break is refused, and nothing is sent."""
    async with asking(says(answer())) as (client, server):
        with pytest.raises(Rejected, match="workspace"):
            await client.get("x", "/", headers={"workspace": "a\r\nX-Evil: b"})
    assert server.asked == []


async def test_connections_are_kept() -> None:
    """Requests one after another share a connection, also after an error; close ends it."""
    sent = says(answer(), answer(404), answer(500, b"x" * 100_000), answer())
    async with serve(sent) as server:
        async with client_of(HttpSettings(url=server.url)) as client:
            for _ in range(5):
                await client.get("x", "/")
        await until(lambda: server.closed == 1)
    assert (server.connections, len(server.asked)) == (1, 5)


async def test_cookies_are_not_kept() -> None:
    """A cookie that a server sets is not sent back to it."""
    async with (
        serve(says(answer(headers=("Set-Cookie: s=1",)))) as server,
        client_of(HttpSettings(url=server.url.replace("127.0.0.1", "localhost"))) as client,
    ):
        await client.get("x", "/")
        await client.get("x", "/")
    assert server.asked[1].all("Cookie") == []


async def test_basic_auth_is_sent() -> None:
    """User name and password go out as UTF-8, as RFC 7617 has it."""
    auth = BasicAuth(username="admin", password=Secret("p\u00e4ss:w"))
    async with asking(says(answer()), HttpSettings(url="", basic_auth=auth)) as (client, server):
        await client.get("x", "/")
    assert server.asked[0].all("Authorization") == ["Basic YWRtaW46cMOkc3M6dw=="]


async def test_authorization_and_headers_are_sent() -> None:
    """The type's word goes before the credentials; a header may have several values in their order."""
    settings = HttpSettings(
        url="",
        authorization=Authorization(type="Token", credentials=Secret("t0k")),
        http_headers={"X-Auth": HeaderValues(values=("a", "b"), secrets=(Secret("c"),))},
    )
    async with asking(says(answer()), settings) as (client, server):
        await client.get("x", "/")
    assert server.asked[0].all("Authorization") == ["Token t0k"]
    assert server.asked[0].all("X-Auth") == ["a", "b", "c"]


async def test_secrets_in_files_are_read_on_each_use(tmp_path: Path) -> None:
    """A file that is written anew counts from the next request, without the blanks around its text."""
    token, user, header = tmp_path / "token", tmp_path / "user", tmp_path / "header"
    user.write_text("admin\n")
    settings = HttpSettings(
        url="",
        basic_auth=BasicAuth(username_file=user, password_file=token),
        http_headers={"X-Auth-Token": HeaderValues(values=("first",), files=(header,))},
    )
    async with asking(says(answer()), settings) as (client, server):
        for secret in ("one", "two"):
            token.write_text(f"  {secret}\r\n")
            header.write_text(f"{secret}\n")
            await client.get("x", "/")
    assert [asked.all("Authorization") for asked in server.asked] == [
        ["Basic YWRtaW46b25l"],
        ["Basic YWRtaW46dHdv"],
    ]
    assert [asked.all("X-Auth-Token") for asked in server.asked] == [["first", "one"], ["first", "two"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read the secret in {}: No such file"),
        (b" \n", "the secret in {} is empty"),
        (b"two\nlines-of-hush", "the secret in {} is not one line"),
        (b"\xff\xfehush", "the secret in {} is not UTF-8"),
    ],
)
async def test_a_file_without_a_secret_stops_the_request(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """A file that is missing, empty or no text is an error that names it, and nothing is sent or counted."""
    file, counted = tmp_path / "token", Counted()
    if content is not None:
        file.write_bytes(content)
    settings = HttpSettings(url="", authorization=Authorization(credentials_file=file))
    async with asking(says(answer()), settings, counted) as (client, server):
        with pytest.raises(Unauthorized) as told:
            await client.get("x", "/")
    assert str(told.value).startswith(words.format(file))
    assert "hush" not in str(told.value)
    assert (server.asked, counted.requests) == ([], [])


async def test_other_credentials_see_each_request() -> None:
    """Whoever signs is asked for headers with the method, the URL and the body of each exchange."""

    class Signs(Credentials):
        async def headers(self, method: str, url: URL, body: bytes | None) -> list[tuple[str, str]]:
            return [("Signature", f"{method} {url.raw_path} {body!r}")]

    clock = FakeClock()
    async with serve(says(answer(307, headers=("Location: /b",)), answer())) as server:
        settings = HttpSettings(url=server.url)
        async with HttpClient(settings, clock=clock, credentials=Signs(), sleep=clock.sleep) as client:
            await client.get("x", "/a")
    assert [asked.all("Signature") for asked in server.asked] == [["GET /a None"], ["GET /b None"]]


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("GZIP", gzip.compress(b'{"a": 1}', mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("identity", b'{"a": 1}'),
    ],
)
async def test_compressed_answers_are_read(encoding: str, raw: bytes) -> None:
    """What gzip and deflate have made small is decompressed."""
    async with asking(says(answer(200, raw, (f"Content-Encoding: {encoding}",)))) as (client, _):
        assert (await client.get("x", "/")).body == b'{"a": 1}'


async def test_a_long_compressed_answer_is_read() -> None:
    """What is decompressed beside the event loop comes out the same."""
    text = b"".join(b"%d," % (i * i) for i in range(100_000))
    raw = gzip.compress(text, mtime=0)
    assert len(raw) > 100_000
    async with asking(says(answer(200, raw, ("Content-Encoding: gzip",)))) as (client, _):
        assert (await client.get("x", "/")).body == text


async def test_header_lines_of_twenty_thousand_characters_are_read() -> None:
    """Neither a very long header line is an error, nor a status line."""
    sent = answer(headers=("X-Long: " + "x" * 20_000,)).replace(b"Words", b"Words" * 4_000)
    async with asking(says(sent)) as (client, _):
        assert len((await client.get("x", "/")).headers["X-Long"]) == 20_000


async def test_each_exchange_is_observed() -> None:
    """The observer hears endpoint and status code of each answer, and of each that failed."""
    counted = Counted()
    async with asking(says(answer(), answer(404)), NOTHING_SPECIAL, counted) as (client, _):
        await client.get("get_status", "/")
        await client.get("list", "/")
    async with asking(hangs_up_after(answer(200)[:-1]), NOTHING_SPECIAL, counted) as (client, _):
        with pytest.raises(Exception, match="cut off"):
            await client.get("list", "/")
    assert counted.requests == [("get_status", "200"), ("list", "404"), ("list", "error")]
    assert all(0 < seconds < 60 for seconds in counted.seconds)


async def test_redirects_on_the_same_origin_are_followed() -> None:
    """Relative and absolute targets of all five kinds are asked with credentials, each counted."""
    counted = Counted()

    async def respond(asked: Asked, writer: asyncio.StreamWriter) -> None:
        hops = {"/0": 301, "/1": 302, "/2": 303, "/3": 307, "/4": 308}
        to = (
            f"{server.url}/{int(asked.target[1:]) + 1}"
            if asked.target == "/2"
            else f"{int(asked.target[1:]) + 1}"
        )
        status = hops.get(asked.target, 200)
        writer.write(answer(status, headers=(f"Location: {to}",) if status != 200 else ()))

    async with serve(respond) as server:
        settings = HttpSettings(url=server.url, authorization=Authorization(credentials=Secret("t")))
        async with client_of(settings, counted) as client:
            assert (await client.get("x", "/0")).status == 200
    assert [asked.line for asked in server.asked] == [f"GET /{i} HTTP/1.1" for i in range(6)]
    assert all(asked.all("Authorization") == ["Bearer t"] for asked in server.asked)
    assert [code for _, code in counted.requests] == ["301", "302", "303", "307", "308", "200"]
    assert server.connections == 1


async def test_a_circle_of_redirects_ends() -> None:
    """After five redirects the client gives up."""
    async with asking(says(answer(302, headers=("Location: /",)))) as (client, server):
        with pytest.raises(Rejected, match="redirected more than 5 times"):
            await client.get("x", "/")
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/tasks?key=hush", Rejected, "is not followed"),
        ("/login?next=hush", Unauthorized, "login page"),
    ],
)
async def test_credentials_never_go_to_another_origin(path: str, error: type[Exception], words: str) -> None:
    """A redirect to another port of the same host is not followed; the error tells its origin only."""
    async with (
        serve(says(answer())) as other,
        serve(says(answer(302, headers=(f"Location: {other.url}{path}",)))) as server,
    ):
        settings = HttpSettings(url=server.url, authorization=Authorization(credentials=Secret("t")))
        async with client_of(settings) as client:
            with pytest.raises(error, match=words) as told:
                await client.get("x", "/")
    assert other.asked == []
    assert other.url in str(told.value)
    assert "hush" not in str(told.value)


async def test_redirects_are_not_followed_if_told_so() -> None:
    """With follow_redirects off any redirect is an error."""
    async with asking(
        says(answer(302, headers=("Location: /b",))), HttpSettings(url="", follow_redirects=False)
    ) as (client, server):
        with pytest.raises(Rejected, match="is not followed"):
            await client.get("x", "/")
    assert len(server.asked) == 1


async def test_ten_requests_are_spaced_exactly() -> None:
    """Ten requests at 1.5 a second reach the server two thirds of a second apart, and the waits are told."""
    clock, counted, arrived = FakeClock(), Counted(), list[float]()

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.append(clock.monotonic() - 1000.0)
        writer.write(answer())

    async with serve(respond) as server:
        settings = HttpSettings(url=server.url, requests_per_second=1.5)
        async with HttpClient(settings, clock=clock, observer=counted, sleep=clock.sleep) as client:
            for _ in range(10):
                await client.get("x", "/")
    assert arrived == pytest.approx([i / 1.5 for i in range(10)])
    assert counted.waited == pytest.approx([1 / 1.5] * 9)


@pytest.mark.parametrize(
    ("status", "wait", "seconds"),
    [
        (429, "30", 30.0),
        (503, "30", 30.0),
        (429, "Wed, 21 Oct 2026 07:28:45 GMT", 45.0),
        (429, "86400", 900.0),
        (200, "30", 0.0),
        (404, "30", 0.0),
        (429, "soon", 0.0),
    ],
)
async def test_retry_after_pauses_the_source(status: int, wait: str, seconds: float) -> None:
    """After 429 and 503 nobody asks before Retry-After, or the cap, has passed; else it means nothing."""
    clock = FakeClock()
    first = answer(status, headers=(f"Retry-After: {wait}", f"Date: {DATE}"))
    async with serve(says(first, answer())) as server:
        settings = HttpSettings(url=server.url, requests_per_second=1e9)
        async with HttpClient(settings, clock=clock, sleep=clock.sleep) as client:
            assert (await client.get("x", "/")).status == status
            await client.get("y", "/")
    assert clock.monotonic() - 1000.0 == pytest.approx(seconds, abs=1e-6)


async def test_concurrent_requests_are_limited() -> None:
    """No more than the configured number is under way, and each of these has its connection."""
    under_way, most = 0, 0

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        writer.write(answer())

    async with asking(respond, HttpSettings(url="", concurrency=3)) as (client, server):
        await asyncio.gather(*(client.get("x", "/") for _ in range(12)))
    assert (most, server.connections, len(server.asked)) == (3, 3, 12)


async def test_a_repeated_request_waits_for_its_turn() -> None:
    """A GET that is repeated on a new connection, as the old one was dead, keeps the pace."""
    clock, arrived = FakeClock(), list[float]()

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.append(clock.monotonic() - 1000.0)
        if len(arrived) == 2:
            writer.close()
        else:
            writer.write(answer())

    async with serve(respond) as server:
        settings = HttpSettings(url=server.url, requests_per_second=1.0)
        async with HttpClient(settings, clock=clock, sleep=clock.sleep) as client:
            for _ in range(2):
                assert (await client.get("x", "/")).status == 200
    assert arrived == [0.0, 1.0, 2.0]


async def test_a_proxy_is_gone_through() -> None:
    """With proxy_url the proxy is asked for the whole URL, and gets its own credentials."""
    async with serve(says(answer())) as server:
        proxy = Secret(server.url.replace("http://", "http://me:hush@"))
        async with client_of(HttpSettings(url="http://api.example/base", proxy_url=proxy)) as client:
            assert (await client.get("x", "/t")).status == 200
    assert server.asked[0].line == "GET http://api.example/base/t HTTP/1.1"
    assert server.asked[0].all("Proxy-Authorization") == ["Basic bWU6aHVzaA=="]


async def test_a_tunnel_gets_the_proxys_credentials_only() -> None:
    """Towards https the proxy is asked for a tunnel, and is not told what is for the server."""
    async with serve(says(answer(403))) as server:
        settings = HttpSettings(
            url="https://api.example",
            proxy_url=Secret(server.url.replace("http://", "http://me:hush@")),
            authorization=Authorization(credentials=Secret("for-the-server")),
        )
        async with client_of(settings) as client:
            with pytest.raises(ConnectFailed, match="the proxy answered 403"):
                await client.get("x", "/t")
    assert server.asked[0].line == "CONNECT api.example:443 HTTP/1.1"
    assert server.asked[0].all("Proxy-Authorization") == ["Basic bWU6aHVzaA=="]
    assert server.asked[0].all("Authorization") == []


@pytest.mark.parametrize(("scheme", "told"), [("https", ["a", "b"]), ("http", [])])
async def test_headers_for_the_tunnel_go_to_the_proxy_only(scheme: str, told: list[str]) -> None:
    """What proxy_connect_header has is sent with CONNECT, and never with a request for the server."""
    async with serve(says(answer(403))) as server:
        settings = HttpSettings(
            url=f"{scheme}://api.example",
            proxy_url=Secret(server.url),
            proxy_connect_header={"X-Team": (Secret("a"), Secret("b"))},
        )
        async with client_of(settings) as client:
            for _ in range(2):
                with suppress(ConnectFailed):
                    await client.get("x", "/t")
    assert [asked.all("X-Team") for asked in server.asked] == [told, told]


async def test_a_closed_client_can_be_used_again() -> None:
    """Closing twice is no error, and the next request connects anew."""
    async with serve(says(answer())) as server:
        client = client_of(HttpSettings(url=server.url))
        for _ in range(2):
            await client.get("x", "/")
            await client.close()
            await client.close()
    assert server.connections == 2
