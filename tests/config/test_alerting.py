"""The section ``alerting``: off by default, read as Prometheus reads it, silent about its secrets."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.alerts.settings import AlertmanagerSettings, AlertSettings
from exporter.config import Config, parse
from exporter.errors import ConfigError
from exporter.model import Status
from exporter.secret import Secret

ROOT = Path(__file__).parents[2]
BASE = Path("/etc/asynctask")
SOURCE = "sources: [{name: pulp, api: pulp, url: 'https://pulp.example.com'}]\n"


def alerting(text: str) -> Config:
    """A configuration with this section."""
    return parse(SOURCE + "alerting:\n" + "".join(f"  {line}\n" for line in text.splitlines()), BASE)


def mistake(text: str) -> str:
    """The one mistake in this section."""
    with pytest.raises(ConfigError) as told:
        alerting(text)
    (line,) = told.value.mistakes
    return line


def test_nobody_is_told_anything_by_default() -> None:
    """Notifications begin when a receiver is named."""
    found = parse(SOURCE, BASE).alerting
    assert not found.is_on
    assert found.settings == AlertSettings()
    assert alerting("webhooks: [{name: a, url: 'http://x'}]").alerting.is_on


def test_the_block_of_prometheus_is_read() -> None:
    """Each target is an Alertmanager, below the prefix, with the client's settings."""
    found = alerting(
        "alertmanagers:\n- scheme: https\n  path_prefix: /am/\n  timeout: 5s\n  api_version: v2\n"
        "  basic_auth: {username: u, password_file: pw}\n"
        "  static_configs: [{targets: ['a:9093', 'b:9093']}]\n- static_configs: [{targets: ['[::1]:9093']}]"
    ).alerting.alertmanager_settings
    assert [(one.name, one.http.url) for one in found] == [
        ("alertmanager/a:9093/am", "https://a:9093/am"),
        ("alertmanager/b:9093/am", "https://b:9093/am"),
        ("alertmanager/[::1]:9093", "http://[::1]:9093"),
    ]
    assert isinstance(found[0], AlertmanagerSettings)
    assert found[0].http.timeout == 5.0
    assert found[0].http.basic_auth is not None
    assert found[0].http.basic_auth.password_file == BASE / "pw"


def test_a_webhook_is_read() -> None:
    """With what it is to hear of, and what it is signed with."""
    (found,) = alerting(
        "external_url: https://x.example.com/\n"
        "webhooks: [{name: a, url: 'https://h/p?q=1', on: [success, error], secret: geheim}]"
    ).alerting.webhook_settings
    assert (found.name, found.http.url) == ("webhook/a", "https://h/p?q=1")
    assert found.on == {Status.SUCCESS, Status.ERROR}
    assert found.secret == Secret("geheim")
    assert found.external_url == "https://x.example.com"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("webhooks: [{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]", "'a' is the name of another"),
        ("webhooks: [{name: a, url: 'http://x', on: [failed]}]", "must be one of 'success', 'warning'"),
        ("webhooks: [{name: a, url: 'http://x', on: []}]", "must not be empty"),
        ("webhooks: [{name: a, url: 'ftp://geheim'}]", "must be a URL such as"),
        ("webhooks: [{name: a, url: 'http://u:geheim@x'}]", "must not hold a user name"),
        ("webhooks: [{name: a, url: 'http://x', secret: geheim, secret_file: f}]", "exclude each other"),
        ("alertmanagers: [{static_configs: [{targets: [a]}]}]", "must be HOST:PORT"),
        ("alertmanagers: [{static_configs: [{targets: ['http://a:9093']}]}]", "must be HOST:PORT"),
        ("alertmanagers: [{static_configs: [{targets: ['u:geheim@a:9093']}]}]", "must be HOST:PORT"),
        ("alertmanagers: [{static_configs: [{targets: ['a:1', 'a:1']}]}]", "'a:1' is told already"),
        ("alertmanagers: [{static_configs: [{targets: ['a:1']}], path_prefix: am}]", "must be a path"),
        ("alertmanagers: [{static_configs: [{targets: ['a:1']}], api_version: v1}]", "api_version: must be"),
        ("labels: {source: x}", "is a label of the exporter's own"),
        ("resend: 1m", "did you mean 'resend_delay'?"),
    ],
)
def test_a_mistake_is_told_with_place_and_cure(text: str, told: str) -> None:
    """And never with a secret."""
    line = mistake(text)
    assert line.startswith("alerting.")
    assert told in line
    assert "geheim" not in line


SECRETIVE = (
    "webhooks: [{name: a, url: 'https://hooks.example.com/geheim1?t=geheim2', secret: geheim3, "
    "authorization: {credentials: geheim4}}]\n"
    "alertmanagers: [{static_configs: [{targets: ['a:1']}], basic_auth: {username: u, password: geheim5}}]"
)


def test_no_secret_is_shown() -> None:
    """Not the path of a webhook, which is often a password, either; and what is shown can be read again."""
    found = alerting(SECRETIVE)
    shown = found.masked()
    assert "url: https://hooks.example.com/xxxxx" in shown
    for text in (shown, repr(found), str(found.alerting), repr(found.alerting.webhook_settings)):
        assert "geheim" not in text
    assert parse(shown, BASE).masked() == shown


EXAMPLE = re.sub(
    r"(?ms)^# alerting:.*\Z",
    lambda match: re.sub(r"(?m)^# ?", "", match[0]),
    (ROOT / "config.example.yaml").read_text("utf-8"),
)
LINES = EXAMPLE.splitlines(keepends=True)
FIRST = LINES.index("alerting:\n")
DEFAULTS = [n for n in range(FIRST, len(LINES)) if re.search(r"\w+: .* # default(;|$)", LINES[n])]


def test_the_example_is_valid_without_its_marks() -> None:
    """Whoever uncomments it has both kinds of receivers."""
    found = parse(EXAMPLE, ROOT).alerting
    assert (len(found.alertmanager_settings), len(found.webhook_settings)) == (1, 1)
    assert found.settings.resend_delay == timedelta(minutes=1)
    assert len(DEFAULTS) > 8


@pytest.mark.parametrize("index", DEFAULTS, ids=lambda index: LINES[index].split(":")[0].strip())
def test_what_the_example_calls_default_is_the_default(index: int) -> None:
    """A value with the comment "default" is the one that holds without its line."""
    without = "".join(LINES[:index] + LINES[index + 1 :])
    assert parse(without, ROOT) == parse(EXAMPLE, ROOT)
