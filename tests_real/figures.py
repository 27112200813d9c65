"""The figures of a run, printed at its end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from tests_real.client import PulpTask
from tests_real.truth import took
from tests_real.watched import Watched

_SHORT = "test_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one test."""

    test: str
    tasks: int
    seconds: float
    """How long all its tasks ran in Pulp, together."""
    requests: float
    delays: Sequence[float]
    """From the end of each task until the exporter knew of it, in seconds."""

    def __str__(self) -> str:
        delays = (
            f"{median(self.delays):10.2f} {max(self.delays):10.2f}" if self.delays else f"{'-':>10} {'-':>10}"
        )
        return f"{self.test:58} {self.tasks:6} {self.seconds:12.3f} {self.requests:9.0f} {delays}"


class Figures:
    """What was measured in a run."""

    def __init__(self) -> None:
        self._phases: dict[str, float] = {}
        self._rows: list[Row] = []

    @contextmanager
    def measured(self, phase: str) -> Iterator[None]:
        """Measure how long a part of the preparations takes."""
        begun = time.monotonic()
        yield
        self._phases[phase] = time.monotonic() - begun

    async def note(self, test: str, watched: Watched) -> None:
        """Take down what a test has come to."""
        tasks = await watched.news()
        row = Row(
            test=test.removeprefix(_SHORT).replace("_", " "),
            tasks=len(tasks),
            seconds=sum(map(_seconds, tasks)),
            requests=await watched.requests(),
            delays=await watched.delays(),
        )
        self._rows.append(row)

    def lines(self) -> Iterator[str]:
        """The figures as two small tables."""
        yield from (f"{phase:58} {seconds:6.1f} s" for phase, seconds in self._phases.items())
        yield ""
        yield f"{'':58} {'tasks':>6} {'they ran (s)':>12} {'requests':>9} {'seen after (s)':>21}"
        yield f"{'':58} {'':6} {'':12} {'':9} {'median':>10} {'most':>10}"
        yield from map(str, self._rows)


def _seconds(task: PulpTask) -> float:
    span = took(task)
    return span.total_seconds() if span is not None else 0.0
