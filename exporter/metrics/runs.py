"""Tells of each run, and keeps what is written until the run changes: between two scrapes most do not."""

from collections.abc import Iterable, Mapping, Sequence

from exporter.metrics.family import Labels, OwnLabels
from exporter.metrics.pages import COLUMNS, PageWriter, Pen
from exporter.metrics.tasks import TASK_STATUS, SourceTasks
from exporter.metrics.text import WrittenFamily, encoded
from exporter.store.entry import Entry
from exporter.store.page import Page, Written

_PAGE = 256
"""Runs whose lines are copied in one piece: so few that other threads get their turn in between."""


def families(sources: Iterable[SourceTasks], own: OwnLabels) -> dict[str, WrittenFamily]:
    """Write the metrics that are told of each run; return them by name."""
    pens = {metric.name: Pen(metric, own) for metric in COLUMNS}
    texts: dict[str, list[bytes]] = {name: [] for name in pens}
    for source in sources:
        board = source.view.board
        board.written = written = _written(source, own, pens)
        for number, column in enumerate(texts.values()):
            column += [page.columns[number].text for page in written.pages]
        texts[TASK_STATUS] += _earlier_failures(source, own, pens[TASK_STATUS])
    return {name: pen.family(texts[name]) for name, pen in pens.items()}


def _written(source: SourceTasks, own: OwnLabels, pens: Mapping[str, Pen]) -> Written:
    """What is told of the current runs, written anew as far as what is kept does not hold any more."""
    kept, values = source.view.board.written, own.values[source.view.name]
    labels = tuple(zip(own.names, values, strict=True))
    writer = PageWriter(source, values, pens)
    pages = [writer.update(page) for page in kept.pages] if kept.own == labels else []
    filled = [page for page in pages if page.runs >= _PAGE // 2]
    if len(pages) - len(filled) > 1:
        pages = filled  # What is left on the others shares new ones.
    new = _missing(source, pages)
    pages += [writer.write(new[start : start + _PAGE]) for start in range(0, len(new), _PAGE)]
    return Written(labels, tuple(pages))


def _missing(source: SourceTasks, pages: Sequence[Page]) -> list[Entry]:
    """The runs that are on none of these pages."""
    runs = source.shown_current
    if len(runs) == sum(page.runs for page in pages):
        return []
    known = {task_id for page in pages for task_id in page.ids}
    return [entry for task_id, entry in runs.items() if task_id not in known]


def _earlier_failures(source: SourceTasks, own: OwnLabels, pen: Pen) -> list[bytes]:
    """The status of earlier runs that failed, where the current run does not tell the same."""
    if not source.past:
        return []
    current = source.shown_current
    now = {_status(entry) for entry in current.values()}
    earlier = (entry for entry in source.shown if current.get(entry.task.id) is not entry)
    labels = dict.fromkeys(
        (source.view.name, *_status(entry)) for entry in earlier if _status(entry) not in now
    )
    values = own.values[source.view.name]
    return [encoded("".join([pen.line(pen.block(run, values), 1) for run in labels]))]


def _status(entry: Entry) -> Labels:
    return entry.task.operation, entry.task.id, entry.task.status.value
