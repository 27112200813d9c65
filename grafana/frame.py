"""What the dashboards have in common: variables, links, annotations, and how panels are put on the page."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import colors, promql
from grafana.panels import DATASOURCE

TAG = "asynctask"
TASKS, ONE, EXPORTER = "asynctask-tasks", "asynctask-one", "asynctask-exporter"
"""The dashboards' addresses: ``/d/<uid>``."""
TASK_PAGE = (
    "${exporter:raw}/tasks/${__data.fields.source:percentencode}/${__data.fields.task_id:percentencode}"
)
"""The exporter's own page of the task in a table's row."""
KEPT = "${datasource:queryparam}&${exporter:queryparam}&${__url_time_range}"
OPERATION_DASHBOARD = (
    f"/d/{ONE}?var-source=${{__data.fields.source:percentencode}}"
    f"&var-operation=${{__data.fields.operation:percentencode}}&{KEPT}"
)
TASK_DASHBOARD = f"{OPERATION_DASHBOARD}&var-task=${{__data.fields.task_id:percentencode}}"

Panels = Sequence[Builder[dashboard.Panel]]
Rows = Mapping[str, Panels]


def page(uid: str, title: str, description: str, rows: Rows) -> build.Dashboard:
    """A dashboard with its panels, without variables."""
    frame = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .editable()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .links([_dashboards(), _exporter()])
        .with_variable(datasource())
    )
    for name, panels in rows.items():
        frame = frame.with_row(build.Row(name))
        for panel in panels:
            frame = frame.with_panel(panel)
    return frame


def finished(frame: build.Dashboard) -> dashboard.Dashboard:
    """The dashboard with its panels numbered, so that links to one of them stay."""
    built = frame.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    return built


def datasource() -> build.DatasourceVariable:
    """Which Prometheus to ask."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, label: str, metric: str, *given: str) -> build.QueryVariable:
    """The values of a label, several or all of them, among what was chosen before."""
    chosen = ", ".join(f'{other}=~"${other}"' for other in given)
    return (
        _values(name, label, f"label_values({metric}{{{chosen}}}, {name})")
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(dashboard.VariableOption(text="All", value="$__all"))
    )


def single(name: str, label: str, metric: str, value: str) -> build.QueryVariable:
    """One value of a label of a task metric."""
    return _values(name, label, f"label_values({promql.selector(metric)}, {value})")


def _values(name: str, label: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )


def own_labels() -> build.AdHocVariable:
    """Filters by the labels that operators give their sources, or by any other."""
    return (
        build.AdHocVariable("filters")
        .label("Labels")
        .datasource(DATASOURCE)
        .description("Filters every panel by labels of your own, such as team.")
    )


def exporter_page() -> build.TextBoxVariable:
    """Where the exporter's own page is."""
    address = "http://localhost:9926"
    return (
        build.TextBoxVariable("exporter")
        .label("Exporter's page")
        .description("Where links to tasks lead: the exporter's address as a browser sees it.")
        .default_value(address)
        .current(dashboard.VariableOption(text=address, value=address))
    )


def _dashboards() -> build.DashboardLink:
    return (
        build.DashboardLink("Tasks and exporter")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def _exporter() -> build.DashboardLink:
    return (
        build.DashboardLink("Exporter's page")
        .type(dashboard.DashboardLinkType.LINK)
        .url("${exporter:raw}/")
        .icon("external link")
        .tooltip("The live page of the exporter itself")
        .target_blank(target_blank=True)
    )


class Annotation(dashboard.AnnotationQuery):
    """An annotation query with what Prometheus' own ones have besides the SDK's model."""

    def to_json(self) -> dict[str, object]:
        """Write it: marked at the time that the value tells, once for each series."""
        return super().to_json() | {
            "step": "30s",
            "titleFormat": "{{operation}} {{status}}",
            "textFormat": "Task {{task_id}} of {{source}}",
            "tagKeys": "source,operation,status",
            "useValueForTime": True,
        }


class Failures(Builder[dashboard.AnnotationQuery]):
    """Marks the end of each task that failed, while it is on the exporter's board."""

    def build(self) -> dashboard.AnnotationQuery:
        """Build it; the value is a time in milliseconds."""
        failed = promql.with_status("error|timed_out", "status")
        end = promql.state("asynctask_task_end_timestamp_seconds")
        return Annotation(
            name="Failures",
            datasource=DATASOURCE,
            icon_color=colors.BAD,
            expr=f"{failed} * on ({', '.join(promql.TASK)}) group_left () (1000 * {end})",
        )
