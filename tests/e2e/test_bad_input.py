"""What an operator gets wrong about certificates and secrets: one clear line each, counted by its reason."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from structlog.testing import capture_logs

from exporter import cli
from tests.campaigns.process import Samples, scrape
from tests.e2e.harness import Exporter, exporting
from tests.http.certificates import Pair, authority, signed
from tests.real.local import LocalServer
from tests.real.waiting import until

RIGHT = aiohttp.encode_basic_auth("me", "right")


class Guarded(LocalServer):
    """An API with one running task, for who knows the password."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Any path."""
        return [web.get("/{path:.*}", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != RIGHT:
            return web.Response(text="no such user, or another password", status=401)
        return web.json_response({"status": "R", "percentCompleted": 50})


@dataclass(frozen=True)
class Wrong:
    """A source that cannot be watched."""

    name: str
    config: dict[str, Any]
    reason: str
    words: str
    """What its line in the log ends with."""


@pytest.fixture
async def urls(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """APIs by the name of their certificate; "" has none."""
    ca = authority(tmp_path, "ca")
    authority(tmp_path, "stranger")
    pairs: dict[str, Pair | None] = {
        "": None,
        "good": signed(ca, tmp_path, "good"),
        "expired": signed(ca, tmp_path, "expired", days=-1),
        "elsewhere": signed(ca, tmp_path, "elsewhere", host="other.example"),
    }
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(Guarded(pair.server_context() if pair else None))
            for name, pair in pairs.items()
        }
        yield {name: server.url for name, server in servers.items()}


def basic(**password: str) -> dict[str, Any]:
    """Basic authentication of the user that is known."""
    return {"basic_auth": {"username": "me", **password}}


def wrong_certificates(urls: dict[str, str]) -> list[Wrong]:
    """What cannot be trusted, and whom nobody is told to trust."""
    ours: dict[str, Any] = basic(password="right") | {"tls_config": {"ca_file": "ca.pem"}}
    theirs = ours | {"tls_config": {"ca_file": "stranger.pem"}}
    nobody = "is not from an authority that is trusted; set tls_config.ca_file"
    elsewhere = "is for another host; check the url or set tls_config.server_name"
    return [
        Wrong("expired", ours | {"url": urls["expired"]}, "tls", "certificate has expired"),
        Wrong("wrong-host", ours | {"url": urls["elsewhere"]}, "tls", elsewhere),
        Wrong("wrong-authority", theirs | {"url": urls["good"]}, "tls", nobody),
        Wrong("unknown-authority", basic(password="right") | {"url": urls["good"]}, "tls", nobody),
    ]


def wrong_files(folder: Path, urls: dict[str, str]) -> list[Wrong]:
    """Files that are not there, or not what they should be; nobody may read them, not even root."""
    (folder / "folder").mkdir()
    (folder / "dangling").symlink_to("gone")
    (folder / "loop").symlink_to("loop")
    (folder / "empty").write_text("\n")
    causes = {
        "missing": "cannot read the secret in {}: No such file or directory",
        "folder": "cannot read the secret in {}: Is a directory",
        "dangling": "cannot read the secret in {}: No such file or directory",
        "loop": "cannot read the secret in {}: Too many levels of symbolic links",
        "empty": "the secret in {} is empty",
    }
    secrets = [
        Wrong(
            f"secret-{name}",
            basic(password_file=name) | {"url": urls[""]},
            "auth",
            cause.format(folder / name),
        )
        for name, cause in causes.items()
    ]
    trusts = {"url": urls["good"], "tls_config": {"ca_file": "loop"}}
    told = f"tls_config: cannot read {folder / 'loop'}: Too many levels of symbolic links"
    return [*secrets, Wrong("authority-loop", trusts, "tls", told)]


def written(wrong: Sequence[Wrong], *right: dict[str, Any]) -> str:
    """The configuration."""
    every = {
        "api": "epmware",
        "static_configs": [{"targets": ["1"]}],
        "polling": {"min_interval": "50ms", "max_backoff": "100ms"},
    }
    sources = [*right, *({"name": one.name, **one.config} for one in wrong)]
    return yaml.safe_dump({"sources": [every | source for source in sources]})


def errors(samples: Samples, source: str) -> dict[str, float]:
    """What was counted of a source, by reason; nothing that is zero."""
    return {
        dict(labels)["reason"]: value
        for (name, labels), value in samples.items()
        if name == "asynctask_api_errors_total" and dict(labels)["source"] == source and value
    }


async def refused_twice(exporter: Exporter, wrong: Sequence[Wrong]) -> bool:
    """Whether each has been tried again."""
    samples = await scrape(exporter.url)
    return all(sum(errors(samples, one.name).values()) > 1 for one in wrong)


async def test_each_mistake_is_one_line_and_has_its_reason(tmp_path: Path, urls: dict[str, str]) -> None:
    """However often it is met; a secret with a newline after it is none, as for Prometheus."""
    (tmp_path / "right").write_text("right\n")
    fine = {"name": "fine", "url": urls[""], **basic(password_file="right")}
    said = "HTTP 401: no such user, or another password"
    wrong = [
        *wrong_certificates(urls),
        *wrong_files(tmp_path, urls),
        Wrong("wrong-password", basic(password="left") | {"url": urls[""]}, "auth", said),
    ]
    with capture_logs() as logs:
        async with exporting(written(wrong, fine), tmp_path) as exporter:
            await until("all have been refused twice", lambda: refused_twice(exporter, wrong))
            samples = await scrape(exporter.url)
    for one in wrong:
        lines = [line for line in logs if line.get("source") == one.name and line["log_level"] != "info"]
        assert [line["event"] for line in lines] == ["Trouble with a source"], one.name
        assert lines[0]["err"].endswith(one.words)
        assert lines[0]["reason"] == one.reason
        assert errors(samples, one.name).keys() == {one.reason}
    assert errors(samples, "fine") == {}
    assert samples["asynctask_source_up", (("api", "epmware"), ("source", "fine"))] == 1


GOOD = "sources: [{name: epm, api: epmware, url: http://localhost, static_configs: [{targets: ['1']}]}]"
HASH = "must be a bcrypt hash, as 'htpasswd -nBC 10 \"\"' prints it after the colon"


@pytest.mark.parametrize(
    ("main", "web_config", "told"),
    [
        ("folder", "", "{}/folder: Is a directory"),
        ("loop", "", "{}/loop: Too many levels of symbolic links"),
        (GOOD, "folder", "{}/folder: Is a directory"),
        (GOOD, "loop", "{}/loop: Too many levels of symbolic links"),
        (GOOD, "gone", "{}/gone: No such file or directory"),
        (
            GOOD,
            "basic_auth_user: {}",
            "{}/web.yml: basic_auth_user: unknown key; did you mean 'basic_auth_users'?",
        ),
        (GOOD, "basic_auth_users: {ada: hush}", f"{{}}/web.yml: basic_auth_users.ada: {HASH}"),
        (GOOD, f"basic_auth_users: {{ada: {'hush' * 19}}}", f"{{}}/web.yml: basic_auth_users.ada: {HASH}"),
    ],
)
def test_each_mistake_in_a_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], main: str, web_config: str, told: str
) -> None:
    """Before anything starts; a password in place of its hash is not repeated, however long."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    flags = [
        f"--config.file={_file(tmp_path, 'main.yml', main)}",
        f"--web.config.file={_file(tmp_path, 'web.yml', web_config)}" if web_config else "",
    ]
    assert cli.run([*filter(None, flags), "--config.check"]) == 1
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", f"asynctask-exporter: error: {told.format(tmp_path)}\n")


def _file(folder: Path, name: str, content: str) -> Path:
    """A file with this content, or what the content names."""
    if content in {"folder", "loop", "gone"}:
        return folder / content
    (folder / name).write_text(content)
    return folder / name
