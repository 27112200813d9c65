"""A check tells of files that are named and cannot be read, before they are missed."""

from pathlib import Path

import pytest

from exporter import cli
from exporter.config import parse, unreadable

CONFIG = """
defaults:
  tls_config: {ca_file: ca.pem}
sources:
  - name: a
    api: pulp
    url: https://pulp.example.com
    basic_auth: {username: me, password_file: secrets}
    http_headers: {X-Key: {files: [key, lost]}}
    file_sd_configs: [{files: [watch/*.yaml]}]
alerting:
  webhooks: [{name: w, url: "https://w.example.com", secret_file: hook}]
"""


def test_each_file_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    """Missing or no file, in a source, a list or a receiver; a pattern of ids may find nothing yet."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "key").touch()
    assert list(unreadable(parse(CONFIG, tmp_path))) == [
        f"sources[0].tls_config.ca_file: cannot read {tmp_path}/ca.pem: No such file or directory",
        f"sources[0].basic_auth.password_file: cannot read {tmp_path}/secrets: Is a directory",
        f"sources[0].http_headers.X-Key.files[1]: cannot read {tmp_path}/lost: No such file or directory",
        f"alerting.webhooks[0].secret_file: cannot read {tmp_path}/hook: No such file or directory",
    ]


def test_it_is_a_warning_of_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the configuration's name, and exit code 0: whoever checks may not be who runs it."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    assert cli.run([f"--config.file={path}", "--config.check"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path} is valid: 1 source\n"
    assert len(err.splitlines()) == 5
    assert all(
        line.startswith(f"asynctask-exporter: warning: {path}: sources[0].") for line in err.splitlines()[:4]
    )
