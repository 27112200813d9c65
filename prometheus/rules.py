# ruff: noqa: INP001 - a script beside the files that it writes, in no package
"""The thresholds of the alert rules in one place, and the few lines that write them into plain rule files.

PromQL has no variables. Recorded thresholds would give it some, but where such a series is missing its alert
is silent without a word. So each number is written into the rules, once, from the table below:

    alerts.yml.in     -> alerts.yml
    recording.yml.in  -> recording.yml

Take alerts.yml and recording.yml as they are, or write your own with other thresholds:

    python3 prometheus/rules.py --output /etc/prometheus/rules pending_age=2h error_ratio=0.5
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
RULE_FILES = ("alerts.yml", "recording.yml")


class Threshold(NamedTuple):
    """One number or name that users of the rules may want to change."""

    name: str
    default: str
    meaning: str


THRESHOLDS = (
    Threshold(
        "job",
        "asynctask-exporter",
        "The `job_name` of the exporter in Prometheus' scrape configuration.",
    ),
    Threshold(
        "replica_labels",
        "instance, pod",
        "The labels that tell replicas of one exporter apart. They are aggregated away, so that "
        "replicas that see the same tasks page once. All other labels (`job`, `namespace`, a source's "
        "own `team`) stay on the alerts.",
    ),
    Threshold(
        "runbook",
        "https://github.com/asynctask-exporter/asynctask-exporter/blob/main/docs/runbook.md",
        "Where the runbook is published; the alert's name in lower case follows as the anchor.",
    ),
    Threshold(
        "keep_firing",
        "15m",
        "How long the alert of a finished task stays when its series is gone. A restart of the exporter"
        " or a gap in the scrapes that is shorter neither resolves the alert nor repeats it.",
    ),
    Threshold(
        "event_window",
        "30m",
        "How far back counters are looked at. Keep it below the exporter's `keep_failed` plus "
        "`keep_firing`, or AsyncTaskFailures outlives the AsyncTaskFailed that hides it.",
    ),
    Threshold(
        "unlisted_for",
        "1m",
        "How long failed tasks may be missing from the listed ones before it counts.",
    ),
    Threshold("pending_age", "30m", "A task that could start and has waited for longer is stuck."),
    Threshold("error_ratio", "0.2", "The share of an hour's finished tasks that may fail or time out."),
    Threshold(
        "error_ratio_minimum",
        "5",
        "Fewer finished tasks in the hour are too few to speak of a ratio.",
    ),
    Threshold(
        "slower_factor",
        "3",
        "How many times its usual duration (the 90th percentile of last week) a task may take. "
        "Histogram buckets are up to three times as wide as their lower bound, so that less would tell "
        "about buckets.",
    ),
    Threshold("slower_age", "10m", "Whatever takes less is never called slow."),
    Threshold("usual_minimum", "10", "How many successes of last week it takes to know what is usual."),
    Threshold("source_down_for", "5m", "How long a source may be down, longer than its short restarts."),
    Threshold(
        "refused_for",
        "5m",
        "How long nothing may succeed after refused credentials; a token that is renewed takes seconds.",
    ),
    Threshold("throttled_window", "15m", "Over how long throttling is judged."),
    Threshold("throttled_ratio", "0.5", "Seconds spent waiting on a source's limits, per second."),
    Threshold("rate_limited", "3", "How many times within the window a source may ask to slow down."),
    Threshold("stale_age", "15m", "How old the last success of a source whose tasks are watched may be."),
    Threshold("dropped_for", "15m", "How long the cap on series may drop tasks."),
    Threshold("notification_errors", "3", "How many times within `event_window` a receiver may fail."),
    Threshold("storage_pending", "100", "How many changes may wait to be committed."),
    Threshold("storage_for", "5m", "How long more of them may wait."),
    Threshold("config_for", "5m", "How long a configuration that does not load may stay."),
    Threshold("exporter_down_for", "5m", "How long an exporter may be down, longer than an upgrade."),
)

SELECT_TASK = "{source=%q,operation=%q,task_id=%q}"
# What the descriptions of several alerts share. The task's name is looked up here instead of being joined in
# the expression: labels identify an alert, and it must neither be lost for want of an info series nor become
# another one, and page again, when the name changes.
FRAGMENTS = {
    "the_task": (
        "Task {{ $labels.task_id }}"
        f'{{{{ with query (printf "asynctask_task_info{SELECT_TASK}" '
        "$labels.source $labels.operation $labels.task_id) }}"
        '{{ with . | first | label "name" }} "{{ . }}"{{ end }}{{ end }} '
        "of source {{ $labels.source }}{{ with $labels.operation }}, operation {{ . }},{{ end }}"
    ),
    "at_its_end": (
        f'{{{{ with query (printf "asynctask_task_end_timestamp_seconds{SELECT_TASK}" '
        "$labels.source $labels.operation $labels.task_id) }}"
        " at {{ . | first | value | humanizeTimestamp }}{{ end }}"
    ),
    "the_operation": (
        "{{ with $labels.operation }}Operation {{ . }} of source{{ else }}Source{{ end }} "
        "{{ $labels.source }}"
    ),
}

PLACEHOLDER = re.compile(r"<<(\w+)(\.seconds)?>>")
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(duration: str) -> int:
    """Turn a duration as Prometheus writes it (``1h30m``) into seconds, which is what expressions compare."""
    if not re.fullmatch(r"(\d+[smhdw])+", duration):
        raise ValueError(f"{duration!r} is not a duration such as 30s, 5m or 1h30m")
    return sum(int(count) * UNIT_SECONDS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", duration))


def choose(changes: Sequence[str]) -> dict[str, str]:
    """The thresholds by name, after *changes* such as ``pending_age=2h``.

    Raises:
        ValueError: a change names no threshold; tells the names.
    """
    chosen = {threshold.name: threshold.default for threshold in THRESHOLDS}
    for change in changes:
        name, equals, value = change.partition("=")
        if name not in chosen or not equals or not value:
            raise ValueError(f"{change!r}: expected name=value with one of {', '.join(chosen)}")
        chosen[name] = value
    return chosen


def render(template: str, chosen: Mapping[str, str]) -> str:
    """Fill ``<<name>>`` and ``<<name.seconds>>`` in *template*.

    Raises:
        KeyError: the template names what is not in the table.
        ValueError: seconds are asked of what is not a duration.
    """
    known = {**chosen, **FRAGMENTS}

    def fill(placeholder: re.Match[str]) -> str:
        name, as_seconds = placeholder.groups()
        return str(seconds(known[name])) if as_seconds else known[name]

    return PLACEHOLDER.sub(fill, template)


def rule_files(changes: Sequence[str] = ()) -> dict[str, str]:
    """The text of every rule file by its name, with the thresholds after *changes*."""
    chosen = choose(changes)
    return {name: render((HERE / f"{name}.in").read_text(encoding="utf-8"), chosen) for name in RULE_FILES}


def main() -> int:
    """Write the rule files."""
    parser = argparse.ArgumentParser(description="Write the rule files, with thresholds of your own.")
    parser.add_argument("changes", nargs="*", metavar="name=value", help="a threshold and its value")
    parser.add_argument(
        "--output", type=Path, default=HERE, help="the directory to write to (default: beside this)"
    )
    arguments = parser.parse_args()
    try:
        files = rule_files(arguments.changes)
    except ValueError as mistake:
        parser.error(str(mistake))
    for name, text in files.items():
        (arguments.output / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
