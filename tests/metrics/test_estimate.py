"""When a running task will end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.estimate import estimated_end

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("elapsed", "progress", "durations", "remaining"),
    [
        pytest.param(30, None, [], None, id="nothing is told"),
        pytest.param(30, 0.01, [], None, id="too little progress"),
        pytest.param(30, 0.0, [], None, id="no progress"),
        pytest.param(30, None, [100, 100], None, id="too little history"),
        pytest.param(30, 0.25, [], 90, id="progress alone"),
        pytest.param(30, None, [40, 60, 100], 30, id="history alone"),
        pytest.param(50, None, [40, 60, 100], 30, id="those that took longer"),
        pytest.param(100, None, [40, 60, 100], None, id="longer than all before"),
        pytest.param(100, 0.5, [40, 60, 100], 100, id="longer than all before, with progress"),
        pytest.param(30, 0.25, [40, 60, 70], 0.25 * 90 + 0.75 * 30, id="both"),
        pytest.param(30, 1.0, [40, 60, 70], 0, id="all done"),
        pytest.param(-30, 0.5, [], 0, id="a clock that is behind"),
    ],
)
def test_formula(
    elapsed: float, progress: float | None, durations: list[float], remaining: float | None
) -> None:
    """What is left is weighed from progress and history, or from the one that tells something."""
    end = estimated_end(NOW - timedelta(seconds=elapsed), NOW, progress, durations)

    assert end == (None if remaining is None else NOW + timedelta(seconds=remaining))


@given(
    elapsed=st.floats(-1e6, 1e6),
    progress=st.none() | st.floats(0, 1),
    durations=st.lists(st.floats(0, 1e6)).map(sorted),
)
def test_never_past(elapsed: float, progress: float | None, durations: list[float]) -> None:
    """Whatever is told, the end is not before now."""
    end = estimated_end(NOW - timedelta(seconds=elapsed), NOW, progress, durations)

    assert end is None or end >= NOW
