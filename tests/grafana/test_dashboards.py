"""The dashboards as files: current, loadable, laid out, told, colored."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.model import Status
from grafana import build, colors
from tests.grafana import vision
from tests.grafana.reading import FOLDER, ROOT, Json, committed, panels, queries

DASHBOARDS = committed()
PANELS = {
    f"{uid} {panel['id']}": panel for uid, dashboard in DASHBOARDS.items() for panel in panels(dashboard)
}
TABLES = {name: panel for name, panel in PANELS.items() if panel["type"] == "table"}
each_dashboard = pytest.mark.parametrize("uid", DASHBOARDS)
each_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
each_table = pytest.mark.parametrize("panel", TABLES.values(), ids=TABLES)
LEAST_DISTANCE = 14.0
"""Of two colors in CIELAB; what one just notices side by side is about 2."""


def test_committed_files_are_what_the_python_says() -> None:
    """Nobody has changed a dashboard by hand, or its Python without `make dashboards`."""
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert files == build.files()


@each_dashboard
def test_dashboards_reload_through_the_models(uid: str) -> None:
    """The SDK reads each file and writes all of it again, but for what its model of annotations lacks."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(DASHBOARDS[uid]), cls=JSONEncoder))
    lost = {place.rpartition(".")[2] for place in missing(DASHBOARDS[uid], again)}
    assert lost <= {"step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}


def missing(told: Any, again: Any, place: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The places where something is told that is not there again; additions are none."""
    if isinstance(told, dict) and isinstance(again, dict):
        for key, value in told.items():
            yield from missing(value, again.get(key), f"{place}.{key}")
    elif isinstance(told, list) and isinstance(again, list) and len(told) == len(again):
        for index, pair in enumerate(zip(told, again, strict=True)):
            yield from missing(*pair, f"{place}[{index}]")
    elif told != again:
        yield place


@each_dashboard
def test_panels_do_not_overlap(uid: str) -> None:
    """No two panels share a cell of the grid, and none sticks out of its 24 columns."""
    cells = [cell for panel in DASHBOARDS[uid]["panels"] for cell in occupied(panel["gridPos"])]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))


def occupied(position: dict[str, int]) -> Iterable[tuple[int, int]]:
    """The cells that a panel covers."""
    x, y, width, height = (position[key] for key in "xywh")
    return itertools.product(range(x, x + width), range(y, y + height))


@each_dashboard
def test_lines_of_panels_are_full(uid: str) -> None:
    """No line of panels leaves a gap at its right."""
    cells = [cell for panel in DASHBOARDS[uid]["panels"] for cell in occupied(panel["gridPos"])]
    lines = {y for _, y in cells}
    assert len(cells) == 24 * len(lines)


@each_dashboard
def test_panels_have_numbers_and_titles_of_their_own(uid: str) -> None:
    """A link to a panel finds one; a row of panels has no title twice."""
    numbers = [panel["id"] for panel in DASHBOARDS[uid]["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for _, row in itertools.groupby(DASHBOARDS[uid]["panels"], lambda panel: panel["gridPos"]["y"]):
        titles = [panel["title"] for panel in row]
        assert len(titles) == len(set(titles))


@each_panel
def test_panels_tell_what_they_show(panel: Json) -> None:
    """Each has a title, a description in sentences, a unit, thresholds, and the chosen data source."""
    assert re.fullmatch(r"[A-Z0-9][\w ,]+", panel["title"])
    assert re.fullmatch(r"[A-Z].{15,}\.", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@each_table
def test_tables_show_what_they_ask_for(panel: Json) -> None:
    """Every label and value has a titled column or is hidden, and a value's column has a unit or words."""
    order = panel["transformations"][1]["options"]
    for name, title in order["renameByName"].items():
        assert not name.startswith("Value #") or properties(panel, title).keys() & {"unit", "mappings"}
    told = order["renameByName"].keys() | order["excludeByName"].keys()
    for target in panel["targets"]:
        assert {f"Value #{target['refId']}"} | kept_labels(target["expr"]) <= told


def kept_labels(expr: str) -> set[str]:
    """The labels that the outermost aggregation leaves."""
    first = re.search(r"\bby \(([^)]*)\)", expr)
    return {label for label in re.findall(r"\w+", first[1]) if label != "le"} if first else set()


@each_panel
def test_status_series_have_their_colors(panel: Json) -> None:
    """Where series are called by status, each status has its color of the one table."""
    if any(target.get("legendFormat") == "{{status}}" for target in panel["targets"]):
        assert fixed_colors(panel) == colors.COLORS


def fixed_colors(panel: Json) -> dict[str, str]:
    """Color by series name."""
    return {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
    }


def test_status_words_have_their_colors() -> None:
    """Where tables show a status as a word, its background is of the same table."""
    columns = [
        o for d in DASHBOARDS.values() for p in panels(d) for o in p["fieldConfig"].get("overrides", [])
        if o["matcher"]["options"] == "Status"
    ]  # fmt: skip
    assert columns
    for column in columns:
        mapped = column["properties"][0]["value"][0]["options"]
        assert {word: look["color"] for word, look in mapped.items()} == colors.COLORS


def test_every_status_has_a_color() -> None:
    """The table is complete, and the page on dashboards tells the same."""
    assert list(colors.COLORS) == list(Status)
    page = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (\w+) \| `(#\w+)` \|$", page, flags=re.MULTILINE)) == colors.COLORS


@pytest.mark.parametrize("kind", vision.KINDS)
def test_statuses_are_told_apart_with_any_color_vision(kind: str) -> None:
    """Any two statuses look different with full vision and with each deficiency."""
    for one, other in itertools.combinations(colors.COLORS.values(), 2):
        assert vision.distance(one, other, kind) >= LEAST_DISTANCE, (one, other)


def test_red_and_green_are_not_told_apart() -> None:
    """The measure finds what is known to be confused."""
    assert vision.distance("#008000", "#994400", "full") > 3 * LEAST_DISTANCE
    assert vision.distance("#008000", "#994400", "deuteranopia") < LEAST_DISTANCE


@each_dashboard
def test_dashboards_can_be_imported_anywhere(uid: str) -> None:
    """A dashboard has no number of its Grafana, the uid of its file's name, and asks for the data source."""
    dashboard = DASHBOARDS[uid]
    assert "id" not in dashboard
    assert dashboard["uid"] == uid
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert "asynctask" in dashboard["tags"]


@each_dashboard
def test_variables_exist(uid: str) -> None:
    """Whatever a dashboard fills in is one of its variables or one of Grafana's own."""
    text = json.dumps(DASHBOARDS[uid])
    used = set(re.findall(r"\$\{?(\w+)", text))
    names = {variable["name"] for variable in DASHBOARDS[uid]["templating"]["list"]}
    assert {name for name in used if not name.startswith("__")} <= names
    assert names - used <= {"filters"}


@pytest.mark.parametrize("uid", ["asynctask-tasks", "asynctask-one"])
def test_tasks_can_be_chosen_by_own_labels_and_failures_are_marked(uid: str) -> None:
    """There are source, operation, and a filter for any label; failures are annotations at their own time."""
    kinds = {variable["name"]: variable["type"] for variable in DASHBOARDS[uid]["templating"]["list"]}
    assert (kinds["source"], kinds["operation"], kinds["filters"]) == ("query", "query", "adhoc")
    failures = DASHBOARDS[uid]["annotations"]["list"][0]
    assert failures["useValueForTime"]
    assert "1000 * max by (source, operation, task_id) (asynctask_task_end_timestamp" in failures["expr"]


@pytest.mark.parametrize("title", ["Running tasks", "Failed tasks"])
def test_tasks_lead_to_their_page(title: str) -> None:
    """A task in a table leads to the exporter's page of it and to its dashboard."""
    table = next(panel for panel in panels(DASHBOARDS["asynctask-tasks"]) if panel["title"] == title)
    urls = [link["url"] for link in properties(table, "Task")["links"]]
    assert urls[0] == (
        "${exporter:raw}/tasks/${__data.fields.source:percentencode}/${__data.fields.task_id:percentencode}"
    )
    assert urls[1].startswith("/d/asynctask-one?")
    assert "&var-task=${__data.fields.task_id:percentencode}" in urls[1]


def properties(panel: Json, column: str) -> dict[str, Any]:
    """What a column of a table has of its own."""
    overrides = panel["fieldConfig"]["overrides"]
    found = next(o for o in overrides if o["matcher"]["options"] == column)
    return {p["id"]: p["value"] for p in found["properties"]}


def test_graphs_of_durations_show_exemplars() -> None:
    """Each graph over time that reads the buckets of durations asks for exemplars as well."""
    targets = [
        target
        for dashboard in DASHBOARDS.values()
        for panel in panels(dashboard)
        if panel["title"] in {"Durations", "Spread of durations"}
        for target in panel["targets"]
    ]
    assert len(targets) == 2 * (3 + 1)
    assert all(target["exemplar"] for target in targets)


def test_provisioning_leads_to_what_exists() -> None:
    """The files for Grafana load, and exemplars lead to a dashboard by variables that it has."""
    folder = ROOT / "grafana" / "provisioning"
    provider = yaml.safe_load((folder / "dashboards" / "asynctask.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["type"] == "file"
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    link = sources["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"][0]
    assert link["name"] == "task_id"
    [(uid, choices)] = re.findall(r"^/d/([\w-]+)\?(.*)$", link["url"])
    names = {variable["name"] for variable in DASHBOARDS[uid]["templating"]["list"]}
    assert set(re.findall(r"var-(\w+)=", choices)) == {"source", "operation", "task"} <= names


def test_there_are_queries() -> None:
    """The tests of queries have something to test."""
    assert len(queries()) > 80
