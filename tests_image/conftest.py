"""The image, built once for all tests here from the Debian that ``make test-image`` made."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from tests_image.buildah import Buildah

_ROOT = Path(__file__).parents[1]
_BASE = _ROOT / ".cache/image-base.tar"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
BASE, IMAGE = "localhost/base", "localhost/asynctask-exporter"


@dataclass(frozen=True, slots=True)
class Built:
    """The image and what it was built with."""

    buildah: Buildah
    canary: str
    """Stands in each file that the build was shown in confidence."""
    image: Path
    """The image unpacked, to be looked at and not touched."""
    base: Path
    """So is its base."""


@pytest.fixture(scope="session")
def built() -> Iterator[Built]:
    """The image, gone when the tests are done."""
    if not _BASE.exists():
        pytest.exit("there is no base for the image; `make test-image` makes it", returncode=1)
    with TemporaryDirectory(prefix="asynctask-image-") as folder:
        place = Path(folder)
        buildah, canary = Buildah(place / "store"), f"canary-{uuid4()}"
        buildah.take_in(_BASE, BASE)
        arguments = {"BASE": BASE, "VERSION": "0.0.0", "REVISION": "tested"}
        buildah.build(IMAGE, _ROOT, arguments, _confidential(place, canary))
        yield Built(buildah, canary, buildah.unpacked(IMAGE), buildah.unpacked(BASE))


def _confidential(place: Path, canary: str) -> dict[str, Path]:
    """This machine's settings of pip, whatever they are, and whom it trusts."""
    settings = place / "pip.conf"
    settings.write_text(f"# {canary}\n[global]\n{_pip_settings()}", encoding="utf-8")
    settings.chmod(0o600)
    certificates = place / "ca.pem"
    certificates.write_text(f"# {canary}\n{_BUNDLE.read_text(encoding='utf-8')}", encoding="utf-8")
    return {"pip.conf": settings, "ca.pem": certificates}


def _pip_settings() -> str:
    """What ``pip config list`` shows, from files and environment alike, with the build's own certificates."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = (line.partition("=") for line in listed.splitlines())
    told = {key.rpartition(".")[2]: value.strip("'\"") for key, _, value in pairs}
    told["cert"] = "/run/secrets/ca.pem"
    return "".join(f"{key} = {value}\n" for key, value in told.items())


_SIZES = pytest.StashKey[dict[str, float]]()


@pytest.fixture
def record_size(pytestconfig: pytest.Config) -> dict[str, float]:
    """Sizes in megabytes by name, to be printed at the end."""
    return pytestconfig.stash.setdefault(_SIZES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print them."""
    terminalreporter.section("size of the image")
    for name, megabytes in config.stash.get(_SIZES, {}).items():
        terminalreporter.write_line(f"{name}: {megabytes:.0f} MB")
