"""The systemd unit, judged by systemd's own tool."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2] / "deploy/systemd"
UNIT = HERE / "asynctask-exporter.service"
PROGRAM = "/opt/asynctask-exporter/bin/asynctask-exporter"
WORST = 1.5
"""Of 10; what is left is that the exporter has a network and the host's files to read."""


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``systemd-analyze``, which needs no running systemd for this."""
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def installed(folder: Path, text: str) -> Path:
    """The unit with a program that exists on this machine."""
    unit = folder / UNIT.name
    unit.write_text(text.replace(PROGRAM, sys.executable), encoding="utf-8")
    return unit


def test_unit_is_right(tmp_path: Path) -> None:
    """The unit is right by systemd's own rules."""
    said = analyze("verify", installed(tmp_path, UNIT.read_text(encoding="utf-8")))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_mistakes_in_a_unit_are_told(tmp_path: Path) -> None:
    """The check is real: a misspelled setting is told."""
    wrong = UNIT.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHouse=")
    assert "ProtectHouse" in analyze("verify", installed(tmp_path, wrong)).stderr


def test_unit_is_hardened() -> None:
    """The service's exposure is low, as systemd reckons it."""
    said = analyze("security", "--offline=true", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said.stdout)
    assert exposure is not None, said.stdout + said.stderr
    assert float(exposure[1]) <= WORST


def test_flags_are_known() -> None:
    """The exporter knows the flags that the unit gives it."""
    started = re.search(r"ExecStart=(.+?)\n(?! )", UNIT.read_text(encoding="utf-8"), re.DOTALL)
    assert started is not None
    program, *flags = started[1].replace("\\\n", "").split()
    assert program == PROGRAM
    command = [sys.executable, "-m", "exporter", *flags, "--config.schema"]
    said = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_user_is_made() -> None:
    """The service's user is the one that sysusers.d makes."""
    made = (HERE / "asynctask-exporter.sysusers.conf").read_text(encoding="utf-8").splitlines()[-1].split()
    assert made[:2] == ["u", "asynctask-exporter"]
    assert f"\nUser={made[1]}\n" in UNIT.read_text(encoding="utf-8")
