"""The flags of reloading and of environment variables."""

from pathlib import Path

import pytest

from exporter import cli
from tests.app.conftest import source, text


@pytest.mark.parametrize("interval", ["0s", "-1s", "often", "30"])
def test_an_interval_that_is_none_is_refused_in_one_line(
    interval: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As any other bad flag: exit code 1."""
    with pytest.raises(SystemExit) as ended:
        cli.run([f"--config.auto-reload-interval={interval}"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("asynctask-exporter: error: argument --config.auto-reload-interval: ")
    assert told.count("\n") == 1


def test_a_check_expands_variables_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it tells what a start would."""
    path = tmp_path / "config.yaml"
    path.write_text(text(source("a", keep="$TEST_KEEP")))
    flags = [f"--config.file={path}", "--config.check", "--config.expand-environment-variables"]
    assert cli.run(flags) == 1
    assert "sources[0].keep: environment variable TEST_KEEP is not set" in capsys.readouterr().err
    monkeypatch.setenv("TEST_KEEP", "5m")
    assert cli.run(flags) == 0
    assert cli.run(flags[:2]) == 1
