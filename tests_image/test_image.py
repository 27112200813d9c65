"""The image that the Dockerfile makes: really built, and its command really run."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter import __version__
from tests_image.conftest import IMAGE, Built
from tests_image.container import Container, prepare

USER = "65534:65534"
OURS = ("opt/asynctask-exporter", "usr/share/asynctask-exporter", "data")
MEGABYTE = 1_000_000
CONFIGURATION = """\
sources:
  - name: nobody
    api: pulp
    url: http://127.0.0.1:9
"""
"""A source that refuses connections: polled, and told to be down."""


def command(built: Built) -> list[str]:
    """What the image runs if it is told nothing else."""
    settings = built.buildah.settings(IMAGE)
    whole: list[str] = settings["Entrypoint"] + settings["Cmd"]
    return whole


def health_check(built: Built) -> list[str]:
    """The image's health check, without the word that tells its kind."""
    kind, *words = built.buildah.settings(IMAGE)["Healthcheck"]["Test"]
    assert kind == "CMD"
    return list(words)


@pytest.fixture(scope="module")
def root(built: Built) -> Path:
    """The image unpacked, and made ready to be run with a small configuration."""
    root = built.buildah.unpacked(IMAGE)
    prepare(root, USER, {"/etc/asynctask-exporter/config.yaml": CONFIGURATION})
    return root


@pytest.fixture
def running(built: Built, root: Path) -> Iterator[Container]:
    """The image's own command, ready."""
    with Container(root, USER, command(built)) as container:
        container.wait_for("Ready", "/-/ready")
        yield container


def content(root: Path, without: tuple[str, ...] = ()) -> dict[str, tuple[int, int, int]]:
    """Each file's mode, owner and size by its path; links are not followed."""
    found = {}
    for folder, folders, files in os.walk(root):
        at = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if str(at / name) not in without]
        for name in files:
            told = Path(folder, name).lstat()
            found[str(at / name)] = (told.st_mode, told.st_uid, told.st_size)
    return found


def test_image_says_what_it_is(built: Built) -> None:
    """The image runs as a numbered user, keeps /data, serves 9926, and carries the labels it is given."""
    settings = built.buildah.settings(IMAGE)
    assert settings["User"] == USER
    assert settings["Volumes"] == {"/data": {}}
    assert settings["ExposedPorts"] == {"9926/tcp": {}}
    labels = {key.removeprefix("org.opencontainers.image."): text for key, text in settings["Labels"].items()}
    assert labels["title"] == "asynctask-exporter"
    assert (labels["version"], labels["revision"]) == ("0.0.0", "tested")


def test_base_is_not_touched(built: Built) -> None:
    """The image differs from its base in the exporter, what is told of it, and its data folder alone."""
    assert content(built.image, OURS) == content(built.base)


def test_nothing_of_the_building_machine_is_in_it(built: Built) -> None:
    """Neither the files nor the settings of the image show what the build was told in confidence."""
    root = built.image
    sought = built.canary.encode()
    files = [root / path for path, (mode, *_) in content(root).items() if stat.S_ISREG(mode)]
    assert len(files) > 1000
    assert [file for file in files if sought in file.read_bytes()] == []
    assert built.canary not in built.buildah.run("inspect", "--type", "image", IMAGE)
    assert not list((root / "opt").rglob("pip.conf"))
    assert not any((root / "opt").rglob("*.pem"))
    said = built.buildah.settings(IMAGE)["Env"]
    assert [name for name in said if name.upper().startswith(("PIP_", "SSL_", "HTTP"))] == []


def test_image_holds_no_installer_and_nothing_to_write_to(built: Built) -> None:
    """The environment that is run has no pip, and its user may write to none of its files."""
    root = built.image
    assert not any(root.glob("opt/asynctask-exporter/lib/python3*/site-packages/pip"))
    ours = {path: told for path, told in content(root).items() if path.startswith(OURS[:2])}
    assert len(ours) > 100
    assert {owner for _, owner, _ in ours.values()} == {0}
    writable = [path for path, (mode, *_) in ours.items() if mode & 0o022 and not stat.S_ISLNK(mode)]
    assert writable == []


def test_size(built: Built, record_size: dict[str, float]) -> None:
    """The exporter adds less than 100 MB to its base."""
    whole = sum(size for *_, size in content(built.image).values())
    base = sum(size for *_, size in content(built.base).values())
    record_size.update({"base": base / MEGABYTE, "exporter": (whole - base) / MEGABYTE})
    assert whole - base < 100 * MEGABYTE


def test_command_serves_without_rights(running: Container) -> None:
    """As it is, on a read-only root and without capabilities, the command polls and is scraped."""
    metrics = running.wait_for('asynctask_source_up{api="pulp",source="nobody"} 0', "/metrics")
    assert f'version="{__version__}"' in metrics
    assert 'revision="tested"' in metrics
    status = running.status()
    assert set(status["Uid"].split()) | set(status["Gid"].split()) == {"65534"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["NSpid"].split()[-1] == "1"


def test_pages_are_in_it(running: Container) -> None:
    """The live page and the document of the JSON API are served from the installed package."""
    assert "<title>" in running.wait_for("</html>", "/")
    assert '"openapi"' in running.wait_for("}", "/api/v1/openapi.json")


def test_ledger_is_in_the_volume(running: Container, root: Path) -> None:
    """The ledger is written to /data, by the image's user."""
    ledgers = [file for file in Path(f"{root}.data").iterdir() if file.read_bytes().startswith(b"SQLite")]
    assert [file.stat().st_uid for file in ledgers] == [65534]
    with closing(sqlite3.connect(f"file:{ledgers[0]}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    assert running.execute(["/usr/bin/touch", "/data/mine"]) == 0
    assert running.execute(["/usr/bin/touch", "/opt/mine"]) != 0


def test_health_check_tells_well_from_ill(built: Built, running: Container, root: Path) -> None:
    """The health check holds while the exporter serves, and fails where nobody does."""
    assert running.execute(health_check(built)) == 0
    with Container(root, USER, health_check(built)) as alone:
        assert alone.wait() == 1
        assert "ConnectionRefusedError" in alone.said()


def test_sigterm_ends_process_one(running: Container) -> None:
    """As process 1, which no signal ends by default, the exporter ends within two seconds of SIGTERM."""
    assert running.terminate() < 2
    assert running.wait() == 0
    assert "Received a signal" in running.said()


def test_missing_configuration_is_one_line(built: Built, root: Path) -> None:
    """Without its configuration the command ends with one line that names the file."""
    said = [*command(built)[:1], "--config.file=/etc/asynctask-exporter/other.yaml", "--storage.path=/data"]
    with Container(root, USER, said) as container:
        assert container.wait() == 1
        assert container.said().count("\n") == 1
        assert "/etc/asynctask-exporter/other.yaml" in container.said()


def test_demo_runs(built: Built, root: Path) -> None:
    """The demonstration runs from the image; all it needs is a /tmp."""
    with Container(root, USER, [*command(built)[:1], "demo", "--speed=20"], tmpfs="/tmp") as container:
        container.wait_for('asynctask_source_up{api="pulp",source="pulp"} 1', "/metrics")
