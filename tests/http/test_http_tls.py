"""TLS towards a server: who is trusted, who we are, and what is said when it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import NamedTuple

import pytest

from exporter.errors import TlsFailed
from exporter.http import HttpSettings, TlsSettings
from exporter.http.tls import TlsContext, build
from exporter.secret import Secret
from tests.http.certificates import Pair, authority, encrypted, signed
from tests.http.servers import answer, asking, client_of, says, serve


class Made(NamedTuple):
    """The certificates of these tests."""

    ca: Pair
    stranger: Pair
    good: Pair
    expired: Pair
    elsewhere: Pair
    client: Pair


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make two authorities and what the first has signed."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = authority(folder, "ca")
    return Made(
        ca,
        authority(folder, "stranger"),
        signed(ca, folder, "good"),
        signed(ca, folder, "expired", days=-1),
        signed(ca, folder, "elsewhere", host="other.example"),
        signed(ca, folder, "client", host="exporter"),
    )


async def status(url: str, tls: TlsSettings) -> int:
    """Ask once over TLS."""
    async with client_of(HttpSettings(url=url, tls_config=tls)) as client:
        return (await client.get("x", "/")).status


async def flaw(url: str, tls: TlsSettings) -> str:
    """Ask once over TLS, and tell what is wrong with it."""
    async with client_of(HttpSettings(url=url, tls_config=tls)) as client:
        with pytest.raises(TlsFailed) as told:
            await client.get("x", "/")
    return str(told.value).removeprefix(f"GET {url}/: ")


async def test_a_private_authority_is_trusted(made: Made) -> None:
    """An authority from ca_file or ca is trusted, and connections are kept."""
    async with serve(says(answer()), tls=made.good.server_context()) as server:
        async with client_of(
            HttpSettings(url=server.url, tls_config=TlsSettings(ca_file=made.ca.cert))
        ) as client:
            for _ in range(3):
                assert (await client.get("x", "/")).status == 200
        assert server.connections == 1
        assert await status(server.url, TlsSettings(ca=made.ca.cert.read_text())) == 200


@pytest.mark.parametrize(
    ("which", "trusts", "words"),
    [
        ("good", "stranger", "is not from an authority that is trusted; set tls_config.ca_file"),
        ("good", None, "is not from an authority that is trusted; set tls_config.ca_file"),
        ("stranger", None, "is not from an authority that is trusted; set tls_config.ca_file"),
        ("expired", "ca", "has expired"),
        ("elsewhere", "ca", "is for another host; check the url or set tls_config.server_name"),
    ],
)
async def test_bad_certificates_are_told_apart(
    made: Made, which: str, trusts: str | None, words: str
) -> None:
    """Unknown authority, expiry and wrong host each have words and a cure."""
    pair: Pair = getattr(made, which)
    ca: Pair | None = getattr(made, trusts) if trusts else None
    async with serve(says(answer()), tls=pair.server_context()) as server:
        told = await flaw(server.url, TlsSettings(ca_file=ca.cert if ca else None))
    assert told == f"the server's certificate {words}"
    assert server.asked == []


async def test_an_address_is_no_name(made: Made) -> None:
    """A certificate for a name is refused when the URL has an address."""
    async with serve(says(answer()), tls=made.good.server_context()) as server:
        url = server.url.replace("localhost", "127.0.0.1")
        assert "is for another address" in await flaw(url, TlsSettings(ca_file=made.ca.cert))


async def test_server_name_is_what_the_certificate_is_for(made: Made) -> None:
    """With server_name the certificate must be for that name."""
    tls = TlsSettings(ca_file=made.ca.cert, server_name="other.example")
    async with serve(says(answer()), tls=made.elsewhere.server_context()) as server:
        assert await status(server.url, tls) == 200
    async with serve(says(answer()), tls=made.good.server_context()) as server:
        assert "is for another host" in await flaw(server.url, tls)


async def test_any_certificate_is_accepted_if_told_so(made: Made) -> None:
    """With insecure_skip_verify even an expired certificate for another host is."""
    async with serve(says(answer()), tls=made.expired.server_context()) as server:
        assert await status(server.url, TlsSettings(insecure_skip_verify=True)) == 200


async def test_a_client_certificate_is_shown(made: Made) -> None:
    """The server sees the client's certificate, from files or from the configuration itself."""
    in_files = TlsSettings(ca_file=made.ca.cert, cert_file=made.client.cert, key_file=made.client.key)
    key = Secret(made.client.key.read_text())
    in_text = TlsSettings(ca_file=made.ca.cert, cert=made.client.cert.read_text(), key=key)
    async with serve(says(answer()), tls=made.good.server_context(client_ca=made.ca.cert)) as server:
        assert await status(server.url, in_files) == 200
        assert await status(server.url, in_text) == 200


