"""docs/errors.md has every message of the exporter, and none that it does not say."""

import re
from pathlib import Path

import pytest

from tests.docs.messages import PACKAGE, TELLS_NONE, messages, shape

DOCUMENT = PACKAGE.parent / "docs/errors.md"
NO_MESSAGES = frozenset(
    {
        "Accept, Accept-Encoding",
        "Access=…, SignedHeaders=…, Signature=",
        "Allow to reload the exporter over HTTP.",
        "Answer /-/healthy and /-/ready without a password.",
        "IP Address",
        "Listen on the sockets of systemd, not on addresses.",
        "NoClientCert or VerifyClientCertIfGiven",
        "TLS came or went",
        '[{"targets": ["244591"], "labels": {"operation": "import"}}]',
        "ahead of",
        "asynctask-exporter: error",
        "basic_auth: ...",
        "cert and key",
        "does not take its values in the order",
        "forgotten of",
        "gzip, deflate",
        "is valid",
        "is valid: … source",
        "known already",
        "log level must be one of …, and format",
        "new task… watched",
        "python version",
        "task id",
        "task id not found",
        "task not found",
        "the client went away",
        "the url",
        "tls_server_config: ...",
        "version … (revision: …)",
    }
)
"""Texts that tell an operator of no trouble: names, help, successes, parts of messages, words of others."""


def documented() -> list[str]:
    """The messages in the first column of the tables."""
    rows = re.findall(r"^\| (`.+?`) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return [shape(span) for row in rows for span in re.findall(r"`([^`]+)`", row)]


def test_every_message_is_documented() -> None:
    """What the code may say is in docs/errors.md, word for word."""
    known = {*documented(), *NO_MESSAGES}
    assert {text: place for text, place in messages().items() if text not in known} == {}


def test_documented_messages_are_said() -> None:
    """docs/errors.md has no message that the code does not say, and none twice."""
    said = messages()
    assert [text for text in documented() if text not in said] == []
    assert len(documented()) == len(set(documented()))


def test_exemptions_are_needed() -> None:
    """What is exempt is still in the code, and is no documented message."""
    assert NO_MESSAGES - messages().keys() == set()
    assert NO_MESSAGES & set(documented()) == set()
    assert [name for name in TELLS_NONE if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ('raise ConfigError([f"{path}: no such {kind}; add it"])', "no such …; add it"),
        ('_log.error("all is lost", err=error)', "all is lost"),
        ('WORDS = {9: "is not {gt:g} yet"}', "is not … yet"),
        ("x = f\"the proof {'is refused: ' + why}\"", "is refused"),
    ],
)
def test_messages_are_found_however_they_are_written(tmp_path: Path, code: str, text: str) -> None:
    """Raised, logged, kept in a table or put together: a message is collected."""
    (tmp_path / "module.py").write_text(f'"""What it is for."""\n{code}\n', encoding="utf-8")
    assert text in messages(tmp_path)
    assert "What it is for." not in messages(tmp_path)


def test_good_news_and_explanations_are_no_messages(tmp_path: Path) -> None:
    """What is logged as information, and what explains a flag, is not collected."""
    code = 'log.info("all is well")\nadd(help="What to do.")\nquery = "SELECT name FROM meta"\n'
    (tmp_path / "module.py").write_text(code, encoding="utf-8")
    assert messages(tmp_path) == {}
