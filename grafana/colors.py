"""What each status looks like, the same on every panel.

The hues are those of Okabe and Ito and of Paul Tol, chosen such that any two of them are told apart
with a red, green or blue deficiency as well; a test measures it. Wherever a color stands for a
status, the word is written beside it.
"""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from exporter.model import Status

COLORS: dict[Status, str] = {
    Status.PENDING: "#88CCEE",
    Status.RUNNING: "#1F5FBF",
    Status.SUSPENDED: "#F0E442",
    Status.SUCCESS: "#117733",
    Status.WARNING: "#E69F00",
    Status.ERROR: "#D55E00",
    Status.TIMED_OUT: "#882255",
    Status.CANCELLED: "#8A8A8A",
    Status.SKIPPED: "#D0D0D0",
    Status.UNKNOWN: "#D98CC0",
}
PLAIN = COLORS[Status.RUNNING]
GOOD = COLORS[Status.SUCCESS]
DOUBTFUL = COLORS[Status.WARNING]
BAD = COLORS[Status.ERROR]


def fixed(color: str) -> dashboard.DynamicConfigValue:
    """Always this color."""
    return dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def by_status() -> list[build.DashboardFieldConfigSourceOverrides]:
    """Series that are called as a status have its color."""
    return [
        build.DashboardFieldConfigSourceOverrides()
        .matcher(dashboard.MatcherConfig("byName", status.value))
        .properties([fixed(color)])
        for status, color in COLORS.items()
    ]


def words() -> dashboard.ValueMap:
    """Words that are a status have its color."""
    return dashboard.ValueMap(
        {
            status.value: dashboard.ValueMappingResult(text=status.value, color=color, index=index)
            for index, (status, color) in enumerate(COLORS.items())
        }
    )


def up_or_down() -> dashboard.ValueMap:
    """1 is up, 0 is down."""
    return dashboard.ValueMap(
        {
            "1": dashboard.ValueMappingResult(text="up", color=GOOD, index=0),
            "0": dashboard.ValueMappingResult(text="down", color=BAD, index=1),
        }
    )


def thresholds(doubtful: float | None = None, bad: float | None = None) -> build.ThresholdsConfig:
    """Good below the first limit, bad from the second one on; without limits nothing is judged."""
    limits = [(doubtful, DOUBTFUL), (bad, BAD)]
    judged = [dashboard.Threshold(value, color) for value, color in limits if value is not None]
    return (
        build.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(None, GOOD if judged else PLAIN), *judged])
    )
