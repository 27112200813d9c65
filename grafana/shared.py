"""Panels and variables that stand on more than one dashboard."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import frame, panels
from grafana.listing import BAR, STATUS, Column, linked, listing
from grafana.panels import STATUS_LEGEND, WIDE, Size, Text, bars, exemplary
from grafana.promql import (
    PER_INTERVAL,
    SUCCEEDED,
    TASK,
    age,
    among,
    buckets,
    count,
    left,
    quantile,
    state,
    total,
    with_status,
)

Panel = Builder[dashboard.Panel]
Panels = Sequence[Panel]
TASK_LINKS = linked(("Task's page", frame.TASK_PAGE), ("This task", frame.TASK_DASHBOARD))
SHOWN = Column("task_id", "Task", looks=[TASK_LINKS])
NAME = Column("name", "Name")
OPERATION = Column("operation", "Operation")
SOURCE = Column("source", "Source")
AGO = "dateTimeFromNow"


def task_choice() -> Sequence[Builder[dashboard.VariableModel]]:
    """Source, operation and own labels."""
    return [
        frame.choice("source", "Source", "asynctask_discovered_total"),
        frame.choice("operation", "Operation", "asynctask_discovered_total", "source"),
        frame.own_labels(),
    ]


def named(which: str) -> str:
    """What these tasks are called."""
    return among(state("asynctask_task_info", by=(*TASK, "name")), which)


def running() -> Panel:
    """The tasks that run."""
    these = with_status("running")
    return listing(
        Text(
            "Running tasks",
            "Each running task with its progress, and the time left by the exporter's estimate: absent"
            " where nothing tells enough. Empty while nothing runs.",
        ),
        {
            "task": these,
            "info": named(these),
            "progress": among(state("asynctask_task_progress_ratio"), these),
            "left": among(left(), these),
            "age": among(age("asynctask_task_start_timestamp_seconds"), these),
            "moved": among(age("asynctask_task_last_change_timestamp_seconds"), these),
        },
        [
            SHOWN,
            NAME,
            OPERATION,
            SOURCE,
            Column("progress", "Progress", "percentunit", BAR),
            Column("left", "Left", "dtdurations"),
            Column("age", "Running for", "dtdurations"),
            Column("moved", "Last moved", "dtdurations"),
        ],
        "Running for",
        Size(16, 9),
    )


def failures() -> Panel:
    """The tasks that failed."""
    these = with_status("error|timed_out", "status")
    return listing(
        Text(
            "Failed tasks",
            "Tasks that ended in error or timed out and are still on the exporter's board"
            " (`keep_failed`). One that runs again has no end. Empty while nothing has failed lately.",
        ),
        {
            "task": these,
            "info": named(these),
            "end": among(f"1000 * {state('asynctask_task_end_timestamp_seconds')}", these),
        },
        [SHOWN, STATUS, NAME, OPERATION, SOURCE, Column("end", "Since", AGO)],
        "Since",
        WIDE,
    )


def ended() -> Panel:
    """How many runs ended, by status."""
    return bars(
        Text("Ended runs", "Runs that ended within each interval of the graph, by their final status."),
        {STATUS_LEGEND: total(count("asynctask_finished_total"), "status")},
    )


def durations() -> Panel:
    """Quantiles over time."""
    quantiles = {
        f"p{int(100 * q)}": quantile(q, "asynctask_duration_seconds", "1h", where=SUCCEEDED)
        for q in (0.5, 0.9, 0.99)
    }
    return exemplary(
        Text(
            "Durations",
            "How long successful runs took, over an hour each: half of them, nine of ten, 99 of 100 at"
            " the most. Choose an operation: together they tell little. Each dot is a run and leads to"
            " it, with exemplars in Prometheus. Empty where nothing succeeded within an hour.",
        ),
        quantiles,
        "s",
    )


def heat_map() -> Panel:
    """How durations are spread."""
    return panels.heat_map(
        Text(
            "Spread of durations",
            "How many runs, whatever their end, took how long; each dot is one of them and leads to it."
            " Empty until something has ended.",
        ),
        buckets("asynctask_duration_seconds", PER_INTERVAL),
    )
