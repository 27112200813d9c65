"""What can go wrong on the way, each with its error, in words that tell no secret."""

import asyncio
import gzip
import json
import socket
import traceback
import tracemalloc
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from exporter.apis import reading
from exporter.errors import ConnectFailed, Malformed, SourceError, TimedOut
from exporter.http import Authorization, BasicAuth, HeaderValues, HttpSettings, Names
from exporter.secret import Secret
from tests.http.servers import (
    NOTHING_SPECIAL,
    Asked,
    Counted,
    Respond,
    answer,
    asking,
    client_of,
    hangs_up_after,
    never_answers,
    says,
    serve,
    until,
)


async def failure_of(settings: HttpSettings, path: str = "/tasks/1") -> SourceError:
    """Ask once and return the error."""
    async with client_of(settings) as client:
        with pytest.raises(SourceError) as told:
            await client.get("x", path)
    return told.value


ANNOUNCED_ONLY = b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n"


async def drips(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def pours(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Send without an end, and without telling how much."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("respond", [never_answers, drips])
async def test_a_server_that_hangs_or_drips_is_cut_off(respond: Respond) -> None:
    """The time-out counts for the whole answer, and the connection is closed."""
    async with serve(respond) as server:
        error = await failure_of(HttpSettings(url=server.url, timeout=0.1))
        await until(lambda: server.closed == 1)
    assert type(error) is TimedOut
    assert str(error) == f"GET {server.url}/tasks/1: no whole answer within 0.1s"


async def test_a_refused_connection() -> None:
    """Where nobody listens the error says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        error = await failure_of(HttpSettings(url=url))
    assert type(error) is ConnectFailed
    assert str(error) == f"GET {url}/tasks/1: cannot connect: Connection refused"


async def test_a_refusal_begins_with_what_was_asked() -> None:
    """So that a wrong path is seen; never with the query."""
    settings = HttpSettings(url="")
    async with asking(says(answer(404, b"not here")), settings) as (client, server):
        refusal = reading.refusal(await client.get("x", "tasks/1", query=[("a", "b")]))
    assert str(refusal) == f"GET {server.url}/tasks/1: HTTP 404: not here; check the url"


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70 + ".example"])
async def test_a_name_that_is_none(host: str) -> None:
    """A host name that does not resolve, or could not, is a failed connection."""
    error = await failure_of(HttpSettings(url=f"http://{host}"))
    assert type(error) is ConnectFailed
    assert "the host name cannot be resolved" in str(error)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "closed the connection instead of answering"),
        (b"HTTP/1.1 200 O", "closed the connection instead of answering"),
        (answer(200, b"x" * 100)[:-50], "cut off half way"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut off half way"),
    ],
)
async def test_a_connection_that_is_cut_off(sent: bytes, words: str) -> None:
    """A server that hangs up before or half way through its answer is a failed connection."""
    async with serve(hangs_up_after(sent)) as server:
        error = await failure_of(HttpSettings(url=server.url))
    assert type(error) is ConnectFailed
    assert words in str(error)


async def test_a_connection_that_is_reset() -> None:
    """A reset is a failed connection."""

    async def respond(_: Asked, writer: asyncio.StreamWriter) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with serve(respond) as server:
        error = await failure_of(HttpSettings(url=server.url))
    assert type(error) is ConnectFailed
    assert "the connection broke: Connection reset by peer" in str(error)


@pytest.mark.parametrize("respond", [says(ANNOUNCED_ONLY), says(answer(200, b"x" * 10_001)), pours])
async def test_a_body_beyond_the_limit_is_cut_off(respond: Respond) -> None:
    """A body too large is refused whether or not the server tells its size, and the connection is closed."""
    async with serve(respond) as server:
        error = await failure_of(HttpSettings(url=server.url, body_size_limit=10_000))
        await until(lambda: server.closed == 1)
    assert type(error) is Malformed
    assert str(error).endswith("/tasks/1: the body is larger than 10000 bytes")


async def test_the_limit_s_key_is_told_where_there_is_one() -> None:
    """Whoever can raise the limit reads by which key; a token's endpoint or a receiver has none."""
    settings = HttpSettings(url="", body_size_limit=10, names=Names(body_size_limit="polling.limit"))
    async with serve(says(answer(200, b"x" * 11))) as server:
        error = await failure_of(replace(settings, url=server.url))
    assert str(error).endswith("larger than 10 bytes; raise polling.limit if it should be")


async def test_a_body_of_the_limit_is_read() -> None:
    """A body of just the limit is no error."""
    settings = HttpSettings(url="", body_size_limit=10_000)
    async with asking(says(answer(200, b"x" * 10_000)), settings) as (client, _):
        assert len((await client.get("x", "/")).body) == 10_000


async def test_a_bomb_does_not_go_off() -> None:
    """Of sixty-four megabytes, packed into as many kilobytes, no more than the limit is ever made."""
    bomb = gzip.compress(bytes(64 << 20), 9)
    tracemalloc.start()
    try:
        async with serve(says(answer(200, bomb, ("Content-Encoding: gzip",)))) as server:
            error = await failure_of(HttpSettings(url=server.url, body_size_limit=100_000))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert type(error) is Malformed
    assert "larger than 100000 bytes" in str(error)


async def test_what_is_not_compressed_as_told() -> None:
    """A Content-Encoding that is not true is a malformed answer."""
    async with serve(says(answer(200, b"<html>", ("Content-Encoding: gzip",)))) as server:
        error = await failure_of(HttpSettings(url=server.url))
    assert type(error) is Malformed
    assert "not gzip" in str(error)


@pytest.mark.parametrize(
    "sent", [answer(headers=("X-Long: " + "x" * 70_000,)), b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]
)
async def test_a_header_that_is_none(sent: bytes) -> None:
    """A header line beyond the limit, or another protocol, is malformed; the error tells the limit."""
    async with serve(says(sent)) as server:
        error = await failure_of(HttpSettings(url=server.url))
    assert type(error) is Malformed
    assert "65536 bytes" in str(error)
    assert "xxx" not in str(error)


async def test_a_proxy_that_refuses() -> None:
    """A proxy that is not there or says no is named as such."""
    gone = await failure_of(HttpSettings(url="http://api.example", proxy_url=Secret("http://127.0.0.1:1")))
    assert "cannot connect to the proxy: Connection refused" in str(gone)
    async with serve(says(answer(407))) as server:
        refused = await failure_of(HttpSettings(url="https://api.example", proxy_url=Secret(server.url)))
    assert type(refused) is ConnectFailed
    assert str(refused) == "GET https://api.example/tasks/1: the proxy answered 407"
    assert server.asked[0].line == "CONNECT api.example:443 HTTP/1.1"


async def test_what_is_cancelled_is_counted() -> None:
    """A request that is cancelled under way was made, so it is observed; its connection is closed."""
    counted = Counted()
    async with asking(never_answers, NOTHING_SPECIAL, counted) as (client, server):
        under_way = asyncio.ensure_future(client.get("x", "/"))
        await until(lambda: len(server.asked) == 1)
        under_way.cancel()
        with suppress(asyncio.CancelledError):
            await under_way
        await until(lambda: server.closed == 1)
    assert counted.requests == [("x", "error")]


SECRET = "hush" * 2  # so that the source lines in a traceback do not hold it
SECRETIVE = HttpSettings(
    url="http://nowhere.invalid/base?key=hush1",
    basic_auth=BasicAuth(username="me", password=Secret("hush2")),
    authorization=Authorization(credentials=Secret("hush3")),
    http_headers={"X-Key": HeaderValues(secrets=(Secret("hush4"),))},
    proxy_url=Secret("http://me:hush5@127.0.0.1:1"),
)


def test_settings_show_no_secret() -> None:
    """The settings can be printed and formatted."""
    assert "hush" not in f"{SECRETIVE!r} {SECRETIVE}"


@pytest.mark.parametrize(
    "respond",
    [
        never_answers,
        hangs_up_after(b""),
        hangs_up_after(answer()[:-1]),
        says(b"SSH-2.0\r\n\r\n"),
        says(answer(200, b"", ("X: " + "x" * 70_000,))),
        says(answer(200, b"x", ("Content-Encoding: gzip",))),
        says(answer(302, b"", (f"Location: http://other/?key={SECRET}",))),
        says(answer(302, b"", (f"Location: ?key={SECRET}",))),
        says(answer(302, b"", (f"Location: http://[{SECRET}",))),
    ],
)
async def test_no_error_shows_a_secret(respond: Respond) -> None:
    """Neither message nor traceback of any failure holds a query, a credential or a header."""
    settings = HttpSettings(
        url=f"/base?key={SECRET}",
        authorization=Authorization(credentials=Secret(SECRET)),
        http_headers={"X-Key": HeaderValues(secrets=(Secret(SECRET),))},
        timeout=0.1,
    )
    async with asking(respond, settings) as (client, _):
        with pytest.raises(SourceError, match=r"GET http://127\.0\.0\.1:\d+/base/t: ") as told:
            await client.get("x", "/t", query=[("token", SECRET)])
    assert SECRET not in "".join(traceback.format_exception(told.value))


REPEATED = 'hush/é&"+'
FORMS = (
    REPEATED,
    quote(REPEATED),
    quote_plus(REPEATED),
    json.dumps(REPEATED)[1:-1],
    json.dumps(REPEATED).replace("/", "\\/")[1:-1],
    escape(REPEATED),
    b64encode(f"me:{REPEATED}".encode()).decode(),
)


@pytest.mark.parametrize("status", [200, 302, 401, 500])
@pytest.mark.parametrize("form", FORMS)
async def test_what_a_server_repeats_is_blotted_out(form: str, status: int) -> None:
    """A credential is not shown from a refusal, whichever way the server encoded it; the rest is."""
    said = answer(
        status, f"not with {'x' * 20 + form}, me".encode(), (f"Location: /{quote(form)}",) * (status == 302)
    )
    settings = HttpSettings(
        url="", basic_auth=BasicAuth(username="me", password=Secret(REPEATED)), follow_redirects=False
    )
    async with asking(says(said), settings) as (client, _):
        with pytest.raises(SourceError) as told:
            reading.content(await client.get("x", "/t"))
    assert "hush" not in str(told.value)
    assert b64encode(b"me:hush")[:8].decode() not in str(told.value)
    assert "not with" in str(told.value) or status == 302


async def test_what_may_be_shown_is_not_blotted_out() -> None:
    """The values of a header that are no secrets, and the answer itself, stay as they are."""
    headers = {"X-Team": HeaderValues(values=("payments",), secrets=(Secret("hush"),))}
    said = says(answer(404, b'{"why": "payments has no hush"}'))
    async with asking(said, HttpSettings(url="", http_headers=headers)) as (client, _):
        got = await client.get("x", "/t")
    assert got.excerpt() == '{"why": "payments has no <secret>"}'
    assert got.json() == {"why": "payments has no hush"}


async def test_a_secret_that_is_longer_than_what_is_shown() -> None:
    """Of a token of 20,000 characters no half is left over at the end of an excerpt."""
    token = "hush" * 5_000
    settings = HttpSettings(url="", authorization=Authorization(credentials=Secret(token)))
    async with asking(says(answer(401, f"{token} is no token".encode())), settings) as (client, _):
        assert (await client.get("x", "/t")).excerpt() == "<secret> is no token"


async def test_an_error_is_cleared_of_what_was_told_before() -> None:
    """Who made an error of an answer by other means has it cleared, also of one replaced since."""
    team = HeaderValues(values=("payments",))
    key = HeaderValues(secrets=(Secret("hush"),))
    async with asking(says(answer()), HttpSettings(url="", http_headers={"X-Team": team, "X-Key": key})) as (
        client,
        _,
    ):
        await client.get("x", "/t", headers={"Authorization": "Basic bWU6cHN0"})
        await client.get("x", "/t", headers={"Authorization": "Bearer later"})
        told = client.hide("payments has no hush, nor pst, nor bWU6cHN0, nor later")
    assert told == "payments has no <secret>, nor <secret>, nor <secret>, nor <secret>"
