"""Writes what is told of each run, and keeps it until the run changes: between two scrapes most do not.

Only the estimated end changes with the time. It is written anew when a tenth of what was left has
passed, which is nearer than an estimate comes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from exporter.metrics.family import Labels, Metric, OwnLabels
from exporter.metrics.tasks import ESTIMATED_END, METRICS, TASK_STATUS, OfEach, SourceTasks, estimate
from exporter.metrics.text import Block, WrittenFamily, number
from exporter.model import Status
from exporter.store.board import Text
from exporter.store.entry import Entry

_ESTIMATE = next(metric for metric in METRICS if metric.name == ESTIMATED_END)
_EACH = tuple((metric, metric.samples) for metric in METRICS if isinstance(metric.samples, OfEach))
_METRICS = (*(metric for metric, _ in _EACH), _ESTIMATE)
"""What is written of a run, a line or some lines each."""
_HOLDS = 0.1
"""For which part of the remaining time an estimate holds."""
_NONE_HOLDS = 60.0
"""For how many seconds it holds that there is no estimate."""
_BATCH = 2000
"""Runs whose lines are put together at once, so that the event loop gets its turn in between."""


def families(sources: Iterable[SourceTasks], own: OwnLabels) -> dict[str, WrittenFamily]:
    """Write the metrics that are told of each run; return them by name."""
    pens = {metric.name: _Pen(metric, own) for metric in _METRICS}
    lines: dict[str, list[str]] = {name: [] for name in pens}
    for source in sources:
        writer = _Writer(source, own.values[source.view.name], pens)
        kept: dict[str, Text] = {}
        for batch in _batches(source.shown_current):
            texts = [writer.text(entry) for entry in batch]
            kept.update((text.entry.task.id, text) for text in texts)
            for column, part in zip(
                lines.values(), zip(*[text.lines for text in texts], strict=True), strict=True
            ):
                column.append("".join(part))
        lines[TASK_STATUS] += writer.earlier_failures()
        source.view.board.texts = kept
    return {name: pen.family(lines[name]) for name, pen in pens.items()}


class _Pen:
    """Writes the samples of one metric with the own labels of their sources."""

    def __init__(self, metric: Metric[SourceTasks], own: OwnLabels) -> None:
        self._metric = metric
        self._own = [index for index, name in enumerate(own.names) if name not in metric.labels]
        self._labels = metric.labels + tuple(own.names[index] for index in self._own)
        self._block = Block(self._labels)

    def block(self, labels: Labels, own: Labels) -> str:
        """Write the labels of one sample."""
        return self._block.of((*labels, *[own[index] for index in self._own]))

    def line(self, block: str, value: float) -> str:
        """Write one sample."""
        return f"{self._metric.name}{block} {number(value)}\n"

    def family(self, lines: Sequence[str]) -> WrittenFamily:
        """The metric with these lines."""
        metric = self._metric
        return WrittenFamily(metric.name, metric.kind, self._labels, metric.help, (), lines)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the runs of one source."""

    source: SourceTasks
    own: Labels
    pens: dict[str, _Pen]

    def text(self, entry: Entry) -> Text:
        """What is told of a current run, written anew as far as it does not hold any more."""
        kept = self.source.view.board.texts.get(entry.task.id)
        if kept is None or kept.entry is not entry or kept.own != self.own:
            block = self._common_block(entry)
            return self._with_estimate(entry, block, tuple(self._lines(entry, block)))
        if kept.until <= self.source.now.mono:
            return self._with_estimate(entry, self._common_block(entry), kept.lines[:-1])
        return kept

    def earlier_failures(self) -> list[str]:
        """The status of earlier runs that failed, where the current run does not tell the same."""
        if not self.source.past:
            return []
        entries = self.source.shown
        now = {_status(entry) for entry in entries if self._is_current(entry)}
        earlier = dict.fromkeys(_status(entry) for entry in entries if not self._is_current(entry))
        pen, name = self.pens[TASK_STATUS], self.source.view.name
        return [pen.line(pen.block((name, *key), self.own), 1) for key in earlier if key not in now]

    def _is_current(self, entry: Entry) -> bool:
        return self.source.current.get(entry.task.id) is entry

    def _lines(self, entry: Entry, common: str) -> Iterator[str]:
        run = self._labels(entry)
        for metric, samples in _EACH:
            pen = self.pens[metric.name]
            yield "".join(
                [
                    pen.line(pen.block(run + more, self.own) if more else common, value)
                    for more, value in samples.tell(entry)
                ]
            )

    def _with_estimate(self, entry: Entry, block: str, lines: tuple[str, ...]) -> Text:
        end, now = estimate(self.source, entry), self.source.now
        if end is None:
            holds = _NONE_HOLDS if entry.task.status is Status.RUNNING else inf
            return Text(entry, self.own, (*lines, ""), now.mono + holds)
        line = self.pens[ESTIMATED_END].line(block, end)
        return Text(entry, self.own, (*lines, line), now.mono + _HOLDS * (end - now.wall.timestamp()))

    def _common_block(self, entry: Entry) -> str:
        """The labels of all metrics that have none beyond source, operation and task id."""
        return self.pens[ESTIMATED_END].block(self._labels(entry), self.own)

    def _labels(self, entry: Entry) -> Labels:
        return self.source.view.name, entry.task.operation, entry.task.id


def _status(entry: Entry) -> Labels:
    return entry.task.operation, entry.task.id, entry.task.status.value


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH))
