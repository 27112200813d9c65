"""What the image tells of what is in it, in a document of CycloneDX (https://cyclonedx.org)."""

import json
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from exporter import __version__
from tests_image.conftest import IMAGE, Built

ROOT = Path(__file__).parents[1]
LABEL = "io.github.asynctask-exporter.sbom"


def normalized(name: str) -> str:
    """A distribution's name as indexes compare it: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def document(built: Built) -> dict[str, Any]:
    """The document that the image's label leads to."""
    place = built.buildah.settings(IMAGE)["Labels"][LABEL]
    found: dict[str, Any] = json.loads((built.image / place.lstrip("/")).read_text(encoding="utf-8"))
    return found


def installed(root: Path) -> set[tuple[str, str]]:
    """The distributions in the image's environment, by normalized name and version."""
    (folder,) = root.glob("opt/asynctask-exporter/lib/python3*/site-packages")
    return {(normalized(found.name), found.version) for found in distributions(path=[str(folder)])}


def locked(name: str) -> set[str]:
    """The names in a lock file."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {normalized(found) for found in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def test_document_names_what_is_installed(built: Built, document: dict[str, Any]) -> None:
    """Every installed distribution is in the document with its version, and nothing else is."""
    told = [(normalized(one["name"]), one["version"]) for one in document["components"]]
    assert sorted(told) == sorted(installed(built.image))
    assert ("asynctask-exporter", __version__) in told
    assert document["bomFormat"] == "CycloneDX"


def test_components_can_be_looked_up(document: dict[str, Any]) -> None:
    """Each component has a package URL, by which vulnerability databases know it, and a licence."""
    components = document["components"]
    assert [one["name"] for one in components if not one["purl"].startswith("pkg:pypi/")] == []
    assert [one["name"] for one in components if not one.get("licenses")] == []


def test_no_build_tool_is_left(built: Built) -> None:
    """Of what the image is built with, nothing is in it that the exporter does not need itself."""
    tools = locked("build.txt") - locked("runtime.txt")
    assert {"hatchling", "cyclonedx-bom"} <= tools
    assert {name for name, _ in installed(built.image)} & tools == set()
    assert not any((built.image / "opt").rglob("cyclonedx*/__init__.py"))
    assert not any((built.image / "opt").rglob("bin/cyclonedx*"))
    assert not (built.image / "build").exists()


def test_document_tells_nothing_of_the_building_machine(built: Built, document: dict[str, Any]) -> None:
    """It has no address of a package index and no path of the build; built again, it is the same."""
    text = json.dumps(document)
    assert built.canary not in text
    assert "file://" not in text
    assert "timestamp" not in document["metadata"]
