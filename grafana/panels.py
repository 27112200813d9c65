"""The kinds of panels, so that a dashboard says of each only what is its own."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import NamedTuple, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import timeseries as graphs
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana import colors

DATASOURCE = dashboard.DataSourceRef("prometheus", "${datasource}")
STATUS_LEGEND = "{{status}}"
"""The legend of a panel with one series for each status."""
MIN_INTERVAL = "1m"
"""Narrower bars would hold no more than a few scrapes."""


class Size(NamedTuple):
    """Width in 24ths of the screen and height in units of 30 pixels."""

    width: int
    height: int


TILE = Size(4, 4)
HALF = Size(12, 8)
THIRD = Size(8, 8)
WIDE = Size(24, 9)


class Text(NamedTuple):
    """What a reader is told: a title, and what is shown; with the reason, where it may be empty."""

    title: str
    description: str


AnyPanel = TypeVar(
    "AnyPanel",
    bargauge.Panel,
    graphs.Panel,
    heatmap.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
)


def placed(panel: AnyPanel, text: Text, unit: str, size: Size) -> AnyPanel:
    """What all panels have."""
    return (
        panel.title(text.title)
        .description(text.description)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(size.width)
        .height(size.height)
    )


def _queries(queries: Mapping[str, str]) -> list[prometheus.Dataquery]:
    """Expressions by the legend of their series."""
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref)
        for ref, (legend, expression) in zip(ascii_uppercase, queries.items(), strict=False)
    ]


def graph(text: Text, queries: Mapping[str, str], unit: str, size: Size = HALF) -> graphs.Panel:
    """Lines over time; queries by legend. Series that are called as a status have its color."""
    panel = placed(graphs.Panel(), text, unit, size)
    return (
        panel.targets([query.range() for query in _queries(queries)])
        .overrides([*(colors.by_status() if STATUS_LEGEND in queries else [])])
        .thresholds(colors.thresholds())
        .min(0)
        .line_width(2)
        .fill_opacity(5)
        .show_points(options.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(show_legend=True).calcs(["lastNotNull", "max"]))
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
    )


def exemplary(text: Text, queries: Mapping[str, str], unit: str, size: Size = HALF) -> graphs.Panel:
    """Lines over time with exemplars: a dot each for a task."""
    panel = graph(text, queries, unit, size)
    return panel.targets([query.range().exemplar(exemplar=True) for query in _queries(queries)])


def stacked(text: Text, queries: Mapping[str, str], unit: str, size: Size = HALF) -> graphs.Panel:
    """Areas over time, one on top of the other."""
    panel = graph(text, queries, unit, size).line_width(1).fill_opacity(60)
    return panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))


def bars(text: Text, queries: Mapping[str, str], unit: str = "short", size: Size = HALF) -> graphs.Panel:
    """Counts per interval as stacked bars."""
    return (
        stacked(text, queries, unit, size)
        .draw_style(options.GraphDrawStyle.BARS)
        .interval(MIN_INTERVAL)
        .decimals(0)
        .legend(common.VizLegendOptions().show_legend(show_legend=True).calcs(["sum"]))
    )


def tile(
    text: Text, query: str, unit: str, limits: build.ThresholdsConfig | None = None, size: Size = TILE
) -> stat.Panel:
    """One number as it is now, colored by its limits."""
    panel = placed(stat.Panel(), text, unit, size)
    return (
        panel.targets([query.instant() for query in _queries({"": query})])
        .thresholds(limits or colors.thresholds())
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def status(text: Text, query: str, size: Size = TILE) -> stat.Panel:
    """A status as a word."""
    panel = tile(text, query, "none", size=size).text_mode(options.BigValueTextMode.NAME)
    return panel.targets([query.instant() for query in _queries({STATUS_LEGEND: query})]).overrides(
        [*colors.by_status()]
    )


def ranking(text: Text, legend: str, query: str, unit: str, size: Size = HALF) -> bargauge.Panel:
    """One bar for each series, as it is now."""
    panel = placed(bargauge.Panel(), text, unit, size)
    return (
        panel.targets([query.instant() for query in _queries({legend: query})])
        .thresholds(colors.thresholds())
        .min(0)
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def timeline(text: Text, legend: str, query: str, size: Size = HALF) -> statetimeline.Panel:
    """Up and down over time."""
    panel = placed(statetimeline.Panel(), text, "none", size)
    return (
        panel.targets([query.range() for query in _queries({legend: query})])
        .mappings([colors.up_or_down()])
        .thresholds(colors.thresholds())
        .show_value(options.VisibilityMode.NEVER)
        .fill_opacity(80)
    )


def heat_map(text: Text, query: str, size: Size = HALF) -> heatmap.Panel:
    """How durations are spread over time, with exemplars; from increases by ``le``."""
    panel = placed(heatmap.Panel(), text, "short", size)
    target = prometheus.Dataquery().expr(query).range().legend_format("{{le}}").ref_id("A")
    return (
        panel.targets([target.format(PromQueryFormat.HEATMAP).exemplar(exemplar=True)])
        .interval(MIN_INTERVAL)
        .thresholds(colors.thresholds())
        .color(_heat())
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(options.AxisPlacement.LEFT))
        .cell_gap(1)
        .exemplars_color(colors.BAD)
        .mode(options.TooltipDisplayMode.SINGLE)
        .show_y_histogram()
    )


def _heat() -> heatmap.HeatmapColorOptions:
    """A scheme that gets lighter evenly, whatever colors one sees."""
    return (
        heatmap.HeatmapColorOptions()
        .mode(heat.HeatmapColorMode.SCHEME)
        .scheme("Cividis")
        .scale(heat.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )
