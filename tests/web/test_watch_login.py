"""The command that hands over ids, to an exporter with TLS and passwords."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from exporter import cli
from exporter.config import load_http
from exporter.config.web import load_web
from exporter.errors import ConfigError
from exporter.watch import NotWatched, Patience, watch
from exporter.web.access import Access
from exporter.web.application import build
from exporter.web.live import LiveSettings
from exporter.web.server import Address, Server
from tests.http.certificates import authority, signed
from tests.http.servers import answer, says, serve
from tests.web.fake_exporter import FakeExporter

PASSWORD = "open sesame"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
WEB = f"""
tls_server_config: {{cert_file: server.pem, key_file: server.key}}
basic_auth_users: {{ada: {HASH}}}
"""
CA = "tls_config: {ca_file: ca.pem}\n"
LOGIN = "basic_auth: {username: ada, password_file: password}\n"
WATCHED = b'{"status": "success", "data": {"source": "epm", "new": ["1"], "known": []}}'
IMPATIENT = Patience(in_all=0.0, between=0.01, per_try=60.0)
PATIENT = Patience(in_all=60.0, between=0.01, per_try=60.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both sides need: certificates, the password, and the configuration of the server."""
    folder = tmp_path_factory.mktemp("files")
    signed(authority(folder, "ca"), folder, "server")
    authority(folder, "other")
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "web.yml").write_text(WEB)
    return folder


@pytest.fixture
async def port(folder: Path, fake: FakeExporter) -> AsyncIterator[int]:
    """An exporter that wants TLS and a password."""
    live = LiveSettings(folder / "web.yml", load_web)
    application = build(fake, access=Access(current=live.current))
    server = Server(application, [Address("127.0.0.1", 0)], context=live.context())
    (bound,) = await server.start()
    yield bound.port
    await server.stop()


def written(folder: Path, text: str) -> Path:
    """The HTTP client configuration file with this text."""
    (folder / "http.yml").write_text(text)
    return folder / "http.yml"


async def test_the_file_brings_login_and_authority(folder: Path, port: int, fake: FakeExporter) -> None:
    """With both, the ids are taken, whatever the folder that the command runs in."""
    http = load_http(written(folder, CA + LOGIN))
    line = await watch(f"https://localhost:{port}", "epm", ["1"], http=http, patience=IMPATIENT)
    assert line == "epm: 1 new task watched"
    assert [source for source, _ in fake.posted] == ["epm"]


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 404), ("hunter2", 401)])
async def test_amtool_gets_in_with_the_same_file(folder: Path, port: int, password: str, status: int) -> None:
    """Prometheus' own tools read the file as we do; behind TLS and login amtool misses an Alertmanager's API.

    Paths in it are absolute, for amtool 0.25 sees relative ones from the folder above.
    """
    file = written(
        folder,
        f"{CA.replace('ca.pem', str(folder / 'ca.pem'))}basic_auth: {{username: ada, password: {password}}}",
    )
    arguments = [
        f"--http.config.file={file}",
        f"--alertmanager.url=https://localhost:{port}",
        "alert",
        "query",
    ]
    said = await asyncio.to_thread(
        subprocess.run, ["amtool", *arguments], capture_output=True, text=True, check=False
    )
    assert (said.returncode, str(status) in said.stderr) == (1, True), said.stderr


TRUSTED = f"{CA}basic_auth: {{username: ada, password: "
UNKNOWN = (
    "the server's certificate is not from an authority that is trusted; "
    "set tls_config.ca_file in --http.config.file"
)
ELSEWHERE = (
    "the server's certificate is for another host; "
    "check --url or set tls_config.server_name in --http.config.file"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CA, "{at} wants a login (401); tell it in --http.config.file"),
        (f"{TRUSTED}hunter2}}", "{at} refuses the login (401); check user and password"),
        (
            f"{CA}authorization: {{credentials: hunter2}}",
            "{at} refuses the login (401); check user and password",
        ),
        (LOGIN, f"POST {{at}}/api/v1/sources/epm/tasks: {UNKNOWN}"),
        (
            LOGIN + "tls_config: {ca_file: other.pem}",
            f"POST {{at}}/api/v1/sources/epm/tasks: {UNKNOWN}",
        ),
        (
            CA.replace("}", ", server_name: elsewhere}") + LOGIN,
            f"POST {{at}}/api/v1/sources/epm/tasks: {ELSEWHERE}",
        ),
    ],
)
async def test_what_keeps_us_out_is_one_line(folder: Path, port: int, text: str, line: str) -> None:
    """A missing or wrong password and an authority that is not trusted are told as such."""
    http = load_http(written(folder, text))
    at = f"https://localhost:{port}"
    with pytest.raises(NotWatched) as told:
        await watch(at, "epm", ["1"], http=http, patience=IMPATIENT)
    assert str(told.value) == line.format(at=at)
    assert "hunter2" not in repr(http)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "tls_config: {ca_file: gone.pem}",
            "tls_config: cannot read {folder}/gone.pem: No such file or directory",
        ),
        (
            f"{CA}basic_auth: {{username: ada, password_file: gone}}",
            "cannot read the secret in {folder}/gone: No such file or directory",
        ),
    ],
)
async def test_a_file_that_is_not_there_is_not_waited_for(
    folder: Path, port: int, text: str, line: str
) -> None:
    """Ten seconds more would not bring it: the command ends at once."""
    http = load_http(written(folder, text))
    patience = Patience(in_all=1e9, between=1e9, per_try=60.0)
    with pytest.raises(NotWatched) as told:
        await watch(f"https://localhost:{port}", "epm", ["1"], http=http, patience=patience)
    assert str(told.value) == line.format(folder=folder)


