"""The dashboard *Tasks*: what runs, what has ended, what failed, and how long it all takes."""

from grafana_foundation_sdk.models import dashboard

from grafana import colors, frame, shared
from grafana.listing import Column, judged, linked, listing
from grafana.panels import STATUS_LEGEND, Size, Text, graph, ranking, stacked, tile
from grafana.promql import (
    FAILED,
    SUCCEEDED,
    WHOLE_RANGE,
    age,
    failed_share,
    increase,
    quantile,
    selector,
    state,
    total,
)

OPERATION = ("source", "operation")
LEGEND = "{{source}} {{operation}}"


def tasks() -> dashboard.Dashboard:
    """The whole dashboard."""
    page = frame.page(
        frame.TASKS,
        "Asynchronous tasks",
        "What runs now, what waits, what failed, and how long things take.",
        {
            "Now": [*_now(), shared.running(), _by_status()],
            "Ended": [shared.ended(), _error_ratio(), shared.failures()],
            "Durations": [shared.durations(), shared.heat_map(), _against_last_week(), _waits()],
            "Operations": [_success_age(), _operations()],
        },
    )
    for variable in shared.task_choice():
        page = page.with_variable(variable)
    return frame.finished(page.with_variable(frame.exporter_page()).annotation(frame.Failures()))


def _now() -> shared.Panels:
    running, pending = (
        total(state("asynctask_tasks", f'status="{status}"')) for status in ("running", "pending")
    )
    oldest = selector("asynctask_oldest_timestamp_seconds", 'status="pending"')
    return [
        tile(Text("Running", "Tasks that run now."), running, "short"),
        tile(
            Text("Waiting", "Tasks that have not started, those that are scheduled for later included."),
            pending,
            "short",
        ),
        tile(
            Text("Longest wait", "For how long the oldest waiting task could have started."),
            f"(time() - min({oldest})) or vector(0)",
            "dtdurations",
            colors.thresholds(15 * 60, 30 * 60),
        ),
        *_trouble(),
    ]


def _trouble() -> shared.Panels:
    failed = increase("asynctask_finished_total", WHOLE_RANGE, FAILED)
    return [
        tile(
            Text("Stalled", "Running tasks whose progress has not moved for `stalled_after`."),
            total(state("asynctask_stalled_tasks")),
            "short",
            colors.thresholds(doubtful=1),
        ),
        tile(
            Text("Overdue", "Unfinished tasks that are older than their source's `deadline`."),
            total(state("asynctask_overdue_tasks")),
            "short",
            colors.thresholds(bad=1),
        ),
        tile(
            Text(
                "Failed", "Runs that ended in error or timed out within the chosen time, each counted once."
            ),
            f"round({total(failed)})",
            "short",
            colors.thresholds(bad=1),
        ),
    ]


def _by_status() -> shared.Panel:
    unfinished = state("asynctask_tasks", 'status=~"pending|running|suspended|unknown"')
    return stacked(
        Text(
            "Unfinished tasks",
            "How many tasks wait, run or are suspended. Unknown are those with an unknown word.",
        ),
        {STATUS_LEGEND: total(unfinished, "status")},
        "short",
        Size(8, 9),
    )


def _error_ratio() -> shared.Panel:
    return graph(
        Text(
            "Error ratio",
            "The share of an hour's ended runs that failed or timed out, without cancelled and skipped"
            " ones. Empty where nothing ended within an hour.",
        ),
        {LEGEND: failed_share("1h", *OPERATION)},
        "percentunit",
    ).max(1)


def _against_last_week() -> shared.Panel:
    hour, week = (state(f"asynctask:duration_seconds:p90_{window}") for window in ("1h", "1w"))
    return graph(
        Text(
            "Duration against last week",
            "How many times as long as in the week before nine of ten successful runs of the last hour"
            " took. Empty without the recording rules of prometheus/recording.yml, and for operations"
            " that succeeded less than ten times in that week or not within the hour.",
        ),
        {LEGEND: f"{hour} / {week}"},
        "suffix:x",
    ).thresholds(colors.thresholds(1.5, 3))


def _waits() -> shared.Panel:
    waited = quantile(0.9, "asynctask_queue_duration_seconds", "1h", *OPERATION)
    return graph(
        Text(
            "Time in the queue",
            "What nine of ten runs waited at the most before they started, over an hour. Empty where the"
            " API does not tell both times, or nothing started.",
        ),
        {LEGEND: f"{waited} >= 0"},
        "s",
    )


def _success_age() -> shared.Panel:
    return ranking(
        Text(
            "Since the last success",
            "How long ago a run of the operation last succeeded. An operation that never did is not"
            " there: empty at the very beginning.",
        ),
        LEGEND,
        f"sort_desc({age('asynctask_last_success_timestamp_seconds')})",
        "dtdurations",
        Size(8, 10),
    )


def _operations() -> shared.Panel:
    ended = total(increase("asynctask_finished_total", WHOLE_RANGE), *OPERATION)
    unfinished = state("asynctask_tasks", 'status=~"pending|running|suspended"')
    usual = quantile(0.9, "asynctask_duration_seconds", WHOLE_RANGE, *OPERATION, where=SUCCEEDED)
    return listing(
        Text(
            "Operations",
            "Each kind of work within the chosen time; follow an operation to its own dashboard.",
        ),
        {
            "unfinished": total(unfinished, *OPERATION),
            "ended": f"round({ended})",
            "ratio": failed_share(WHOLE_RANGE, *OPERATION),
            "usual": f"{usual} >= 0",
            "last": state("asynctask_last_duration_seconds"),
            "success": age("asynctask_last_success_timestamp_seconds"),
        },
        [
            Column("operation", "Operation", looks=[linked(("This operation", frame.OPERATION_DASHBOARD))]),
            Column("source", "Source"),
            Column("unfinished", "Unfinished", "short"),
            Column("ended", "Ended", "short"),
            Column("ratio", "Failed", "percentunit", judged(0.01, 0.2)),
            Column("usual", "90% took at most", "dtdurations"),
            Column("last", "Last took", "dtdurations"),
            Column("success", "Last success", "dtdurations"),
        ],
        "Failed",
        Size(16, 10),
    )