@asynccontextmanager
async def openssl_server(pair: Pair, *options: str | Path) -> AsyncIterator[str]:
    """Run OpenSSL's own server: unlike asyncio's it tells the client why it refuses."""
    arguments = ["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", pair.cert, "-key", pair.key, *options]
    process = await asyncio.create_subprocess_exec(
        "openssl", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        await process.stdout.readuntil(b"ACCEPT")
        port = int((await process.stdout.readline()).rpartition(b":")[2])
        yield f"https://localhost:{port}"
    finally:
        process.kill()
        await process.communicate()


async def test_a_missing_client_certificate_is_told(made: Made) -> None:
    """A server that wants a certificate and gets none is a TLS failure, not a broken connection."""
    wants = ("-Verify", "1", "-verify_return_error", "-CAfile", made.ca.cert)
    async with openssl_server(made.good, *wants) as url:
        told = await flaw(url, TlsSettings(ca_file=made.ca.cert))
    assert told == "TLS handshake failed: tlsv13 alert certificate required"


async def test_versions_that_do_not_meet(made: Made) -> None:
    """A server that is too old for min_version is a TLS failure."""
    async with openssl_server(made.good, "-tls1_2") as url:
        assert await status(url, TlsSettings(ca_file=made.ca.cert, max_version="TLS12")) == 200
        told = await flaw(url, TlsSettings(ca_file=made.ca.cert, min_version="TLS13"))
    assert told == "TLS handshake failed: tlsv1 alert protocol version"


@pytest.mark.parametrize(
    ("first_words", "words"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "TLS handshake failed: the server speaks no TLS there; is it http instead of https?",
        ),
        (b"", "TLS handshake failed: the server hung up; check that it speaks TLS, and which versions"),
    ],
)
async def test_a_server_without_tls(first_words: bytes, words: str) -> None:
    """A server that answers a handshake with something else, or not at all, is a TLS failure."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(first_words)
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert await flaw(f"https://127.0.0.1:{port}", TlsSettings()) == words


async def test_the_context_is_kept_until_a_file_changes(made: Made, tmp_path: Path) -> None:
    """The same context serves until the authority's file is another."""
    file = tmp_path / "ca.pem"
    copy(made.stranger.cert, file)
    context = TlsContext(TlsSettings(ca_file=file))
    first = await context.current()
    assert await context.current() is first
    file.unlink()
    copy(made.ca.cert, file)
    assert await context.current() is not first


async def test_a_new_authority_counts_from_the_next_request(made: Made, tmp_path: Path) -> None:
    """When ca_file is replaced a source recovers without a reload."""
    file = tmp_path / "ca.pem"
    copy(made.stranger.cert, file)
    async with asking(
        says(answer()),
        HttpSettings(url="", tls_config=TlsSettings(ca_file=file)),
        tls=made.good.server_context(),
    ) as (client, _):
        with pytest.raises(TlsFailed):
            await client.get("x", "/")
        copy(made.ca.cert, file)
        assert (await client.get("x", "/")).status == 200


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file of tls_config that is not there is a TLS failure with its name, before any connection."""
    missing = tmp_path / "ca.pem"
    assert await flaw("https://localhost:1", TlsSettings(ca_file=missing)) == (
        f"tls_config: cannot read {missing}: No such file or directory"
    )


def test_files_that_are_no_pem_are_named(made: Made, tmp_path: Path) -> None:
    """Garbage, a key of another certificate and a locked key are told, and nobody is asked for a password."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("hush")
    locked = encrypted(made.client.key, tmp_path / "locked.key")
    base = TlsSettings(cert_file=made.client.cert, key_file=made.client.key)
    bad = [
        TlsSettings(ca_file=garbage),
        TlsSettings(ca="hush"),
        replace(base, cert_file=garbage),
        replace(base, key_file=made.good.key),
        replace(base, key_file=locked),
    ]
    for settings in bad:
        with pytest.raises(TlsFailed, match=r"^tls_config: cannot load ") as told:
            build(settings)
        assert "hush" not in str(told.value)
