"""Tables: several queries joined by their labels, each column with its own looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, prometheus, table
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana import colors
from grafana.panels import Size, Text, placed

Property = dashboard.DynamicConfigValue


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        key: a label, or the name of the query whose value it shows.
        title: what stands above it.
        unit: of a number.
        looks: what else the column has.
    """

    key: str
    title: str
    unit: str = ""
    looks: Sequence[Property] = field(default=())

    def override(self) -> build.DashboardFieldConfigSourceOverrides:
        """What makes this column differ from the others."""
        unit = [Property("unit", self.unit)] if self.unit else []
        matcher = dashboard.MatcherConfig("byName", self.title)
        return build.DashboardFieldConfigSourceOverrides().matcher(matcher).properties([*unit, *self.looks])


STATUS = Column(
    "status",
    "Status",
    looks=(
        Property("mappings", [colors.words()]),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        Property("custom.width", 110),
    ),
)
BAR = (
    Property("min", 0),
    Property("max", 1),
    Property("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}),
    colors.fixed(colors.PLAIN),
)
"""A value from 0 to 1 as a progress bar."""


def linked(*links: tuple[str, str]) -> Property:
    """Links of a cell: title and address each."""
    return Property("links", [{"title": title, "url": url, "targetBlank": False} for title, url in links])


def judged(doubtful: float | None, bad: float) -> tuple[Property, ...]:
    """Text that is colored by limits."""
    return (
        Property("thresholds", colors.thresholds(doubtful, bad).build()),
        Property("color", {"mode": "thresholds"}),
        Property("custom.cellOptions", {"type": "color-text"}),
    )


def listing(
    text: Text, queries: Mapping[str, str], columns: Sequence[Column], sort: str, size: Size
) -> table.Panel:
    """A row for each combination of labels, the largest of a column first.

    Queries by the name that columns know them by; a row exists if any of them has it.
    """
    panel = placed(table.Panel(), text, "none", size)
    return (
        panel.targets([_target(name, query) for name, query in queries.items()])
        .transformations([dashboard.DataTransformerConfig("merge", options={}), _order(queries, columns)])
        .overrides([column.override() for column in columns])
        .thresholds(colors.thresholds())
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=True)])
    )


def _target(name: str, query: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query).instant().format(PromQueryFormat.TABLE).ref_id(name)


def _order(queries: Mapping[str, str], columns: Sequence[Column]) -> dashboard.DataTransformerConfig:
    """Show the columns in their order and nothing else."""
    names = [f"Value #{column.key}" if column.key in queries else column.key for column in columns]
    values = {f"Value #{name}" for name in queries}
    hidden = sorted((values | {"Time", "Value"}) - set(names))
    return dashboard.DataTransformerConfig(
        "organize",
        options={
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: index for index, name in enumerate(names)},
            "renameByName": {name: c.title for name, c in zip(names, columns, strict=True)},
        },
    )