async def test_the_address_may_hold_the_login(folder: Path, port: int) -> None:
    """User and password in --url do as well, but not together with those of the file."""
    url = f"https://ada:{PASSWORD.replace(' ', '%20')}@localhost:{port}"
    line = await watch(url, "epm", ["1"], http=load_http(written(folder, CA)), patience=IMPATIENT)
    assert line == "epm: 1 new task watched"
    with pytest.raises(NotWatched, match=r"^--url and --http.config.file both tell a login; keep one$"):
        await watch(url, "epm", ["1"], http=load_http(written(folder, CA + LOGIN)), patience=IMPATIENT)


async def test_tls_is_not_guessed(port: int) -> None:
    """Where the address says http and the exporter speaks TLS, the line says that nothing came back."""
    with pytest.raises(NotWatched, match=r"^POST http://localhost:\d+/\S+: the server closed the connection"):
        await watch(f"http://localhost:{port}", "epm", ["1"], patience=IMPATIENT)


async def test_a_proxy_and_another_kind_of_login(tmp_path: Path) -> None:
    """All of the HTTP client block works: here a token, through a proxy."""
    async with serve(says(answer(201, WATCHED))) as proxy:
        text = f"authorization: {{credentials: t1}}\nproxy_url: {proxy.url}\n"
        http = load_http(written(tmp_path, text))
        line = await watch("http://exporter.example/inner", "epm", ["1"], http=http, patience=IMPATIENT)
    assert line == "epm: 1 new task watched"
    (asked,) = proxy.asked
    assert asked.line == "POST http://exporter.example/inner/api/v1/sources/epm/tasks HTTP/1.1"
    assert asked.all("Authorization") == ["Bearer t1"]


async def test_an_exporter_that_limits_requests_is_asked_again(tmp_path: Path, fake: FakeExporter) -> None:
    """One request too many is no reason to lose an id."""
    (tmp_path / "web.yml").write_text("rate_limit: {interval: 50ms, burst: 1}")
    live = LiveSettings(tmp_path / "web.yml", load_web)
    server = Server(build(fake, access=Access(current=live.current)), [Address("127.0.0.1", 0)])
    (bound,) = await server.start()
    for task_id in "12":
        await watch(f"http://{bound}", "epm", [task_id], patience=PATIENT)
    await server.stop()
    assert len(fake.posted) == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("basic_auth: {usrname: a}", ["basic_auth.usrname: unknown key; did you mean 'username'?"]),
        ("basic_auht: {username: a}", ["basic_auht: unknown key; did you mean 'basic_auth'?"]),
        ("[]", ["must be a mapping such as 'basic_auth: ...'"]),
        ("a: @b", ["line 1, column 4: a text that begins with this character needs quotes"]),
        (
            "basic_auth: {username: a}\nauthorization: {credentials: geheim}",
            ["basic_auth and authorization exclude each other; keep one"],
        ),
    ],
)
def test_mistakes_in_the_file_are_lines(
    tmp_path: Path, text: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with code 1 and the file, the place and the cure, before it asks anybody."""
    path = written(tmp_path, text)
    assert cli.run(["watch", f"--http.config.file={path}", "epm", "1"]) == 1
    assert capsys.readouterr().err.splitlines() == [f"asynctask-exporter: error: {path}: {x}" for x in lines]


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    """It is told with its name."""
    with pytest.raises(ConfigError, match=r"none\.yml: No such file or directory$"):
        load_http(tmp_path / "none.yml")


def test_a_file_of_promtool_s_may_speak_of_http2(tmp_path: Path) -> None:
    """A key that means nothing here does not keep files from being shared."""
    both = written(tmp_path, "enable_http2: true\nbasic_auth: {username: ada, password: s}")
    assert load_http(both).basic_auth is not None
