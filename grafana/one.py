"""The dashboard *One task or operation*: how a run goes, against how its operation usually goes."""

from grafana_foundation_sdk.models import dashboard

from grafana import colors, frame, shared
from grafana.panels import HALF, STATUS_LEGEND, THIRD, Size, Text, bars, graph, stacked, status, tile
from grafana.promql import (
    PER_INTERVAL,
    SUCCEEDED,
    WHOLE_RANGE,
    age,
    count,
    failed_share,
    quantile,
    selector,
    state,
    total,
)

OPERATION = ("source", "operation")
RUN = 'task_id="$task"'
THIRD_TILE = Size(8, 4)
NO_TASK = " Empty where no task is chosen, or it was not on the exporter's board at the time."


def one() -> dashboard.Dashboard:
    """The whole dashboard."""
    page = frame.page(
        frame.ONE,
        "Asynchronous task or operation",
        "One task: how far it is, against how long its operation usually takes. And one operation over time.",
        {
            "Task $task": [*_state(), _progress(), _against_history(), _subtasks(), _records(), _speed()],
            "Operation $operation": [
                *_operation(),
                shared.ended(),
                _error_codes(),
                shared.durations(),
                shared.heat_map(),
                shared.failures(),
            ],
        },
    )
    for variable in shared.task_choice():
        page = page.with_variable(variable)
    task = frame.single("task", "Task", "asynctask_task_status", "task_id")
    return frame.finished(
        page.with_variable(task).with_variable(frame.exporter_page()).annotation(frame.Failures())
    )


def _state() -> shared.Panels:
    end = state("asynctask_task_estimated_end_timestamp_seconds", RUN)
    return [
        status(
            Text(
                "Status", f"What the task is doing; an id that runs again after a failure has both.{NO_TASK}"
            ),
            f"max by (status) ({selector('asynctask_task_status', RUN)})",
        ),
        tile(
            Text("Progress", f"How far the task is. Empty where its API does not tell.{NO_TASK}"),
            total(state("asynctask_task_progress_ratio", RUN)),
            "percentunit",
        ),
        tile(
            Text("Time left", f"By the exporter's estimate. Empty where nothing tells enough.{NO_TASK}"),
            f"clamp_min(max({end}) - time(), 0)",
            "dtdurations",
        ),
        tile(
            Text("Ran for", f"From its start until its end, or until now.{NO_TASK}"),
            f"max({_elapsed()})",
            "dtdurations",
        ),
        *_usual(),
    ]


def _usual() -> shared.Panels:
    return [
        tile(
            Text(
                "Half of them take",
                "The median of its operation's successful runs within the chosen time. Empty where there"
                f" were none.{NO_TASK}",
            ),
            f"max({_history(0.5, WHOLE_RANGE)})",
            "dtdurations",
        ),
        tile(
            Text(
                "Last moved",
                f"How long ago the task's status or progress was last seen to change.{NO_TASK}",
            ),
            f"min({age('asynctask_task_last_change_timestamp_seconds', RUN)})",
            "dtdurations",
            colors.thresholds(300, 900),
        ),
    ]


def _elapsed() -> str:
    """How long the task has run; a task that has ended keeps what it took."""
    start, end = (state(f"asynctask_task_{point}_timestamp_seconds", RUN) for point in ("start", "end"))
    return f"({end} or {start} * 0 + time()) - {start}"


def _history(q: float, window: str) -> str:
    """What this share of the runs of the task's own operation took at the most."""
    usual = quantile(q, "asynctask_duration_seconds", window, *OPERATION, where=SUCCEEDED)
    return f"{usual} and on (source, operation) {state('asynctask_task_status', RUN)}"


def _progress() -> shared.Panel:
    return graph(
        Text("Progress", f"How far the task was. Empty where its API does not tell.{NO_TASK}"),
        {"{{source}} {{operation}}": state("asynctask_task_progress_ratio", RUN)},
        "percentunit",
    ).max(1)


def _against_history() -> shared.Panel:
    return graph(
        Text(
            "This run against others",
            "How long the task has run, and what half of its operation's successful runs, nine of ten and"
            f" 99 of 100 took at the most within a day. Lines are missing where none succeeded.{NO_TASK}",
        ),
        {"this run": f"max({_elapsed()})"}
        | {f"p{int(100 * q)}": f"max({_history(q, '1d')})" for q in (0.5, 0.9, 0.99)},
        "s",
    )


def _subtasks() -> shared.Panel:
    return stacked(
        Text("Subtasks", f"The task's parts by status. Empty where it has none.{NO_TASK}"),
        {STATUS_LEGEND: total(state("asynctask_task_subtasks", RUN), "status")},
        "short",
        THIRD,
    )


def _records() -> shared.Panel:
    return graph(
        Text("Records", f"Records done, and to be done in all. Empty where the API does not tell.{NO_TASK}"),
        {
            "done": total(state("asynctask_task_records_processed", RUN)),
            "expected": total(state("asynctask_task_records_expected", RUN)),
        },
        "short",
        THIRD,
    )


def _speed() -> shared.Panel:
    processed = selector("asynctask_task_records_processed", RUN)
    return graph(
        Text("Records per second", f"How fast records are done. Empty where the API does not tell.{NO_TASK}"),
        {"records per second": f"clamp_min(max(deriv({processed}[{PER_INTERVAL}])), 0)"},
        "suffix: records/s",
        THIRD,
    )


def _operation() -> shared.Panels:
    return [
        tile(
            Text(
                "Last success",
                "How long ago a run last succeeded. Empty where none ever did.",
            ),
            f"min({age('asynctask_last_success_timestamp_seconds')})",
            "dtdurations",
            size=THIRD_TILE,
        ),
        tile(
            Text(
                "Error ratio",
                "The share of ended runs that failed or timed out within the chosen time. Empty where"
                " nothing ended.",
            ),
            failed_share(WHOLE_RANGE),
            "percentunit",
            colors.thresholds(0.01, 0.2),
            THIRD_TILE,
        ),
        tile(
            Text("Unfinished", "Tasks that wait, run or are suspended."),
            total(state("asynctask_tasks", 'status=~"pending|running|suspended"')),
            "short",
            size=THIRD_TILE,
        ),
    ]


def _error_codes() -> shared.Panel:
    return bars(
        Text(
            "Failed runs by error code",
            "Runs that failed within each interval, by the code that the API told, if it did.",
        ),
        {"code {{error_code}}": total(count("asynctask_errors_total"), "error_code")},
        size=HALF,
    )
