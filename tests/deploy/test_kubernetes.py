"""The Kubernetes manifests: right by Kubernetes' own schemas, admitted as restricted pods, consistent."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy import rules
from exporter.metrics.own import SOURCE_METRICS

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy/kubernetes"
OPERATORS = {"ServiceMonitor", "PrometheusRule"}
"""Custom resources, which Kubernetes' schemas do not know; tests/deploy/documents has the operator's."""
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest Kubernetes that the manifests are held against."""


def load(path: Path) -> dict[str, Any]:
    """A manifest."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


KUSTOMIZATION = load(HERE / "kustomization.yaml")
MANIFESTS = {
    manifest["kind"]: manifest
    for manifest in map(
        load, [*(HERE / name for name in KUSTOMIZATION["resources"]), HERE / "secret.example.yaml"]
    )
}


def spec(kind: str) -> dict[str, Any]:
    """What a manifest asks for."""
    found: dict[str, Any] = MANIFESTS[kind]["spec"]
    return found


def pod() -> dict[str, Any]:
    """The pod of the deployment."""
    found: dict[str, Any] = spec("Deployment")["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """The one container of the pod."""
    (found,) = pod()["containers"]
    checked: dict[str, Any] = found
    return checked


def settings(path: Path) -> list[str]:
    """The flags of the container, as they work on this machine, with the configuration at *path*."""
    return [f"--config.file={path}" if "config.file" in flag else flag for flag in container()["args"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", sorted(MANIFESTS.keys() - OPERATORS))
def test_manifest_follows_the_schema(kind: str, version: str) -> None:
    """Kubernetes' strict schema, which refuses unknown keys, accepts the manifest."""
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)


