"""Tells what goes wrong with a list of ids: counted each time, logged when it changes."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from exporter.discovery.ids import LABELS, ignored_labels
from exporter.errors import ExporterError
from exporter.log import Changes
from exporter.model import WatchedId

Publish = Callable[[Sequence[WatchedId]], Awaitable[None]]
"""Takes the whole list of ids each time it has changed."""


class Observer(Protocol):
    """Who counts the failures of discovery."""

    def discovery_failed(self, mechanism: str) -> None:
        """Hear that a list could not be read; *mechanism* is ``file`` or ``http``."""
        ...


class Unobserved:
    """Nobody counts."""

    def discovery_failed(self, mechanism: str) -> None:
        """Forget it."""


class Report:
    """What is told about one mechanism of one source."""

    def __init__(
        self,
        mechanism: str,
        observer: Observer | None = None,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._mechanism = mechanism
        self._observer = observer or Unobserved()
        self._log: FilteringBoundLogger = log or structlog.get_logger()
        self._changes = Changes()

    def failed(self, place: Hashable, error: ExporterError) -> None:
        """Tell that the list at *place* could not be read; its last ids stay in use."""
        self._observer.discovery_failed(self._mechanism)
        if self._changes.is_new(place, str(error)):
            self._log.warning("Cannot read task ids; the last ones stay in use", place=place, err=error)

    def succeeded(self, place: Hashable, data: Any) -> None:  # noqa: ANN401 - decoded YAML or JSON
        """Tell what is of note in the list that was read at *place*."""
        if self._changes.is_over(place):
            self._log.info("Task ids can be read again", place=place)
        ignored = ", ".join(sorted(ignored_labels(data)))
        if self._changes.is_new(("labels", place), ignored) and ignored:
            self._log.warning(
                "Ignored labels of task ids", place=place, labels=ignored, known=", ".join(LABELS)
            )

    def matched(self, pattern: str, *, files: int) -> None:
        """Tell how many files a pattern has found, if that is none."""
        if files:
            self._changes.is_over(("pattern", pattern))
        elif self._changes.is_new(("pattern", pattern), "none"):
            self._log.warning("No file with task ids", pattern=pattern)
