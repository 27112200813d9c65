"""The example files of Prometheus and Alertmanager: accepted by both, and routing alerts as they say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from prometheus import rules

SHIPPED = Path(__file__).parents[2] / "prometheus"
ALERTMANAGER = SHIPPED / "alertmanager.example.yml"
PROMETHEUS = SHIPPED / "prometheus.example.yml"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what it said."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_prometheus_accepts_the_example() -> None:
    """Prometheus loads the example and the rule files that it names."""
    said = run("promtool", "check", "config", PROMETHEUS)
    assert said.returncode == 0, said.stdout + said.stderr


def test_prometheus_example_names_the_job_of_the_rules() -> None:
    """The example gives the exporter the name that the rules look for, and loads all rule files."""
    example = yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))
    assert [job["job_name"] for job in example["scrape_configs"]] == [rules.choose([])["job"]]
    assert example["rule_files"] == list(rules.RULE_FILES)


def test_alertmanager_accepts_the_example() -> None:
    """Alertmanager loads the example."""
    said = run("amtool", "check-config", ALERTMANAGER)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=AsyncTaskFailed severity=critical source=pulp operation=sync task_id=1", "pager"),
        ("alertname=AsyncTaskFailed severity=critical source=epm team=finance task_id=1", "finance-pager"),
        ("alertname=AsyncTaskWarning severity=warning source=pulp", "chat"),
        ("alertname=AsyncTaskWarning severity=warning source=epm team=finance", "finance-chat"),
        ("alertname=AsyncTaskSlowerThanUsual severity=info source=epm team=finance", "nobody"),
        ("alertname=AsyncTaskExporterDown severity=critical job=asynctask-exporter", "pager"),
        ("alertname=SomethingElse severity=critical team=finance", "chat"),
    ],
)
def test_alertmanager_routes_by_severity_and_team(labels: str, receiver: str) -> None:
    """Critical alerts go to the pager, others to the chat, and a team's own to the team."""
    said = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels.split())
    assert said.stdout.strip() == receiver


def durations(name: str) -> list[int]:
    """The values of one setting of the example's routes, in seconds, from the outermost to the innermost."""
    found = re.findall(rf"^\s+{name}: (\w+)$", ALERTMANAGER.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [rules.seconds(value) for value in found]


def test_pages_do_not_repeat_while_a_failed_task_is_on_the_board() -> None:
    """An hour on the board and `keep_firing` more are shorter than the time after which a page repeats."""
    _, pager = durations("repeat_interval")
    assert pager > 3600 + rules.seconds(rules.choose([])["keep_firing"])


def test_inhibition_names_alerts_that_exist() -> None:
    """Each alert that hides or is hidden is one of the rules'; a typing error would hide nothing."""
    names = set(re.findall(r"alert: (\w+)", (SHIPPED / "alerts.yml").read_text(encoding="utf-8")))
    example = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    matchers = [
        m for rule in example["inhibit_rules"] for m in rule["source_matchers"] + rule["target_matchers"]
    ]
    for pattern in [match[1] for match in (re.search(r'alertname=~?"(.+)"', m) for m in matchers) if match]:
        alternatives = re.fullmatch(r"(\w+?)\((.+)\)", pattern)
        told = [alternatives[1] + end for end in alternatives[2].split("|")] if alternatives else [pattern]
        assert set(told) <= names
