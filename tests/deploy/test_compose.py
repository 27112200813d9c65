"""The compose file: right by its schema, and what it mounts is there, right, and like what is shipped."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy/compose"


def load(path: Path) -> dict[str, Any]:
    """A YAML file."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def services() -> Mapping[str, Any]:
    """The services by name."""
    found: Mapping[str, Any] = load(HERE / "compose.yaml")["services"]
    return found


def mounts(service: str) -> dict[str, Path]:
    """The files and folders of ours that a service sees, by where it sees them."""
    told = [mount.split(":") for mount in services()[service]["volumes"]]
    return {inside: (HERE / outside).resolve() for outside, inside, *_ in told if outside.startswith(".")}


def volumes() -> set[str]:
    """The named volumes that services keep their data in."""
    told = [mount.split(":")[0] for service in services().values() for mount in service["volumes"]]
    return {name for name in told if not name.startswith(".")}


def validate(document: object) -> None:
    """Hold a document against the Compose Specification's own schema, which refuses unknown keys."""
    path = Path(__file__).parent / "documents/compose-spec.json"
    jsonschema.Draft7Validator(json.loads(path.read_text(encoding="utf-8"))).validate(document)


@pytest.mark.parametrize("name", ["compose.yaml", "demo.yaml"])
def test_file_follows_the_schema(name: str) -> None:
    """The file is what the Compose Specification allows."""
    validate(load(HERE / name))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only:", "readonly:"),
        ("read_only: true", "read_only: [true]"),
        ("cap_drop: [ALL]", "cap_drop: ALL"),
        ("services:", "service:"),
    ],
)
def test_schema_refuses_mistakes(right: str, wrong: str) -> None:
    """The schema is real: a misspelled key or a value of another kind is refused."""
    text = (HERE / "compose.yaml").read_text(encoding="utf-8")
    assert right in text
    with pytest.raises(jsonschema.ValidationError):
        validate(yaml.safe_load(text.replace(right, wrong, 1)))


def test_services_are_the_four() -> None:
    """The exporter comes with Prometheus, Alertmanager and Grafana, at pinned versions."""
    assert set(services()) == {"exporter", "prometheus", "alertmanager", "grafana"}
    others = [service["image"] for name, service in services().items() if name != "exporter"]
    assert all(image.partition(":")[2][-1:].isdigit() for image in others)


@pytest.mark.parametrize("service", sorted(services()))
def test_all_that_is_mounted_exists(service: str) -> None:
    """Each file that a service mounts is in the project; what is missing would become an empty folder."""
    assert mounts(service)
    assert [path for path in mounts(service).values() if not path.exists()] == []


def test_volumes_are_declared() -> None:
    """Each named volume is declared, and none for nothing."""
    assert set(load(HERE / "compose.yaml")["volumes"]) == volumes()


def test_image_is_built_here() -> None:
    """The exporter's image is built from the Dockerfile of the project, with the arguments that it has."""
    build = services()["exporter"]["build"]
    assert (HERE / build["context"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, value in build["args"].items():
        default = value.removeprefix(f"${{{name}:-").removesuffix("}")
        assert f"ARG {name}={default}\n" in dockerfile


def test_exporter_may_write_to_its_volume_alone() -> None:
    """The exporter has a read-only root, no capabilities, and one volume to write to."""
    exporter = services()["exporter"]
    assert exporter["read_only"] is True
    assert exporter["cap_drop"] == ["ALL"]
    assert [mount for mount in exporter["volumes"] if not mount.endswith(":ro")] == ["ledger:/data"]


def test_configuration_passes_the_check() -> None:
    """The exporter accepts the configuration, with flags and places as in the image, but for the secrets."""
    command = [sys.executable, "-m", "exporter", "--config.check", "--config.file"]
    configuration = mounts("exporter")["/etc/asynctask-exporter/config.yaml"]
    said = subprocess.run([*command, configuration], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0
    assert all("warning" in line and "/secrets/" in line for line in said.stderr.splitlines())


def test_secrets_are_where_the_configuration_looks() -> None:
    """The folder of secrets is mounted beside the configuration, where relative names lead."""
    inside = {path.name: Path(place) for place, path in mounts("exporter").items()}
    assert inside["secrets"].parent == inside["asynctask-exporter.yaml"].parent


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """Prometheus loads its configuration and our rules from where they are mounted."""
    for place, path in mounts("prometheus").items():
        (tmp_path / Path(place).name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert load(tmp_path / "prometheus.yml")["rule_files"] == ["alerts.yml", "recording.yml"]


def test_prometheus_is_configured_as_shipped() -> None:
    """Prometheus' configuration differs from the example in the hosts alone."""
    text = (HERE / "prometheus.yml").read_text(encoding="utf-8")
    local = text.replace("exporter:9926", "localhost:9926").replace("alertmanager:9093", "localhost:9093")
    assert yaml.safe_load(local) == load(ROOT / "prometheus/prometheus.example.yml")


def test_grafana_asks_that_prometheus() -> None:
    """Grafana's data source differs from the shipped one in the host alone, which is a service."""
    text = (HERE / "grafana-datasource.yaml").read_text(encoding="utf-8")
    assert "http://prometheus:9090" in text
    shipped = load(ROOT / "grafana/provisioning/datasources/prometheus.yaml")
    assert yaml.safe_load(text.replace("//prometheus:", "//localhost:")) == shipped


def test_grafana_finds_the_dashboards() -> None:
    """The dashboards are mounted where Grafana's provisioning looks for them."""
    provider = load(ROOT / "grafana/provisioning/dashboards/asynctask.yaml")["providers"][0]
    assert mounts("grafana")[provider["options"]["path"]] == ROOT / "grafana/dashboards"


def test_demo_overrides_what_is_there() -> None:
    """The demo is laid over the exporter: its command, and a /tmp to write to."""
    demo = load(HERE / "demo.yaml")["services"]
    assert demo == {"exporter": {"command": ["demo"], "tmpfs": ["/tmp"]}}
    assert "exporter" in services()
