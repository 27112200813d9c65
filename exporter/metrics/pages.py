"""Writes the lines of runs by the page; of a run that has moved, those that tell something else than before.

Only the estimated end changes with the time. It is written anew when a tenth of what was left has
passed, which is nearer than an estimate comes.
"""

from collections.abc import Mapping, Sequence
from itertools import compress, count, repeat
from math import inf
from operator import is_not
from typing import NamedTuple, TypeVar

from exporter.metrics.family import Labels, Metric, OwnLabels
from exporter.metrics.tasks import ESTIMATED_END, METRICS, OfEach, SourceTasks, estimate
from exporter.metrics.text import Block, WrittenFamily, encoded, number
from exporter.model import Status
from exporter.store.entry import Entry
from exporter.store.page import Column, Page

_ESTIMATE = next(metric for metric in METRICS if metric.name == ESTIMATED_END)
_EACH = tuple((metric, metric.samples) for metric in METRICS if isinstance(metric.samples, OfEach))
COLUMNS = (*(metric for metric, _ in _EACH), _ESTIMATE)
"""What is written of a run, a line or some lines each."""
_HOLDS = 0.1
"""For which part of the remaining time an estimate holds."""
_NONE_HOLDS = 60.0
"""For how many seconds it holds that there is no estimate."""
Item = TypeVar("Item")


class Pen:
    """Writes the samples of one metric with the own labels of their sources."""

    def __init__(self, metric: Metric[SourceTasks], own: OwnLabels) -> None:
        self._metric = metric
        self._name = metric.name
        self._own = [index for index, name in enumerate(own.names) if name not in metric.labels]
        self._labels = metric.labels + tuple(own.names[index] for index in self._own)
        self._block = Block(self._labels)

    def block(self, labels: Labels, own: Labels) -> str:
        """Write the labels of one sample."""
        return self._block.of((*labels, *[own[index] for index in self._own]))

    def line(self, block: str, value: float) -> str:
        """Write one sample."""
        return f"{self._name}{block} {number(value)}\n"

    def family(self, texts: Sequence[bytes]) -> WrittenFamily:
        """The metric with these lines."""
        metric = self._metric
        return WrittenFamily(metric.name, metric.kind, self._labels, metric.help, (), texts)


class _Turn(NamedTuple):
    """What has become of a run since its page was written."""

    place: int
    before: Entry | None
    """None if nothing of what was written holds."""
    now: Entry | None
    """None if it is gone."""
    block: str


class PageWriter:
    """Writes the current runs of one source.

    Args:
        source: the runs.
        own: the values of the source's own labels.
        pens: by the name of the metric that they write.
    """

    def __init__(self, source: SourceTasks, own: Labels, pens: Mapping[str, Pen]) -> None:
        self._source = source
        self._runs = source.shown_current
        self._mono, self._wall = source.now.mono, source.now.wall.timestamp()
        self._own = own
        self._each = [(pens[metric.name], samples) for metric, samples in _EACH]
        self._estimate = pens[ESTIMATED_END]

    def write(self, entries: Sequence[Entry]) -> Page:
        """Write all that is told of these runs."""
        places = len(entries)
        gaps = Page(
            ids=tuple(entry.task.id for entry in entries),
            entries=(None,) * places,
            runs=0,
            blocks=("",) * places,
            columns=(Column.of([b""] * places),) * len(COLUMNS),
            until=(inf,) * places,
        )
        return self.update(gaps)

    def update(self, page: Page) -> Page:
        """Write what does not hold any more."""
        entries = tuple(map(self._runs.get, page.ids))
        differ = compress(count(), map(is_not, page.entries, entries))
        turns = [self._turn(page, place, entries[place]) for place in differ]
        late = [place for place, until in enumerate(page.until) if until <= self._mono]
        if not turns and not late:
            return page
        blocks = _replaced(page.blocks, {turn.place: turn.block for turn in turns})
        columns = [
            column.patched(self._changes(pen, samples, turns))
            for column, (pen, samples) in zip(page.columns[:-1], self._each, strict=True)
        ]
        places = sorted({*late, *(turn.place for turn in turns)})
        estimates = {place: self._estimated(entries[place], blocks[place]) for place in places}
        columns.append(page.columns[-1].patched({place: text for place, (text, _) in estimates.items()}))
        return Page(
            ids=page.ids,
            entries=entries,
            runs=sum(map(is_not, entries, repeat(None))),
            blocks=blocks,
            columns=tuple(columns),
            until=_replaced(page.until, {place: until for place, (_, until) in estimates.items()}),
        )

    def _turn(self, page: Page, place: int, now: Entry | None) -> _Turn:
        before, block = page.entries[place], page.blocks[place]
        if now is not None and (before is None or before.task.operation != now.task.operation):
            # The estimate has no labels beyond source, operation and task id, as most metrics.
            before, block = None, self._estimate.block(self._labels(now), self._own)
        return _Turn(place, before, now, block)

    def _changes(self, pen: Pen, samples: OfEach, turns: Sequence[_Turn]) -> dict[int, bytes]:
        """What this metric tells otherwise than before, by place."""
        changes: dict[int, bytes] = {}
        read = samples.read
        for place, before, now, block in turns:
            if now is None:
                changes[place] = b""
                continue
            told = read(now)
            if before is None or read(before) != told:
                changes[place] = self._lines(pen, now, block, samples.tell(told))
        return changes

    def _lines(self, pen: Pen, entry: Entry, block: str, samples: Sequence[tuple[Labels, float]]) -> bytes:
        lines = [
            pen.line(pen.block((*self._labels(entry), *more), self._own) if more else block, value)
            for more, value in samples
        ]
        return encoded("".join(lines))

    def _estimated(self, entry: Entry | None, block: str) -> tuple[bytes, float]:
        """When a run will end, and until when that holds."""
        if entry is None:
            return b"", inf
        end = estimate(self._source, entry)
        if end is None:
            return b"", self._mono + _NONE_HOLDS if entry.task.status is Status.RUNNING else inf
        return encoded(self._estimate.line(block, end)), self._mono + _HOLDS * (end - self._wall)

    def _labels(self, entry: Entry) -> Labels:
        return self._source.view.name, entry.task.operation, entry.task.id


def _replaced(known: tuple[Item, ...], changes: Mapping[int, Item]) -> tuple[Item, ...]:
    items = list(known)
    for place, item in changes.items():
        items[place] = item
    return tuple(items)
