"""The dashboard *Exporter*: the sources' health, how gently they are polled, and the exporter's own."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import colors, frame, shared
from grafana.listing import Column, judged, listing
from grafana.panels import HALF, THIRD, Size, Text, bars, graph, tile, timeline
from grafana.promql import LABELS, count, own_quantile, own_selector, own_work, total

INSTANCE = "{{instance}}"
SOURCE = "{{source}}"
FIXED_INTERVALS = "2,5,10,30,60"
GIB = 1024**3
UP_OR_DOWN = (
    dashboard.DynamicConfigValue("mappings", [colors.up_or_down()]),
    dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
)


def exporter() -> dashboard.Dashboard:
    """The whole dashboard."""
    page = frame.page(
        frame.EXPORTER,
        "asynctask-exporter",
        "Whether the sources answer, how gently they are polled, and how the exporter itself does.",
        {
            "Sources": [*_tiles(), _sources(), _up()],
            "Requests": [_requests(), _codes(), _errors(), _latency(), _throttled(), _lag(), _saved()],
            "Watching": [_watched(), _lost(), _dropped()],
            "Notifications and storage": [_queue(), _notifications(), _storage()],
            "Process": [_memory(), _processor(), _files(), _builds()],
        },
    )
    for variable in _choice():
        page = page.with_variable(variable)
    return frame.finished(page)


def _choice() -> Sequence[Builder[dashboard.VariableModel]]:
    info = "asynctask_exporter_build_info"
    fixed = (
        build.CustomVariable("fixed")
        .label("Compare with polling every (s)")
        .description("The fixed interval in seconds that requests saved are counted against.")
        .values(FIXED_INTERVALS)
        .current(dashboard.VariableOption(text="5", value="5"))
    )
    return [
        frame.choice("job", "Job", info),
        frame.choice("instance", "Instance", info, "job"),
        frame.choice("source", "Source", "asynctask_watched_tasks_limit", "job", "instance"),
        fixed,
        frame.exporter_page(),
    ]


def _now(metric: str, *by: str, how: str = "max") -> str:
    """What the chosen exporters tell now, with what several of them tell the same as one."""
    return f"{how} by ({', '.join(by)}) ({own_selector(metric)})"


def _each(metric: str) -> str:
    """The same for each exporter."""
    return _now(metric, "instance")


def _counted(metric: str, *by: str) -> str:
    """How many of the exporters' own events within one interval of the graph."""
    return f"{own_work(metric, *by)} * $__interval_ms / 1000"


def _watched_tasks() -> str:
    return total(_now("asynctask_watched_tasks", "source"))


def _fixed_rate() -> str:
    """The requests per second that one who polls at a fixed interval would need for the watched tasks."""
    return f"{_watched_tasks()} / $fixed"


def _tiles() -> shared.Panels:
    up = _now("asynctask_source_up", "source", how="min")
    saved = f"1 - {own_work('asynctask_api_requests_total')} / ({_fixed_rate()} > 0)"
    return [
        tile(Text("Sources", "How many sources are polled."), f"count({up})", "short"),
        tile(
            Text("Sources down", "Sources that did not answer the last time, for any of the exporters."),
            f"count({up} == 0) or vector(0)",
            "short",
            colors.thresholds(bad=1),
        ),
        tile(
            Text("Watched tasks", "Tasks that are polled: unfinished, or not seen yet."),
            _watched_tasks(),
            "short",
        ),
        tile(
            Text(
                "Requests saved",
                "Against asking for each watched task at the fixed interval chosen above. Below 0 where"
                " that asks less. Empty while nothing is watched.",
            ),
            saved,
            "percentunit",
        ),
        *_configuration(),
    ]


