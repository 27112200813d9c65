"""Reads the committed dashboards as Grafana would: panels, queries, variables."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
METRICS_PAGE = ROOT / "docs" / "metrics.md"

Json = dict[str, Any]


class Query(NamedTuple):
    """One expression of a dashboard."""

    dashboard: str
    panel: str
    description: str
    legend: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def committed() -> dict[str, Json]:
    """Every dashboard by its uid, as its file tells it."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Json) -> list[Json]:
    """Its panels without the rows' titles."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """Every expression of every panel and annotation."""
    found = []
    for uid, dashboard in committed().items():
        for panel in panels(dashboard):
            found += [
                Query(uid, panel["title"], panel["description"], t.get("legendFormat", ""), t["expr"])
                for t in panel["targets"]
            ]
        for annotation in dashboard["annotations"].get("list", []):
            found.append(Query(uid, annotation["name"], "Empty without failures.", "", annotation["expr"]))
    return found


def filled(expr: str, **values: str) -> str:
    """An expression with Grafana's and the dashboard's variables filled in, ``$name`` each."""
    known = {
        "__rate_interval": "5m",
        "__range": "1h",
        "__interval_ms": "15000",
        "source": ".*",
        "operation": ".*",
        "task": "244591",
        "job": ".*",
        "instance": ".*",
        "fixed": "5",
    }
    return re.sub(r"\$(\w+)", lambda variable: (known | values)[variable[1]], expr)


def documented() -> dict[str, set[str]]:
    """Each metric's labels, from the rows ``| name | type | labels | ...`` of the page on metrics."""
    text = METRICS_PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\|\s*`?(asynctask_\w+)`?\s*\|[^|]*\|([^|\n]*)\|", text, flags=re.MULTILINE)
    return {name: set(re.findall(r"[a-z_]+", labels)) for name, labels in rows}
