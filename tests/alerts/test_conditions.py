"""Which end is an alert, how it reads, and when it is over; compared with the rules that do the same."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.alerts.conditions import RULES, identity, is_forgotten, labels, new_alert, why_over
from exporter.alerts.settings import AlertSettings, Origin
from exporter.model import Status
from exporter.store.alert import Alert
from tests.alerts.given import ORIGINS
from tests.store.given import START, transition

SHIPPED = Path(__file__).parents[2] / "prometheus" / "alerts.yml"
ORIGIN = ORIGINS["epm"]
KEEP = timedelta(minutes=15)


def rules() -> dict[str, Any]:
    """The shipped rules by their name."""
    groups = yaml.safe_load(SHIPPED.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def alert(status: Status = Status.ERROR, **more: object) -> Alert:
    """An alert that an Alertmanager took at once."""
    made = new_alert("e1", transition(status, None), ORIGIN, AlertSettings())
    return replace(made, **{"accepted_at": START} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", RULES)
def test_name_severity_and_words_are_the_rule_s(status: Status) -> None:
    """What the rule says and what we say cannot drift apart."""
    ours, theirs = RULES[status], rules()[RULES[status].alertname]
    assert f'status="{status}"' in theirs["expr"]
    assert theirs["labels"] == {"severity": ours.severity}
    assert theirs["annotations"]["summary"] == ours.summary
    made = alert(status)
    assert theirs["annotations"]["runbook_url"] == made.annotations["runbook_url"]
    words = re.sub(r"\{\{.*?\}\}", "", theirs["annotations"]["description"])
    assert f"{ours.ended} at ." in words
    assert words.endswith(ours.advice)


def test_every_rule_about_one_ended_task_is_here() -> None:
    """A rule that pages for a single end has its like among the notifications."""
    about_a_task = {
        name
        for name, rule in rules().items()
        if re.search(r"\(asynctask_task_status\{status=\"\w+\"\}\)$", rule["expr"])
    }
    assert about_a_task == {rule.alertname for rule in RULES.values()}


def test_the_labels_identify_the_task() -> None:
    """Nothing in them changes in the life of an alert."""
    assert alert().labels == {
        "alertname": "AsyncTaskFailed",
        "severity": "critical",
        "job": "asynctask-exporter",
        "source": "epm",
        "operation": "import",
        "task_id": "1",
        "status": "error",
        "team": "finance",
    }


@pytest.mark.parametrize(
    ("own", "settings", "expected"),
    [
        ({"severity": "low"}, AlertSettings(), {"severity": "critical"}),
        ({"job": "nightly"}, AlertSettings(), {"job": "asynctask-exporter", "exported_job": "nightly"}),
        ({"instance": "a"}, AlertSettings(), {"exported_instance": "a"}),
        ({"pod": "a", "team": ""}, AlertSettings(), {}),
        ({}, AlertSettings(labels={"cluster": "prod", "job": "other"}), {"cluster": "prod"}),
        ({}, AlertSettings(job="", labels={"cluster": "prod"}), {"cluster": "prod", "job": None}),
    ],
)
def test_labels_meet_as_in_prometheus(
    own: dict[str, str], settings: AlertSettings, expected: dict[str, str | None]
) -> None:
    """A rule's labels win over a source's; a target's rename them; external ones and empty ones give way."""
    told = labels(transition(Status.ERROR), Origin(labels=own, keep_failed=KEEP), settings)
    usual = {
        "alertname": "AsyncTaskFailed",
        "severity": "critical",
        "job": "asynctask-exporter",
        "source": "epm",
    }
    usual |= {"operation": "import", "task_id": "1", "status": "error"}
    assert told == {name: value for name, value in (usual | expected).items() if value is not None}


def test_a_second_failed_run_is_an_alert_of_its_own() -> None:
    """As the same alert it would be taken for the first one, and page nobody."""
    first = alert()
    second = new_alert(
        "e2", transition(Status.ERROR, run="#1"), ORIGIN, AlertSettings(), others={identity(first.labels)}
    )
    assert second.labels == {**first.labels, "run": "#1"}


def test_the_annotations_say_what_a_person_needs() -> None:
    """Which task, since when, what it said, the end of its log, what to do, and where."""
    ended = transition(
        Status.ERROR, task_id="244591", name='Load "ledger"', message="no", error_code="E7", finished_at=START
    )
    settings = AlertSettings(external_url="https://x.example.com", runbook_url="https://wiki.example.com/r")
    assert new_alert("e", ended, ORIGIN, settings, log="a\nb\n").annotations == {
        "summary": "A task ended in error.",
        "description": 'Task 244591 "Load "ledger"" of source epm, operation import, ended in error at '
        "2026-01-01 12:00:00 +0000 UTC. Read its message and log on the exporter's page or in the watched "
        "system before starting it again.",
        "runbook_url": "https://wiki.example.com/r#asynctaskfailed",
        "message": "no",
        "error_code": "E7",
        "log": "a\nb",
        "url": "https://x.example.com/api/v1/sources/epm/tasks/244591",
    }


def over(told: Alert, at: datetime = START + timedelta(hours=2), **more: Any) -> str:  # noqa: ANN401 - of several types
    """Why it is over; unless told, its task is still on the board, and time has passed for all else."""
    values = {"now": at, "keep_firing": KEEP, "origin": Origin(labels={}, keep_failed=timedelta(days=1))}
    return why_over(told, **{**values, "on_board": told.status, "success_at": None, **more})


def test_it_fires_while_its_task_is_on_the_board() -> None:
    """Nothing has changed, so somebody has to know."""
    assert over(alert()) == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"on_board": None}, "left the board"),
        ({"on_board": Status.SUCCESS}, "left the board"),
        ({"success_at": START + timedelta(seconds=1)}, "succeeded again"),
        ({"origin": None}, "not configured"),
        ({"origin": ORIGIN}, "for as long as"),
    ],
)
def test_what_ends_it(more: dict[str, Any], why: str) -> None:
    """The board, a correction, a success after it, the configuration, and time."""
    assert why in over(alert(), **more)


def test_a_success_before_it_ends_nothing() -> None:
    """Only what came after the failure tells that it is repaired."""
    assert over(alert(), success_at=START) == ""


def test_tasks_without_an_operation_repair_nobody() -> None:
    """Of two tasks whose kind nobody knows, one says nothing about the other."""
    assert over(alert(operation=""), success_at=START + timedelta(seconds=1)) == ""


@pytest.mark.parametrize("more", [{"on_board": None}, {"success_at": START + timedelta(seconds=1)}])
def test_it_is_told_before_it_ends(more: dict[str, Any]) -> None:
    """However soon it is repaired, it pages: when an Alertmanager took it, and had time to tell it."""
    assert over(alert(accepted_at=None), **more) == ""
    assert over(alert(), START + KEEP - timedelta(seconds=1), **more) == ""
    assert over(alert(), START + KEEP, **more) != ""


def test_who_has_seen_it_need_not_be_told() -> None:
    """Acknowledging ends it at once."""
    assert "acknowledged" in over(alert(accepted_at=None, acknowledged_at=START), START)


def test_what_is_over_is_told_for_a_while() -> None:
    """Alertmanager hears of the end for 15 minutes, in case it was away."""
    assert not is_forgotten(alert(), START + timedelta(days=1))
    assert not is_forgotten(alert(resolved_at=START), START + timedelta(minutes=14))
    assert is_forgotten(alert(resolved_at=START), START + timedelta(minutes=15))
