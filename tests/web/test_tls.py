"""TLS as clients meet it: real connections on loopback, and certificates that change."""

import asyncio
import platform
import re
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import uvloop
import yaml

from exporter.config.web import load_web
from exporter.errors import ConfigError
from exporter.web import tls
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.live import LiveSettings
from exporter.web.server import Address, Server
from exporter.web.settings import TlsServerSettings
from tests.http.certificates import Pair, authority, encrypted, signed
from tests.web.fake_exporter import FakeExporter

LOCAL = Address("127.0.0.1", 0)
TLS = "cert_file: server.pem, key_file: server.key"
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Serving = AbstractAsyncContextManager[Address]
Serve = Callable[[str], Serving]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The authority that servers and clients trust."""
    return authority(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture
def folder(tmp_path: Path, ca: Pair) -> Path:
    """A folder with a server's certificate, and the authority's."""
    signed(ca, tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.cert.read_bytes())
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Serve:
    """Serves with a web configuration file in the folder."""

    def served(text: str) -> Serving:
        return serving(folder, text)

    return served


@asynccontextmanager
async def serving(folder: Path, text: str) -> AsyncIterator[Address]:
    """Serve with this text as the file."""
    replace(folder / "web.yml", text)
    live = LiveSettings(folder / "web.yml", load_web)
    application = build(FakeExporter(), access=Access(current=live.current))
    server = Server(application, [LOCAL], context=live.context())
    (bound,) = await server.start()
    try:
        yield bound
    finally:
        await server.stop()


def replace(file: Path, content: str | bytes) -> None:
    """Put a file in the place of another at once, as whoever renews certificates does."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content.encode() if isinstance(content, str) else content)
    fresh.replace(file)


def trusting(ca: Pair, identity: Pair | None = None) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context(cafile=ca.cert)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if identity:
        context.load_cert_chain(identity.cert, identity.key)
    return context


async def ask(address: Address, context: ssl.SSLContext) -> tuple[int, dict[str, object]]:
    """Ask for the metrics: the status and the server's certificate.

    Raises:
        ConnectionError: the server ended the connection.
        ssl.SSLError: there was no agreement.
    """
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(REQUEST)
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("closed without an answer")
        return int(line.split()[1]), writer.get_extra_info("peercert")
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def test_metrics_come_over_tls(serve: Serve, ca: Pair) -> None:
    """A client that trusts the authority gets its answer, in TLS 1.3."""
    async with serve(f"tls_server_config: {{{TLS}}}") as address:
        assert (await ask(address, trusting(ca)))[0] == 200