def _configuration() -> shared.Panels:
    reload = "asynctask_exporter_config_last_reload_successful"
    return [
        tile(
            Text(
                "Configurations refused",
                "Exporters that go on with an older configuration: their log says why.",
            ),
            f"count({_each(reload)} == 0) or vector(0)",
            "short",
            colors.thresholds(bad=1),
        ),
        tile(
            Text("Configurations in use", "Replicas should agree on one."),
            f'count(count_values("hash", {own_selector("asynctask_exporter_config_hash")}))',
            "short",
            colors.thresholds(doubtful=2),
        ),
    ]


def _sources() -> shared.Panel:
    answered = _now("asynctask_source_last_success_timestamp_seconds", "source")
    return listing(
        Text("Health of sources", "Whether each source answers, and how many of its tasks are watched."),
        {
            "up": _now("asynctask_source_up", "source", "api", how="min"),
            "success": f"time() - {answered}",
            "watched": _now("asynctask_watched_tasks", "source"),
            "requests": own_work("asynctask_api_requests_total", "source"),
            "errors": own_work("asynctask_api_errors_total", "source"),
        },
        [
            Column("source", "Source"),
            Column("api", "API"),
            Column("up", "State", looks=UP_OR_DOWN),
            Column("success", "Last answer", "dtdurations", judged(60, 300)),
            Column("watched", "Watched", "short"),
            Column("requests", "Requests", "reqps"),
            Column("errors", "Errors", "suffix: /s", judged(None, 0.01)),
        ],
        "Last answer",
        HALF,
    )


def _up() -> shared.Panel:
    return timeline(
        Text("Sources over time", "Whether each source answered, for every one of the exporters."),
        SOURCE,
        _now("asynctask_source_up", "source", how="min"),
    )


def _requests() -> shared.Panel:
    return graph(
        Text("Requests", "HTTP requests to each source."),
        {SOURCE: own_work("asynctask_api_requests_total", "source")},
        "reqps",
        THIRD,
    )


def _codes() -> shared.Panel:
    return graph(
        Text("Requests by answer", "HTTP requests by status code, or `error` where no whole answer came."),
        {"{{code}}": own_work("asynctask_api_requests_total", "code")},
        "reqps",
        THIRD,
    )


def _errors() -> shared.Panel:
    return bars(
        Text("Errors by reason", "Times within each interval that a source let us down."),
        {"{{reason}}": _counted("asynctask_api_errors_total", "reason")},
        size=THIRD,
    )


def _latency() -> shared.Panel:
    return graph(
        Text(
            "Duration of requests",
            "What 99 of 100 requests took at the most, without waiting for their turn. Empty where"
            " nothing was asked.",
        ),
        {SOURCE: f"{own_quantile(0.99, 'asynctask_api_request_duration_seconds', 'source')} >= 0"},
        "s",
        THIRD,
    )


def _throttled() -> shared.Panel:
    return graph(
        Text(
            "Throttling",
            "Seconds per second that requests waited for their turn, to keep the source's pace. Where it"
            " stays above 0.5, `requests_per_second` is too low for what is watched.",
        ),
        {SOURCE: own_work("asynctask_api_throttled_seconds_total", "source")},
        "suffix: s/s",
        THIRD,
    ).thresholds(colors.thresholds(0.5, 1))


def _lag() -> shared.Panel:
    lag = own_quantile(0.9, "asynctask_poll_lag_seconds", "source")
    return graph(
        Text("Poll lag", "How late nine of ten polls began at the most. Empty where nothing was polled."),
        {SOURCE: f"{lag} >= 0"},
        "s",
        THIRD,
    ).thresholds(colors.thresholds(5, 30))


def _saved() -> shared.Panel:
    return graph(
        Text(
            "Against fixed polling",
            "Requests as they are, and as they would be if each watched task were asked for at the fixed"
            " interval chosen above.",
        ),
        {"as it is": own_work("asynctask_api_requests_total"), "every $fixed s": _fixed_rate()},
        "reqps",
        Size(24, 7),
    )


