"""The shipped rules: they load, do what their tests say, and are told of in the runbook."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.errors import SOURCE_ERROR_REASONS
from exporter.model import Status
from prometheus import rules

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
TESTS = sorted((SHIPPED / "tests").glob("*.yml"))

METRICS_PAGE = ROOT / "docs" / "metrics.md"
TARGET_LABELS = {"job", "instance", "pod"}

Rule = dict[str, Any]


def contract() -> dict[str, set[str]]:
    """What the rules may rely on: each metric's labels, from the tables of the page on metrics."""
    text = METRICS_PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\|\s*`?(asynctask_\w+)`?\s*\|[^|]*\|([^|\n]*)\|", text, flags=re.MULTILINE)
    return {name: set(re.findall(r"[a-z_]+", labels)) for name, labels in rows}


def load(text: str) -> list[Rule]:
    """All rules of a rule file, whatever their group."""
    return all_rules(yaml.safe_load(text))


def all_rules(file: dict[str, Any]) -> list[Rule]:
    """The rules of a loaded rule file in their order."""
    return [rule for group in file["groups"] for rule in group["rules"]]


ALERTS = load((SHIPPED / "alerts.yml").read_text(encoding="utf-8"))
RECORDINGS = load((SHIPPED / "recording.yml").read_text(encoding="utf-8"))
ALERT_NAMES = sorted({alert["alert"] for alert in ALERTS})


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def unit_tests() -> Iterator[Rule]:
    """All tests of all promtool files, each with its file's settings."""
    for path in TESTS:
        file = yaml.safe_load(path.read_text(encoding="utf-8"))
        for test in file.pop("tests"):
            yield {**file, "tests": [test]}


def checks(test: Rule) -> list[Rule]:
    """What a promtool test expects of alerts."""
    return [check for case in test["tests"] for check in case.get("alert_rule_test", [])]


@pytest.mark.parametrize("name", rules.RULE_FILES)
def test_written_files_are_what_the_templates_say(name: str) -> None:
    """Nobody has changed a written rule file by hand, or a template without writing the file."""
    assert (SHIPPED / name).read_text(encoding="utf-8") == rules.rule_files()[name]


def test_every_threshold_is_used() -> None:
    """The table has no threshold that changes nothing."""
    templates = "".join((SHIPPED / f"{name}.in").read_text(encoding="utf-8") for name in rules.RULE_FILES)
    used = set(re.findall(r"<<(\w+)", templates))
    assert used == {threshold.name for threshold in rules.THRESHOLDS} | set(rules.FRAGMENTS)


def test_runbook_tells_every_threshold() -> None:
    """The table in the runbook is the table in rules.py."""
    told = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.+) \|$", RUNBOOK, flags=re.MULTILINE)
    assert told == list(rules.THRESHOLDS)


def test_own_thresholds_are_written_as_durations_and_as_seconds() -> None:
    """A changed duration reaches the expressions that compare seconds."""
    written = rules.rule_files(["pending_age=1h30m", "keep_firing=3m"])["alerts.yml"]
    stuck = next(alert for alert in load(written) if alert["alert"] == "AsyncTaskStuckPending")
    failed = next(alert for alert in load(written) if alert["alert"] == "AsyncTaskFailed")
    assert stuck["expr"].endswith("> 5400\n")
    assert failed["keep_firing_for"] == "3m"


@pytest.mark.parametrize("change", ["pending=1h", "pending_age", "pending_age=", "pending_age=soon"])
def test_what_is_no_threshold_is_refused(change: str) -> None:
    """An unknown name, a missing value, or words for a duration are told with the cure."""
    with pytest.raises(
        ValueError, match=r"expected name=value with one of job, |is not a duration such as 30s"
    ):
        rules.rule_files([change])


def test_rules_load_without_complaint() -> None:
    """Prometheus accepts the rule files, and its linter has nothing to say."""
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *(SHIPPED / n for n in rules.RULE_FILES))
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path) -> None:
    """Every promtool test passes."""
    said = promtool("test", "rules", path)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_every_alert_is_tested_before_at_and_after(name: str) -> None:
    """Some test sees the alert silent, then firing, then silent again."""
    courses = [
        "".join("!" if check["exp_alerts"] else "." for check in checks(test) if check["alertname"] == name)
        for test in unit_tests()
    ]
    assert any(re.fullmatch(r"\.!+\.", course) for course in courses), courses


