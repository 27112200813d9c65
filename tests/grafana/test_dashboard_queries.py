"""The dashboards' queries: they parse, and name only what the contract has."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.model import Status
from tests.grafana.reading import Query, committed, documented, filled, queries

QUERIES = queries()
TARGET_LABELS = {"job", "instance"}
HISTOGRAM_SERIES = re.compile(r"(asynctask_\w+_seconds)_bucket")


def contract() -> dict[str, set[str]]:
    """What queries may rely on: the documented metrics, and what the recording rules record."""
    recorded = ("asynctask:duration_seconds:p90_1h", "asynctask:duration_seconds:p90_1w")
    return documented() | {name: {"source", "operation"} for name in recorded}


def check(expressions: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Let promtool parse expressions, as rules."""
    rules = [{"record": f"dashboard:query:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    path = folder / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    return subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)


def test_queries_parse(tmp_path: Path) -> None:
    """Prometheus' own parser takes every query of every panel and annotation."""
    said = check([filled(query.expr) for query in QUERIES], tmp_path)
    assert said.returncode == 0, said.stderr


def test_a_broken_query_does_not_parse(tmp_path: Path) -> None:
    """The check of the test above refuses a query with a bracket too few."""
    assert check([filled(QUERIES[0].expr)[:-1]], tmp_path).returncode != 0


def series(expr: str) -> list[tuple[str, str]]:
    """Every metric of a query with what selects from it."""
    found = re.findall(r"\b((?:asynctask|process)[\w:]+)\{([^}]*)\}", expr)
    return [(HISTOGRAM_SERIES.sub(r"\1", name), selectors) for name, selectors in found]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_queries_name_only_metrics_and_labels_that_exist(query: Query) -> None:
    """Each metric is of the contract, and each label that selects from it or groups it is one of its own."""
    known = contract()
    assert series(query.expr)
    here: set[str] = set()
    for name, selectors in series(query.expr):
        own = set() if name.startswith("process_") else known[name]
        used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selectors))
        assert used <= own | TARGET_LABELS, name
        here |= own | TARGET_LABELS | {"le"}
    for names in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", query.expr):
        assert set(re.findall(r"\w+", names)) <= here


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_series_is_one_that_was_chosen(query: Query) -> None:
    """No selector forgets the variables of its dashboard that its metric has a label for."""
    required = {"asynctask-exporter": {"job", "instance"}}.get(query.dashboard, {"source", "operation"})
    for name, selectors in series(query.expr):
        shared = name in {"asynctask_lost_total", "asynctask_unknown_status_total"}
        chosen = set(re.findall(r'(\w+)=~"\$\1"', selectors))
        assert chosen >= ({"source"} if shared else required)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_queries_name_only_statuses_that_exist(query: Query) -> None:
    """Each status is one of the vocabulary."""
    statuses = [word for words in re.findall(r'status=~?"([^"]+)"', query.expr) for word in words.split("|")]
    assert set(statuses) <= set(Status)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_legends_name_labels_that_the_query_leaves(query: Query) -> None:
    """Whatever a legend shows is left by the outermost aggregation."""
    named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
    first = re.search(r"\bby \(([^)]*)\)", query.expr)
    assert named <= set(re.findall(r"\w+", first[1] if first else ""))


def test_variables_ask_for_what_exists() -> None:
    """Each variable's values are those of a label that its metric has."""
    known = contract()
    asked = [
        variable["query"]["query"]
        for dashboard in committed().values()
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert asked
    for query in asked:
        [(metric, selectors, label)] = re.findall(r"^label_values\((\w+)\{(.*)\}, (\w+)\)$", query)
        assert {label, *re.findall(r"(\w+)=~", selectors)} <= known[metric] | TARGET_LABELS
