"""Guesses when a running task will end, from its progress and from how long others took."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

_LEAST_PROGRESS = 0.05
"""Below this the progress tells more about rounding than about speed."""
_LEAST_DURATIONS = 3


def estimated_end(
    started: datetime, now: datetime, progress: float | None, durations: Sequence[float]
) -> datetime | None:
    """Estimate when a task will end; None where nothing tells enough. Never in the past.

    Args:
        started: when it began to run.
        now: by the same clock.
        progress: from 0 to 1, where its API tells.
        durations: what earlier runs of the operation took, in seconds, rising.

    With progress *p* the remaining time is *p* parts of what the progress tells and *1 - p* parts of
    what history tells: at the beginning history knows better, at the end the task itself.
    """
    elapsed = max(0.0, (now - started).total_seconds())
    by_progress = _by_progress(elapsed, progress)
    by_history = _by_history(elapsed, durations)
    if by_progress is None or by_history is None or progress is None:
        remaining = by_history if by_progress is None else by_progress
    else:
        remaining = progress * by_progress + (1 - progress) * by_history
    return None if remaining is None else now + timedelta(seconds=remaining)


def _by_progress(elapsed: float, progress: float | None) -> float | None:
    """The remaining seconds, if it goes on as fast as so far."""
    if progress is None or progress < _LEAST_PROGRESS:
        return None
    return elapsed * (1 - min(progress, 1.0)) / progress


def _by_history(elapsed: float, durations: Sequence[float]) -> float | None:
    """The median of what was left at this age to those earlier runs that took longer."""
    if len(durations) < _LEAST_DURATIONS:
        return None
    first = bisect_right(durations, elapsed)
    longer = len(durations) - first
    if not longer:
        return None
    lower, upper = durations[first + (longer - 1) // 2], durations[first + longer // 2]
    return (lower + upper) / 2 - elapsed
