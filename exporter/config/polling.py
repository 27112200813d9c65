"""How often and how fast a source is asked, and which of its tasks are remembered."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from exporter.config.section import Section
from exporter.config.units import format_duration
from exporter.config.values import Duration, Interval, LabelValue, Regex, Size


class Polling(Section):
    """How often and how fast a source is asked."""

    min_interval: Interval = 2.0
    """The interval between two requests for a young task. It grows with the task's age."""
    max_interval: Interval = 60.0
    """The interval between two requests for an old task."""
    list_interval: Interval = 15.0
    """The interval between two listings, where the API lists its tasks."""
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """The most requests a second to this source, whatever they are for; fractions are allowed. By default
    what the API is known to bear."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """The most requests under way at once. By default what the API is known to bear."""
    timeout: Interval = 10.0
    """The time for one request, from connecting to the last byte."""
    body_size_limit: Size = 16 * 1024 * 1024
    """The largest answer to accept."""
    lost_after: Duration = 600.0
    """How long the API may not know an id before it is dropped as lost."""
    max_backoff: Interval = 300.0
    """The longest wait between two attempts at a source that fails."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_order("min_interval", "max_interval")
        self._check_order("min_interval", "max_backoff")
        return self

    def _check_order(self, less: str, more: str) -> None:
        low, high = getattr(self, less), getattr(self, more)
        if low > high:
            shown = f"{less} ({format_duration(low)}) is longer than {more} ({format_duration(high)})"
            raise ValueError(f"{shown}; lower the one or raise the other")


class OperationRule(Section):
    """Tells the operation of tasks by their name; the first rule that matches is taken."""

    match: Regex
    """A regular expression that is searched for in the task's name; anchor it with `^` and `$`."""
    operation: LabelValue
    """The operation of the tasks that match."""