def test_alerts_have_a_runbook_entry_each() -> None:
    """The runbook has an entry for each alert and nothing else: what it means, costs and asks for."""
    entries = re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]
    assert sorted(entry.split("\n", 1)[0] for entry in entries) == ALERT_NAMES
    for entry in entries:
        assert all(part in entry for part in ("**Meaning.**", "**Impact.**", "\n1. ", "\n2. ", "\n3. ")), (
            entry
        )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_alerts_are_told_in_the_style_of_mixins(alert: Rule) -> None:
    """Severity, a static summary that is a sentence, a description of this case, and where the runbook is."""
    annotations = alert["annotations"]
    assert re.fullmatch(r"AsyncTask([A-Z][a-z]+)+", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "{{" not in annotations["summary"]
    assert annotations["summary"].endswith(".")
    assert "$labels." in annotations["description"]
    assert annotations["runbook_url"] == f"{rules.choose([])['runbook']}#{alert['alert'].lower()}"


def queries() -> list[str]:
    """Every expression of the rules, and every one within a description."""
    inner = [
        query.replace('\\"', '"').replace("%q", '""')
        for alert in ALERTS
        for query in re.findall(r'printf "(.*?)" \$', alert["annotations"]["description"])
    ]
    return [rule["expr"] for rule in ALERTS + RECORDINGS] + inner


def metric(series: str) -> str:
    """The metric that a series belongs to."""
    return re.sub(r"^(asynctask_duration_seconds)_(bucket|count|sum)$", r"\1", series)


def test_rules_name_only_metrics_and_labels_that_exist() -> None:
    """Each metric is in the contract, and each label that selects from it is one of its own."""
    known = contract()
    for query in queries():
        for series, selectors in re.findall(r"\b(asynctask_\w+)(?:\{([^}]*)\})?", query):
            assert metric(series) in known, query
            labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selectors))
            assert labels <= known[metric(series)] | TARGET_LABELS, query


def test_rules_group_only_by_labels_that_exist() -> None:
    """Each label in without, by, on or group_left is one of the contract's."""
    known = set().union(*contract().values()) | TARGET_LABELS
    for query in queries():
        for names in re.findall(r"\b(?:without|by|on|ignoring|group_left) \(([^)]*)\)", query):
            assert set(re.findall(r"\w+", names)) <= known, query


def test_rules_name_only_values_that_exist() -> None:
    """Each status is one of the vocabulary, and each reason one of the error tree's."""
    for query in queries():
        statuses = [word for words in re.findall(r'status=~?"([^"]+)"', query) for word in words.split("|")]
        assert set(statuses) <= set(Status), query
        assert set(re.findall(r'reason="([^"]+)"', query)) <= set(SOURCE_ERROR_REASONS), query


def test_rules_record_what_they_read() -> None:
    """Each series that a rule reads is recorded, but for the threshold that users record themselves."""
    recorded = {rule["record"] for rule in RECORDINGS}
    read = {name for query in queries() for name in re.findall(r"asynctask:[\w:]+", query)}
    assert read - recorded == {"asynctask:not_succeeded_threshold:seconds"}


NO_THRESHOLDS = {"job", "replica_labels", "runbook"}
MEASURED = [threshold for threshold in rules.THRESHOLDS if threshold.name not in NO_THRESHOLDS]


def scaled(threshold: rules.Threshold, factor: float) -> str:
    """The threshold, several times as large."""
    if threshold.default[-1].isalpha():
        return f"{int(rules.seconds(threshold.default) * factor)}s"
    return f"{float(threshold.default) * factor:g}"


def with_threshold(change: str) -> tuple[dict[str, Any], set[str]]:
    """The rules with one threshold changed, but told in the same words, and the alerts that this concerns."""
    shipped, changed = (
        {"groups": [g for text in rules.rule_files(changes).values() for g in yaml.safe_load(text)["groups"]]}
        for changes in ([], [change])
    )
    concerned: set[str] = set()
    for before, after in zip(all_rules(shipped), all_rules(changed), strict=True):
        if "annotations" in before:
            after["annotations"] = before["annotations"]
        if before != after:
            concerned |= {before["alert"]} if "alert" in before else readers(before["record"])
    return changed, concerned


def readers(record: str) -> set[str]:
    """The alerts that read a recorded series."""
    return {alert["alert"] for alert in ALERTS if record in alert["expr"]}


@pytest.mark.parametrize("factor", [0.5, 2])
@pytest.mark.parametrize("threshold", MEASURED, ids=lambda threshold: str(threshold.name))
def test_every_threshold_is_held_by_a_test(threshold: rules.Threshold, factor: float, tmp_path: Path) -> None:
    """With half or twice a threshold some promtool test fails."""
    changed, concerned = with_threshold(f"{threshold.name}={scaled(threshold, factor)}")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    tests = [test for test in unit_tests() if concerned & {check["alertname"] for check in checks(test)}]
    assert any(contradicts(test, tmp_path) for test in tests)


def contradicts(test: Rule, folder: Path) -> bool:
    """Whether the rules in a folder do other than a promtool test expects."""
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({**test, "rule_files": ["rules.yml"]}), encoding="utf-8")
    return "got:[" in promtool("test", "rules", path).stderr
