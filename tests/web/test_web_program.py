"""The web configuration file and the flags about it, as an operator meets them."""

import asyncio
import os
import re
import signal
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from tests.http.certificates import Pair, authority, signed
from tests.real.program import free_port

CONFIG = """
sources:
  - name: epm
    api: epmware
    url: http://127.0.0.1:9
    registration: true
"""
PASSWORD = "open sesame"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
WEB = f"""
tls_server_config: {{cert_file: server.pem, key_file: server.key}}
basic_auth_users: {{ada: {HASH}}}
rate_limit: {{interval: 1ms, burst: 1000}}
"""

HANDING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Does with a socket what systemd does, and becomes the program."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both configuration files, and what they name."""
    signed(authority(tmp_path, "ca"), tmp_path, "server")
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "web.yml").write_text(WEB)
    return tmp_path


def command(folder: Path, *flags: str) -> list[str]:
    """The program with both files."""
    files = [f"--config.file={folder / 'config.yml'}", f"--web.config.file={folder / 'web.yml'}"]
    return [sys.executable, "-m", "exporter", *files, "--storage.path=", *flags]


async def start(*words: str, descriptors: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
    """Start a command; what it writes is kept."""
    return await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        pass_fds=descriptors,
    )


async def told(*words: str) -> tuple[int | None, str]:
    """Run a command to its end: its code, and what it wrote."""
    process = await start(*words)
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode()


async def test_checking_checks_the_web_configuration_too(folder: Path) -> None:
    """Both files are told to be valid; a mistake in the second, or in a flag, is one line."""
    code, out = await told(*command(folder, "--config.check"))
    assert (code, out.splitlines()[-1]) == (0, f"{folder / 'web.yml'} is valid")
    signed(Pair(folder / "ca.pem", folder / "ca.key"), folder, "server", days=-1)
    code, out = await told(*command(folder, "--config.check"))
    assert code == 0
    assert f"{folder / 'web.yml'} is valid\n" in out
    warning = f"asynctask-exporter: warning: {folder / 'web.yml'}: tls_server_config: the certificate in "
    assert f"{warning}{folder / 'server.pem'} expired on " in out
    (folder / "server.key").unlink()
    code, out = await told(*command(folder, "--config.check"))
    assert (code, out) == (
        1,
        (
            f"asynctask-exporter: error: {folder / 'web.yml'}: tls_server_config: "
            f"cannot read {folder / 'server.key'}: No such file or directory\n"
        ),
    )


async def test_an_expired_certificate_is_told_at_the_start(folder: Path) -> None:
    """It is served with all the same: who does not verify it gets on."""
    signed(Pair(folder / "ca.pem", folder / "ca.key"), folder, "server", days=-1)
    process = await start(*command(folder, "--web.listen-address=127.0.0.1:0"))
    assert process.stdout is not None
    async with asyncio.timeout(120):
        line = await process.stdout.readuntil(b'; renew it"\n')
    process.terminate()
    await process.communicate()
    assert b"level=WARN" in line.splitlines()[-1]
    assert f"the certificate in {folder / 'server.pem'} expired on 20".encode() in line
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("flag", "begin"),
    [
        ("--web.external-url=example.com", "--web.external-url: must be a URL"),
        ("--web.route-prefix=/{a}", "--web.route-prefix: '/{a}' must be a plain path"),
        ("--web.systemd-socket", "--web.systemd-socket: systemd handed over no socket"),
        ("--web.telemetry-path=/status", "--web.telemetry-path: '/status' is in use; choose another one"),
    ],
)
async def test_mistakes_in_flags_are_one_line(folder: Path, flag: str, begin: str) -> None:
    """The program ends with the flag, what is wrong, and the cure."""
    code, out = await told(*command(folder, flag))
    assert code == 1
    assert out.splitlines()[-1].startswith(f"asynctask-exporter: error: {begin}")


async def test_a_script_hands_over_ids_over_tls_with_a_password(folder: Path) -> None:
    """The command waits for an exporter that is starting; with a wrong password it ends with one line."""
    url = f"https://localhost:{(port := free_port())}"
    file, told_file = folder / "http.yml", f"--http.config.file={folder / 'http.yml'}"
    watch = [sys.executable, "-m", "exporter", "watch", f"--url={url}", told_file, "epm", "244591"]
    process = await start(*command(folder, f"--web.listen-address=127.0.0.1:{port}"))
    for password, expected in (
        (PASSWORD, (0, "epm: 1 new task watched\n")),
        (
            "hunter2",
            (1, f"asynctask-exporter: error: {url} refuses the login (401); check user and password\n"),
        ),
    ):
        file.write_text(
            f"basic_auth: {{username: ada, password: {password}}}\ntls_config: {{ca_file: ca.pem}}\n"
        )
        assert await told(*watch) == expected
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0


async def test_behind_systemd_with_tls_and_a_password(folder: Path) -> None:
    """It serves on the socket it is handed, below the path it is told, for who knows the password.

    Neither its log nor its list of arguments tells a secret.
    """
    flags = (
        *("--web.systemd-socket", "--web.external-url=https://example.com/tasks", "--log.level=debug"),
        *("--web.enable-lifecycle", "--web.health-without-auth"),
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        handing = [sys.executable, "-c", HANDING, str(number)]
        process = await start(*handing, *command(folder, *flags), descriptors=(number,))
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    url = f"https://localhost:{port}/tasks"
    # Nobody has to wait until it serves: the socket listens already.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        for password, status in ((PASSWORD, 200), ("hunter2", 401)):
            login = {"Authorization": aiohttp.encode_basic_auth("ada", password)}
            async with session.get(f"{url}/metrics", headers=login) as response:
                assert response.status == status
            async with session.post(f"{url}/-/reload", headers=login) as response:
                assert response.status == status
        async with session.get(f"{url}/-/healthy") as response:
            assert response.status == 200
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    log = out.decode()
    assert process.returncode == 0
    assert f'msg="Listening on" address=127.0.0.1:{port}\n' in log
    assert f'msg="TLS is enabled." http2=false address=127.0.0.1:{port}\n' in log
    assert 'msg="Rate Limiter is enabled." burst=1000 interval=0.001' in log
    for secret in (PASSWORD, "hunter2", HASH, (folder / "server.key").read_text().splitlines()[1]):
        assert secret not in log
        assert secret.encode() not in arguments


async def test_the_metrics_tell_when_the_certificate_expires(folder: Path) -> None:
    """What is told is the end of the certificate that the scrape itself is shown, also after a renewal."""
    (folder / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
    process = await start(*command(folder, "--web.listen-address=127.0.0.1:0"))
    assert process.stdout is not None
    async with asyncio.timeout(60):
        listening = await process.stdout.readuntil(b'msg="TLS is enabled." ')
    port = re.findall(rb"127.0.0.1:(\d+)", listening)[-1].decode()
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    ends = []
    for days in (2, 30):
        signed(Pair(folder / "ca.pem", folder / "ca.key"), folder, "server", days=days)
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        ends.append(ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"]))
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        metrics = (await reader.read()).decode()
        writer.close()
        name = "asynctask_exporter_web_certificate_expiry_timestamp_seconds"
        found = re.findall(rf"^{name} (.*)$", metrics, re.MULTILINE)
        assert [float(value) for value in found] == ends[-1:]
    process.terminate()
    await process.communicate()
    assert ends[1] - ends[0] > 27 * 86400
