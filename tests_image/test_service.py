"""The systemd unit, installed as docs/deployment.md tells and really run by systemd."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests_image.conftest import Built
from tests_image.machine import Machine

ROOT = Path(__file__).parents[1]
BASE = ROOT / ".cache/systemd-base.tar"
SERVICE = "asynctask-exporter"
STATE = f"var/lib/{SERVICE}"
CONFIGURATION = """\
sources:
  - name: nobody
    api: pulp
    url: http://127.0.0.1:9
"""


def documented() -> list[str]:
    """What docs/deployment.md tells to run, but for the environment, which the image has already."""
    section = (ROOT / "docs/deployment.md").read_text(encoding="utf-8").partition("\n## systemd\n")[2]
    commands = re.findall(r"^# (.+)$", section.partition("```console\n")[2].partition("```")[0], re.MULTILINE)
    return [command for command in commands if "venv" not in command and "pip" not in command]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder for a whole Debian, gone at once when the tests are done."""
    with TemporaryDirectory(prefix="asynctask-machine-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def installed(built: Built, place: Path) -> Iterator[Machine]:
    """A machine with the service installed."""
    if not BASE.exists():
        pytest.exit("there is no base with systemd; `make test-image` makes it", returncode=1)
    root = place / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", BASE, "-C", root], check=True)
    shutil.copytree(built.image / "opt/asynctask-exporter", root / "opt/asynctask-exporter", symlinks=True)
    shutil.copytree(ROOT / "deploy", root / "src/deploy")
    (root / "src/config.yaml").write_text(CONFIGURATION, encoding="utf-8")
    with Machine(root) as machine:
        for command in documented():
            machine.run(*command.split(), cwd="/src")
        yield machine


@pytest.fixture
def machine(installed: Machine) -> Machine:
    """The machine with the service running, and ready."""
    installed.run("systemctl", "start", SERVICE)
    installed.wait_for("Ready", "/-/ready")
    return installed


def told(machine: Machine, name: str) -> str:
    """A property of the service."""
    return machine.run("systemctl", "show", "--value", f"--property={name}", SERVICE).strip()


def status(machine: Machine) -> dict[str, str]:
    """The kernel's words on the service's process: proc(5), "status"."""
    lines = machine.run("cat", f"/proc/{told(machine, 'MainPID')}/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_documented_commands_are_those_that_matter() -> None:
    """The commands of the documentation are found: the user, the configuration, the unit and the start."""
    programs = [command.split()[0] for command in documented()]
    assert programs == ["install", "systemd-sysusers", "install", "install", "systemctl", "systemctl"]


def test_service_runs_without_rights(machine: Machine) -> None:
    """The service does its work as its user, without capabilities, behind a filter of system calls."""
    found = status(machine)
    user = machine.run("id", "--user", SERVICE).strip()
    assert set(found["Uid"].split()) == {user} != {"0"}
    assert {int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    metrics = machine.wait_for('asynctask_source_up{api="pulp",source="nobody"} 0', "/metrics")
    assert re.search(r"^process_start_time_seconds \d", metrics, re.MULTILINE)


def test_ledger_is_private(machine: Machine) -> None:
    """The ledger is in the state folder, and only the service's user may look at it."""
    user = machine.run("id", "--user", SERVICE).strip()
    told = machine.run("stat", "--format=%u %a", f"/{STATE}", f"/{STATE}/ledger.sqlite3").split()
    assert told == [user, "700", user, "600"]


def test_service_writes_nowhere_else(machine: Machine) -> None:
    """For the service all but its state folder, and a /tmp of its own, cannot be written to."""
    mounts = machine.run("cat", f"/proc/{told(machine, 'MainPID')}/mounts").splitlines()
    rights = {place: options.split(",")[0] for _, place, _, options, *_ in map(str.split, mounts)}
    assert rights["/"] == "ro"
    assert rights[f"/{STATE}"] == "rw"


def test_reload(machine: Machine) -> None:
    """`systemctl reload` takes a changed configuration into use, in the same process."""
    before = told(machine, "MainPID")
    with (machine.root / f"etc/{SERVICE}/config.yaml").open("a", encoding="utf-8") as configuration:
        configuration.write("  - {name: another, api: pulp, url: 'http://127.0.0.1:9'}\n")
    machine.run("systemctl", "reload", SERVICE)
    machine.wait_for('asynctask_source_up{api="pulp",source="another"} 0', "/metrics")
    assert told(machine, "MainPID") == before


def test_killed_service_comes_back(machine: Machine) -> None:
    """After a `kill -9` systemd starts it again, and it is ready."""
    before, restarts = told(machine, "MainPID"), int(told(machine, "NRestarts"))
    machine.run("systemctl", "kill", "--signal=SIGKILL", "--kill-who=main", SERVICE)
    while int(told(machine, "NRestarts")) == restarts:
        time.sleep(0.1)
    machine.wait_for("Ready", "/-/ready")
    assert told(machine, "ActiveState") == "active"
    assert told(machine, "MainPID") not in {before, "0"}


def test_stop_is_clean(machine: Machine) -> None:
    """`systemctl stop` ends it well, with all that was counted in one file."""
    machine.run("systemctl", "stop", SERVICE)
    assert (told(machine, "Result"), told(machine, "ExecMainStatus")) == ("success", "0")
    assert machine.run("ls", f"/{STATE}").split() == ["ledger.lock", "ledger.sqlite3"]