def test_schema_refuses_mistakes() -> None:
    """The schemas are real: a misspelled key of a container is refused."""
    wrong = yaml.safe_load(yaml.safe_dump(MANIFESTS["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_kustomization_knows_all_files() -> None:
    """All manifests here are listed, but for the example of a secret; each file has one purpose."""
    listed = {*KUSTOMIZATION["resources"], *KUSTOMIZATION["configMapGenerator"][0]["files"]}
    here = {path.name for path in HERE.iterdir()}
    assert here == listed | {"kustomization.yaml", "secret.example.yaml"}
    assert {f"{kind.lower()}.yaml" for kind in MANIFESTS} - {"secret.yaml"} == set(KUSTOMIZATION["resources"])


def test_pod_is_restricted() -> None:
    """The pod fulfils the restricted standard, and cannot write to its root file system."""
    context, own = pod()["securityContext"], container()["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {next(key for key in volume if key != "name") for volume in pod()["volumes"]} <= {
        "configMap",
        "secret",
        "persistentVolumeClaim",
    }
    assert MANIFESTS["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pod_runs_as_the_user_of_the_image() -> None:
    """User, group and the volume's group are those of the Dockerfile."""
    context = pod()["securityContext"]
    user = f"USER {context['runAsUser']}:{context['runAsGroup']}\n"
    assert user in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert context["fsGroup"] == context["runAsGroup"]


def test_secret_can_be_read_by_the_pod() -> None:
    """Secrets are readable by owner and group, which is the pod's, and by nobody else."""
    modes = {volume["secret"]["defaultMode"] for volume in pod()["volumes"] if "secret" in volume}
    assert modes == {0o440}


def test_names_lead_to_each_other() -> None:
    """Service, policy, monitor and deployment select the same pods; volumes name what exists."""
    labels = spec("Deployment")["template"]["metadata"]["labels"]
    assert spec("Deployment")["selector"]["matchLabels"] == labels
    assert spec("Service")["selector"] == labels
    assert spec("NetworkPolicy")["podSelector"]["matchLabels"] == labels
    assert spec("ServiceMonitor")["selector"]["matchLabels"] == MANIFESTS["Service"]["metadata"]["labels"]
    by_kind = {key: told for volume in pod()["volumes"] for key, told in volume.items() if key != "name"}
    assert by_kind["configMap"]["name"] == KUSTOMIZATION["configMapGenerator"][0]["name"]
    assert by_kind["secret"]["secretName"] == MANIFESTS["Secret"]["metadata"]["name"]
    assert (
        by_kind["persistentVolumeClaim"]["claimName"]
        == MANIFESTS["PersistentVolumeClaim"]["metadata"]["name"]
    )


def test_ports_lead_to_each_other() -> None:
    """Probes, Service, ServiceMonitor and policy name a port that the container has."""
    (port,) = container()["ports"]
    assert port["containerPort"] == spec("Service")["ports"][0]["port"] == 9926
    probes = [container()[name]["httpGet"]["port"] for name in container() if name.endswith("Probe")]
    assert probes == [port["name"]] * 3
    assert spec("Service")["ports"][0]["targetPort"] == port["name"]
    assert spec("ServiceMonitor")["endpoints"][0]["port"] == spec("Service")["ports"][0]["name"]
    assert spec("NetworkPolicy")["ingress"][0]["ports"][0]["port"] == port["name"]


def test_the_operators_labels_are_dropped_but_for_those_that_the_rules_know() -> None:
    """One that is ours would be renamed; any other would tell the rules' alerts from the exporter's own."""
    added = {"namespace", "service", "pod", "container", "endpoint", "job", "instance"}
    (rule,) = spec("ServiceMonitor")["endpoints"][0]["relabelings"]
    assert rule["action"] == "labeldrop"
    kept = {label for label in added if not re.fullmatch(rule["regex"], label)}
    assert kept == {"namespace", "pod", "job", "instance"}
    assert not kept & {label for metric in SOURCE_METRICS for label in metric.labels}


def test_flags_are_accepted() -> None:
    """The exporter accepts the container's flags and the ConfigMap; the Secret is not here."""
    command = [sys.executable, "-m", "exporter", *settings(HERE / "config.yaml"), "--config.check"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0
    assert all("warning" in line and "password_file" in line for line in said.stderr.splitlines())


def test_configuration_reads_the_secret() -> None:
    """Each secret file of the configuration is a key of the Secret, where it is mounted."""
    place = next(mount["mountPath"] for mount in container()["volumeMounts"] if mount["name"] == "secrets")
    files = [source["basic_auth"]["password_file"] for source in load(HERE / "config.yaml")["sources"]]
    assert files == [f"{place}/{key}" for key in MANIFESTS["Secret"]["stringData"]]


def test_ledger_has_one_writer() -> None:
    """One pod at a time has the ledger, also while it is replaced."""
    assert spec("Deployment")["replicas"] == 1
    assert spec("Deployment")["strategy"] == {"type": "Recreate"}
    mounted = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert f"--storage.path={mounted['data']}" in container()["args"]


def test_job_is_that_of_the_rules() -> None:
    """The Service's name, which Prometheus Operator makes the job, is the job that the rules look for."""
    name = MANIFESTS["Service"]["metadata"]["name"]
    assert f'job="{name}"' in rules.manifest()


def test_rules_are_those_of_prometheus(tmp_path: Path) -> None:
    """The PrometheusRule is what the rule files make of it, and Prometheus accepts it."""
    text = rules.TARGET.read_text(encoding="utf-8")
    assert text == rules.manifest(), "`make rules` writes it anew"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(yaml.safe_load(text)["spec"]), encoding="utf-8")
    command = ["promtool", "check", "rules", str(tmp_path / "rules.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def operators(kind: str) -> dict[str, Any]:
    """The operator's schema of a kind."""
    path = Path(__file__).parent / f"documents/{kind.lower()}-v1.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def strict(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema with unknown keys refused, as by an API server that is asked to be strict."""
    if isinstance(schema, str):
        return schema.replace("^(?i)", "(?i)^")  # Go takes flags within a pattern, Python at its begin.
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(inner) for key, inner in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(schema.get("properties"), dict) else closed


@pytest.mark.parametrize("kind", sorted(OPERATORS))
def test_custom_resource_follows_the_schema(kind: str) -> None:
    """The operator's own schema, with unknown keys refused, accepts the manifest."""
    assert MANIFESTS[kind]["apiVersion"] == "monitoring.coreos.com/v1"
    jsonschema.validate(MANIFESTS[kind], strict(operators(kind)))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("ServiceMonitor", "endpoints", "endpoint"),
        ("ServiceMonitor", "interval: 15s", "intervall: 15s"),
        ("ServiceMonitor", "interval: 15s", "interval: 15 s"),
        ("ServiceMonitor", "matchLabels", "matchLabel"),
        ("PrometheusRule", "severity: critical", "severity: 1"),
        ("PrometheusRule", "  expr:", "  expression:"),
    ],
)
def test_operators_schema_refuses_mistakes(kind: str, right: str, wrong: str) -> None:
    """The operator's schemas are real: a misspelled key or a value of another kind is refused."""
    text = yaml.safe_dump(MANIFESTS[kind])
    assert right in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(right, wrong, 1)), strict(operators(kind)))
