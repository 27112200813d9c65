"""APIs by name and by import string."""

import re
import sys
from pathlib import Path

import pytest

from exporter.apis import APIS, resolve
from exporter.apis.pulp import Pulp


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which Python imports."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", list(APIS))
def test_each_name_is_an_api(name: str) -> None:
    """The names of the configuration are those of the table."""
    assert resolve(name) is APIS[name]


def test_an_import_string_is_an_api() -> None:
    """Our own modules can be named the long way, as a user's are."""
    assert resolve("exporter.apis.pulp:Pulp") is Pulp


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("epmwear", "'epmwear' is no API: did you mean 'epmware'?"),
        ("Pulp", "'Pulp' is no API: did you mean 'pulp'?"),
        (
            "jenkins",
            "'jenkins' is no API: expected one of epmware, dataarts, pulp1, pulp, or an import string such",
        ),
        ("", "'' is no API: expected one of epmware, dataarts, pulp1, pulp, or an import string"),
        ("acme.tasks:", "'acme.tasks:' is no API"),
        (
            "nowhere.tasks:Acme",
            "'nowhere.tasks:Acme': module 'nowhere.tasks' cannot be imported (ModuleNotFoundError: No module",
        ),
        (".tasks:Acme", "'.tasks:Acme': module '.tasks' cannot be imported (TypeError"),
        ("exporter.apis.pulp:Plup", "'exporter.apis.pulp:Plup': module 'exporter.apis.pulp' has no 'Plup'"),
        ("exporter.apis.pulp:STATUSES", "'exporter.apis.pulp:STATUSES' is no class"),
        ("exporter.apis.pulp:PulpOptions", "'exporter.apis.pulp:PulpOptions' lacks fetch, Options, pace"),
    ],
)
def test_what_is_no_api_is_told_with_the_cure(name: str, told: str) -> None:
    """A mistake in the configuration gets one line that names it."""
    with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
        resolve(name)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('no licence')", "cannot be imported (RuntimeError: no licence)"),
        ("class Acme:", "cannot be imported (IndentationError"),
        (
            "class Acme:\n    Options = int\n    pace = 5\n    def fetch(self): ...",
            "pace is no Pace; see docs/sources.md",
        ),
        (
            "class Acme:\n    Options = int\n    pace = 5\n    def fetch(self): ...\n    def list(self): ...",
            "lacks lists; see docs/sources.md",
        ),
    ],
)
def test_a_users_module_may_be_wrong_in_any_way(modules: Path, source: str, told: str) -> None:
    """Whatever it raises when imported, and whatever it lacks, is told."""
    (modules / "acme_wrong.py").write_text(source)
    sys.modules.pop("acme_wrong", None)
    with pytest.raises(ValueError, match="acme_wrong:Acme") as caught:
        resolve("acme_wrong:Acme")
    assert told in str(caught.value)
