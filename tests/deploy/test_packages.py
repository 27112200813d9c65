"""The wheel and the sdist: complete, the same each time, and of use away from the source tree."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from exporter import __version__
from tests.real.program import free_port
from tests.real.waiting import until

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = {".gitignore", ".ci/run"}
"""What only the repository needs."""
REVISION = "exporter/REVISION"
"""What only a package has: the note of what it was built from."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a package of a source tree as pip would, with the locked hatchling."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of this tree."""
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin/python"))
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    return folder / "bin"


def dependencies() -> dict[str, str]:
    """An environment in which dependencies are found, but not the project: its .pth file is not read here."""
    return {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The last commit of this tree, checked out elsewhere."""
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, tmp_path / "checkout")
    return tmp_path / "checkout"


def noted(package: Path) -> str | None:
    """The revision that a wheel notes, if it does."""
    with ZipFile(package) as archive:
        return archive.read(REVISION).decode() if REVISION in archive.namelist() else None


@contextmanager
def program(folder: Path, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a folder for as long as the block."""
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, env=dependencies(), stdout=log, stderr=log, text=True)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=120)


def fetch(url: str) -> str:
    """A page's text, or nothing while nobody answers."""
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            text: str = answer.read().decode()
            return text
    except (URLError, ConnectionError):
        return ""


def test_wheel_has_all_files_of_the_package(wheel: Path) -> None:
    """Each file of the package is in the wheel, the pages included, and nothing else but its metadata."""
    with ZipFile(wheel) as archive:
        within = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (ROOT / "exporter").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert within == {str(path.relative_to(ROOT)) for path in files} | {REVISION}
    assert {"exporter/web/static/frame.html", "exporter/web/openapi.yaml", "exporter/py.typed"} <= within


def test_sdist_has_all_files_of_the_project(sdist: Path) -> None:
    """Each file that is kept in the repository is in the sdist."""
    tracked = {name for name in run("git", "ls-files").splitlines() if (ROOT / name).exists()}
    with tarfile.open(sdist) as archive:
        within = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in tracked - within if Path(name).name != ".gitignore"} <= NOT_SHIPPED


def test_sdist_makes_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """Built from the sdist, the wheel is the same to the byte."""
    subprocess.run(["tar", "-C", tmp_path, "-xf", sdist], check=True)
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert build("wheel", source, tmp_path / "dist").read_bytes() == wheel.read_bytes()


def test_package_notes_its_commit(checkout: Path, tmp_path: Path) -> None:
    """A wheel tells the commit that it was built from, and whether the tree was another."""
    commit = run("git", "rev-parse", "HEAD", cwd=checkout).strip()
    assert noted(build("wheel", checkout, tmp_path / "clean")) == f"{commit}\n"
    (checkout / "exporter/new.py").touch()
    assert noted(build("wheel", checkout, tmp_path / "changed")) == f"{commit}-modified\n"


def test_package_that_was_told_its_revision_keeps_it(checkout: Path, tmp_path: Path) -> None:
    """Where the note is in the tree, as in an image's build, git is not asked."""
    (checkout / REVISION).write_text("tested\n")
    assert noted(build("wheel", checkout, tmp_path / "dist")) == "tested\n"


def test_package_without_a_repository_notes_nothing(checkout: Path, tmp_path: Path) -> None:
    """What cannot be known is not told, though the tree be inside of another repository."""
    run("git", "init", "--quiet", cwd=tmp_path)
    shutil.rmtree(checkout / ".git")
    assert noted(build("wheel", checkout, tmp_path / "dist")) is None


def test_installed_program_tells_its_version(wheel: Path, installed: Path, tmp_path: Path) -> None:
    """Installed from the wheel, the program is another than that of the source tree, and runs."""
    done = subprocess.run(
        [installed / "asynctask-exporter", "--version"],
        cwd=tmp_path,
        env=dependencies(),
        capture_output=True,
        text=True,
        check=True,
    )
    told = noted(wheel) or ""
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?\n", told)
    first = f"asynctask-exporter, version {__version__} (revision: {told.strip()})"
    assert done.stdout.splitlines()[0] == first
    where = [str(installed / "python"), "-c", "import exporter; print(exporter.__file__)"]
    found = subprocess.run(
        where, cwd=tmp_path, env=dependencies(), capture_output=True, text=True, check=True
    )
    assert Path(found.stdout).is_relative_to(installed.parent)


async def test_installed_demo_serves_its_pages(installed: Path, tmp_path: Path) -> None:
    """Away from the source tree, the demonstration polls its systems and serves the live page."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(installed / "asynctask-exporter"), "demo", f"--web.listen-address={address}"]

    async def is_scraped() -> bool:
        return 'asynctask_source_up{api="pulp",source="pulp"} 1' in fetch(f"http://{address}/metrics")

    with program(tmp_path, command):
        await until("the demo polls", is_scraped)
        page = fetch(f"http://{address}/")
        style = page.partition("/static/")[2].partition('"')[0]
        assert fetch(f"http://{address}/static/{style}")
        assert '"openapi"' in fetch(f"http://{address}/api/v1/openapi.json")