def _watched() -> shared.Panel:
    watched, limit = own_selector("asynctask_watched_tasks"), own_selector("asynctask_watched_tasks_limit")
    return graph(
        Text(
            "Room for tasks",
            "Watched tasks as a share of how many may be watched. A full source takes no ids.",
        ),
        {SOURCE: f"max by (source) ({watched} / {limit})"},
        "percentunit",
        THIRD,
    ).thresholds(colors.thresholds(0.8, 1))


def _lost() -> shared.Panel:
    discovery = _counted("asynctask_discovery_failures_total")
    return bars(
        Text(
            "Lost, unknown, undiscovered",
            "Ids given up because their API does not know them, statuses that nobody here knows, and"
            " lists of ids that could not be read, within each interval.",
        ),
        {
            "lost": total(count("asynctask_lost_total")),
            "unknown status": total(count("asynctask_unknown_status_total")),
            "failed discovery": discovery,
        },
        size=THIRD,
    )


def _dropped() -> shared.Panel:
    return graph(
        Text(
            "Tasks without series",
            "Runs beyond `max_task_series`: they are counted, but not shown one by one.",
        ),
        {SOURCE: _now("asynctask_series_dropped", "source")},
        "short",
        THIRD,
    ).thresholds(colors.thresholds(doubtful=1))


def _queue() -> shared.Panel:
    return graph(
        Text(
            "Notification queue",
            "Notifications that wait to be delivered. Empty where no receiver is configured.",
        ),
        {"{{receiver}}": _now("asynctask_notifications_queue_length", "receiver", how="sum")},
        "short",
        THIRD,
    )


def _notifications() -> shared.Panel:
    ends = ("sent", "errors", "dropped")
    return bars(
        Text(
            "Notifications",
            "Notifications that were sent, failed and were given up, within each interval. Empty where no"
            " receiver is configured.",
        ),
        {end: _counted(f"asynctask_notifications_{end}_total") for end in ends},
        size=THIRD,
    )


def _storage() -> shared.Panel:
    return graph(
        Text(
            "Storage",
            "Changes that are not in the database yet, commits to it that failed, and requests to the"
            " exporter that failed by a defect of its own. Any that stay above 0 are worth a look into"
            " the log.",
        ),
        {
            "pending changes": f"sum({own_selector('asynctask_storage_pending_changes')})",
            "failed commits": _counted("asynctask_storage_errors_total"),
            "failed requests": _counted("asynctask_exporter_request_failures_total"),
        },
        "short",
        THIRD,
    )


def _memory() -> shared.Panel:
    return graph(
        Text("Memory", "Resident memory of each exporter."),
        {INSTANCE: _each("process_resident_memory_bytes")},
        "bytes",
        THIRD,
    ).thresholds(colors.thresholds(GIB / 2, GIB))


def _processor() -> shared.Panel:
    return graph(
        Text("Processor", "Processors that each exporter keeps busy."),
        {INSTANCE: own_work("process_cpu_seconds_total", "instance")},
        "percentunit",
        THIRD,
    )


def _files() -> shared.Panel:
    return graph(
        Text("Open files", "Open file descriptors as a share of what is allowed."),
        {INSTANCE: f"{_each('process_open_fds')} / {_each('process_max_fds')}"},
        "percentunit",
        THIRD,
    ).thresholds(colors.thresholds(0.7, 0.9))


def _builds() -> shared.Panel:
    info = "asynctask_exporter_build_info"
    loaded = "asynctask_exporter_config_last_reload_success_timestamp_seconds"
    columns = [Column(label, label.capitalize()) for label in LABELS[info]]
    return listing(
        Text("Exporters", "What runs, since when, and when its configuration was loaded."),
        {
            "info": _now(info, "instance", *LABELS[info]),
            "start": f"1000 * {_each('process_start_time_seconds')}",
            "loaded": f"1000 * {_each(loaded)}",
        },
        [
            Column("instance", "Instance"),
            *columns,
            Column("start", "Started", "dateTimeFromNow"),
            Column("loaded", "Configuration loaded", "dateTimeFromNow"),
        ],
        "Started",
        Size(24, 6),
    )