async def test_a_client_that_does_not_trust_is_no_error_of_ours(
    serve: Serve, tmp_path: Path, ca: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a failed handshake nor plain HTTP fills the log or ends the server."""
    other = authority(tmp_path, "other")
    async with serve(f"tls_server_config: {{{TLS}}}") as address:
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(address, trusting(other))
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(REQUEST)
        with suppress(ConnectionError):
            assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
        assert (await ask(address, trusting(ca)))[0] == 200
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def test_a_renewed_certificate_is_used_at_once(serve: Serve, folder: Path, ca: Pair) -> None:
    """The next connection sees the new one, and an open connection lives on."""
    async with serve(f"tls_server_config: {{{TLS}}}") as address:
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=trusting(ca), server_hostname="localhost"
        )
        _, first = await ask(address, trusting(ca))
        renew(ca, folder)
        _, second = await ask(address, trusting(ca))
        assert first["serialNumber"] != second["serialNumber"]
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


def renew(ca: Pair, folder: Path, *, days: int = 2) -> None:
    """Put another certificate with another key in place."""
    (folder / "fresh").mkdir(exist_ok=True)
    fresh = signed(ca, folder / "fresh", "server", days=days)
    replace(folder / "server.key", fresh.key.read_bytes())
    replace(folder / "server.pem", fresh.cert.read_bytes())


async def test_a_broken_certificate_leaves_the_one_before(serve: Serve, folder: Path, ca: Pair) -> None:
    """A key that does not fit (yet) is logged once; when all is well again, the new one is used."""
    async with serve(f"tls_server_config: {{{TLS}}}") as address:
        _, first = await ask(address, trusting(ca))
        good = (folder / "server.key").read_bytes()
        replace(folder / "server.key", signed(ca, folder, "another").key.read_bytes())
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                assert await ask(address, trusting(ca)) == (200, first)
        told = [line for line in logs if line["log_level"] == "error"]
        assert len(told) == 1
        assert told[0]["reason"] == (
            f"{folder / 'web.yml'}: tls_server_config: cannot load cert and key in {folder / 'server.pem'}: "
            "the key does not belong to the certificate"
        )
        replace(folder / "server.key", good)
        assert await ask(address, trusting(ca)) == (200, first)
        renew(ca, folder)
        assert (await ask(address, trusting(ca)))[1] != first


async def test_a_broken_file_leaves_the_settings_before(serve: Serve, folder: Path, ca: Pair) -> None:
    """A mistake, a file that is gone, and TLS that is taken out lock nobody out and open nothing."""
    right = f"tls_server_config: {{{TLS}}}\nhttp_server_config: {{headers: {{X-XSS-Protection: '0'}}}}"
    async with serve(right) as address:
        for text in ("tls_server_confg: {}", "basic_auth_users: {}", ": ["):
            replace(folder / "web.yml", text)
            with structlog.testing.capture_logs() as logs:
                for _ in range(2):
                    assert (await ask(address, trusting(ca)))[0] == 200
            assert [line["log_level"] for line in logs].count("error") == 1
        (folder / "web.yml").unlink()
        assert (await ask(address, trusting(ca)))[0] == 200


async def test_what_the_file_says_now_holds(serve: Serve, folder: Path, ca: Pair) -> None:
    """Users and client certificates that are asked for hold from the next connection on."""
    text = f"tls_server_config: {{{TLS}}}"
    async with serve(text) as address:
        users = "basic_auth_users: {ada: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}"
        replace(folder / "web.yml", f"{text}\n{users}")
        assert (await ask(address, trusting(ca)))[0] == 401
        required = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
        replace(folder / "web.yml", f"tls_server_config: {{{TLS}, {required}}}")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await ask(address, trusting(ca))


@pytest.mark.parametrize(
    ("kind", "nobody", "known", "stranger"),
    [
        ("NoClientCert", True, True, True),
        ("VerifyClientCertIfGiven", True, True, False),
        ("RequireAndVerifyClientCert", False, True, False),
    ],
)
async def test_client_certificates(
    serve: Serve, tmp_path: Path, ca: Pair, kind: str, *, nobody: bool, known: bool, stranger: bool
) -> None:
    """Who has none, one of the authority, and one of another authority, gets in or not."""
    clients = {
        None: nobody,
        signed(ca, tmp_path, "client"): known,
        signed(authority(tmp_path, "other"), tmp_path, "stranger"): stranger,
    }
    asks = "" if kind == "NoClientCert" else ", client_ca_file: ca.pem"
    async with serve(f"tls_server_config: {{{TLS}, client_auth_type: {kind}{asks}}}") as address:
        for identity, gets_in in clients.items():
            try:
                answered = (await ask(address, trusting(ca, identity)))[0] == 200
            except (ConnectionError, ssl.SSLError):
                answered = False
            assert answered is gets_in, identity


async def test_only_certificates_of_certain_names(serve: Serve, tmp_path: Path, ca: Pair) -> None:
    """A certificate of the authority for another name is told so."""
    names = (
        "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [prom]"
    )
    async with serve(f"tls_server_config: {{{TLS}, {names}}}") as address:
        prometheus = signed(ca, tmp_path, "prometheus", host="prom")
        grafana = signed(ca, tmp_path, "grafana", host="graf")
        assert (await ask(address, trusting(ca, prometheus)))[0] == 200
        assert (await ask(address, trusting(ca, grafana)))[0] == 403


async def test_a_client_certificate_that_has_expired(serve: Serve, tmp_path: Path, ca: Pair) -> None:
    """It opens nothing."""
    required = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
    async with serve(f"tls_server_config: {{{TLS}, {required}}}") as address:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await ask(address, trusting(ca, signed(ca, tmp_path, "late", days=-1)))


def speaking(ca: Pair, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client's context for one version only."""
    context = trusting(ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("versions", "accepted"),
    [
        ("", {"TLSv1_2", "TLSv1_3"}),
        (", min_version: TLS13", {"TLSv1_3"}),
        (", max_version: TLS12", {"TLSv1_2"}),
        (", min_version: TLS10, max_version: TLS11", {"TLSv1", "TLSv1_1"}),
    ],
)
async def test_versions(serve: Serve, ca: Pair, versions: str, accepted: set[str]) -> None:
    """Only the versions in between are spoken, the old ones included if somebody insists."""
    async with serve(f"tls_server_config: {{{TLS}{versions}}}") as address:
        for version in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
            try:
                answered = (await ask(address, speaking(ca, ssl.TLSVersion[version])))[0] == 200
            except (ConnectionError, ssl.SSLError):
                answered = False
            assert answered is (version in accepted), version


@pytest.mark.parametrize(
    ("choice", "cipher"),
    [
        ("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (
            (
                "cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
            ),
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
        (
            (
                "prefer_server_cipher_suites: false, "
                "cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
            ),
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
async def test_cipher_suites(serve: Serve, ca: Pair, choice: str, cipher: str) -> None:
    """The suites are those that were named, and the order is the server's unless told."""
    client = trusting(ca)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
    )
    async with serve(f"tls_server_config: {{{TLS}, {choice}}}") as address:
        _, writer = await asyncio.open_connection(
            address.host, address.port, ssl=client, server_hostname="localhost"
        )
        assert writer.get_extra_info("cipher")[0] == cipher
        writer.close()


async def test_a_curve(serve: Serve, ca: Pair) -> None:
    """A client that knows another curve only finds no agreement."""
    client = trusting(ca)
    client.set_ecdh_curve("secp384r1")
    async with serve(f"tls_server_config: {{{TLS}, curve_preferences: [CurveP384]}}") as address:
        assert (await ask(address, client))[0] == 200
    async with serve(f"tls_server_config: {{{TLS}, curve_preferences: [CurveP521]}}") as address:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await ask(address, client)


def test_a_curve_that_python_does_not_know(folder: Path) -> None:
    """What this Python cannot choose, as that of Debian 12 cannot choose X25519, is told with the cure."""
    settings = TlsServerSettings(
        cert_file=folder / "server.pem", key_file=folder / "server.key", curve="no-curve"
    )
    with pytest.raises(ConfigError) as told:
        tls.build(settings)
    assert str(told.value) == (
        f"tls_server_config.curve_preferences: Python {platform.python_version()} cannot choose no-curve; "
        "choose another, or leave it to OpenSSL"
    )


async def test_certificates_in_the_file_itself(serve: Serve, folder: Path, ca: Pair) -> None:
    """A certificate and a key may stand in the web configuration file."""

    def block(name: str) -> str:
        lines = (folder / name).read_text().splitlines()
        return "|\n" + "".join(f"    {line}\n" for line in lines)

    text = f"tls_server_config:\n  cert: {block('server.pem')}\n  key: {block('server.key')}"
    async with serve(text) as address:
        assert (await ask(address, trusting(ca)))[0] == 200


def opened(folder: Path, now: datetime | None = None) -> LiveSettings:
    """Read a file with the certificate in the folder, at this time."""
    replace(folder / "web.yml", f"tls_server_config: {{{TLS}}}")
    return LiveSettings(folder / "web.yml", load_web, now=lambda: now or datetime.now(UTC))


def test_a_certificate_out_of_its_time_is_told(folder: Path, ca: Pair) -> None:
    """One that is not in force is loaded, as by other exporters; told are its file, the date and the cure."""
    begin = f"{folder / 'web.yml'}: tls_server_config: the certificate in {folder / 'server.pem'} "
    assert opened(folder).warning == ""
    too_early = opened(folder, datetime(2020, 1, 1, tzinfo=UTC)).warning
    dated = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, so that clients refuse it"
    assert re.fullmatch(re.escape(begin) + rf"is not valid before {dated}; compare the clocks", too_early)
    renew(ca, folder, days=-1)
    too_late = opened(folder)
    assert re.fullmatch(re.escape(begin) + rf"expired on {dated}; renew it", too_late.warning)
    assert too_late.context() is not None


@pytest.mark.parametrize("kind", ["authority", "chain", "text"])
def test_the_time_of_any_certificate_is_known(folder: Path, ca: Pair, kind: str) -> None:
    """Of one that signed itself, of the first of a chain, and of one in the configuration file."""
    late = datetime.now(UTC) + timedelta(days=30)
    certificate, key = (folder / "server.pem").read_text(), (folder / "server.key").read_text()
    if kind == "authority":
        certificate, key = ca.cert.read_text(), ca.key.read_text()
    if kind == "chain":
        certificate += ca.cert.read_text()
    text = yaml.safe_dump({"tls_server_config": {"cert": certificate, "key": key}})
    replace(folder / "web.yml", text)
    live = LiveSettings(folder / "web.yml", load_web, now=lambda: late)
    assert live.expires_at is not None
    assert f"the certificate in cert expired on {live.expires_at:%Y-%m-%d %H:%M:%S} UTC" in live.warning


async def test_a_renewal_that_is_none_is_told_once(serve: Serve, folder: Path, ca: Pair) -> None:
    """When an expired certificate comes it is used and told; when a good one does, nothing is."""
    async with serve(f"tls_server_config: {{{TLS}}}") as address:
        for days, told in ((-1, ["The server's certificate is not in force"]), (2, [])):
            renew(ca, folder, days=days)
            with structlog.testing.capture_logs() as logs:
                for _ in range(2):
                    with suppress(ssl.SSLCertVerificationError):
                        await ask(address, trusting(ca))
            assert [line["event"] for line in logs if line["log_level"] == "warning"] == told
        assert (await ask(address, trusting(ca)))[0] == 200


def test_the_fast_loop_follows_changes_too(folder: Path, ca: Pair) -> None:
    """With uvloop a renewed certificate is used at once as well."""

    async def work() -> None:
        async with serving(folder, f"tls_server_config: {{{TLS}}}") as address:
            _, first = await ask(address, trusting(ca))
            renew(ca, folder)
            assert (await ask(address, trusting(ca)))[1] != first

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def test_what_cannot_be_loaded_is_one_clear_line(folder: Path, ca: Pair) -> None:
    """The line names the web configuration file, the file that is wrong, and why."""
    encrypted(folder / "server.key", folder / "locked.key")
    signed(ca, folder, "other")
    (folder / "text.pem").write_text("hello\n")
    no_pem = "it must be PEM, and a key without a password"
    cases = {
        "cert_file: no.pem, key_file: server.key": f"cannot read {folder}/no.pem: No such file or directory",
        "cert_file: server.pem, key_file: no.key": f"cannot read {folder}/no.key: No such file or directory",
        "cert_file: server.pem, key_file: .": f"cannot read {folder}: Is a directory",
        "cert_file: text.pem, key_file: server.key": (
            f"cannot load cert and key in {folder}/text.pem: {no_pem}"
        ),
        "cert_file: server.pem, key_file: locked.key": (
            f"cannot load cert and key in {folder}/server.pem: {no_pem}"
        ),
        "cert_file: server.pem, key_file: other.key": (
            f"cannot load cert and key in {folder}/server.pem: the key does not belong to the certificate"
        ),
        "cert: hello, key: hello": f"cannot load cert and key: {no_pem}",
        f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: text.pem": (
            f"cannot load client_ca in {folder}/text.pem: {no_pem}"
        ),
    }
    for text, told in cases.items():
        replace(folder / "web.yml", f"tls_server_config: {{{text}}}")
        with pytest.raises(ConfigError) as caught:
            LiveSettings(folder / "web.yml", load_web)
        assert caught.value.mistakes == (f"{folder / 'web.yml'}: tls_server_config: {told}",)
