"""One real Pulp for all tests here, and the figures of the run at its end."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests_real import server
from tests_real.client import PulpClient
from tests_real.figures import Figures

_PROGRAMS = Path(__file__).parents[1] / ".cache/pulp-venv/bin"
_FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take down figures."""
    config.stash[_FIGURES] = Figures()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print them."""
    terminalreporter.section("figures of the real Pulp")
    for line in config.stash[_FIGURES].lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """The figures of this run."""
    return pytestconfig.stash[_FIGURES]


@pytest.fixture(scope="session")
def pulp_url(figures: Figures) -> Iterator[str]:
    """A new Pulp, which is gone with all its data when the tests are done."""
    if not (_PROGRAMS / "pulpcore-manager").exists():
        pytest.exit("Pulp is not installed; `make test-real` does it", returncode=1)
    with TemporaryDirectory(prefix="asynctask-pulp-") as folder:
        place = Path(folder)
        place.chmod(0o711)  # PostgreSQL's user must get through to its own folder.
        with server.pulp(_PROGRAMS, place, figures.measured) as url:
            yield url


@pytest.fixture
async def pulp(pulp_url: str) -> AsyncIterator[PulpClient]:
    """A user of it."""
    async with PulpClient(pulp_url) as client:
        yield client
