"""All that Prometheus sees: a snapshot, taken in the event loop, and its text, written in a thread."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from exporter.clock import Moment
from exporter.metrics import events, own, process, runs, tasks
from exporter.metrics.family import Family, OwnLabels, collect
from exporter.metrics.own import ExporterStats, SourceStats
from exporter.metrics.tasks import SourceTasks, SourceView
from exporter.metrics.text import negotiate, write
from exporter.store.totals import Totals

_SUFFIXES = ("", "_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known at one moment, copied so that it does not change any more."""

    own_labels: OwnLabels
    tasks: Sequence[SourceTasks]
    events: events.Events
    sources: Sequence[SourceStats]
    exporter: ExporterStats


def snapshot(
    views: Iterable[SourceView],
    totals: Totals,
    sources: Iterable[SourceStats],
    exporter: ExporterStats,
    *,
    released: int,
    now: Moment,
) -> Snapshot:
    """Copy what is known now; quick, as it holds up the event loop.

    Args:
        views: the sources as they are configured; whatever is about another one is left out.
        totals: what the ledger has counted.
        sources: the numbers about their APIs.
        exporter: the numbers about ourselves.
        released: the highest birth that may show its count, see ``births``.
        now: the time by which tasks are stalled or overdue.
    """
    configured = tuple(views)
    return Snapshot(
        own_labels=OwnLabels.of({view.name: view.labels for view in configured}),
        tasks=[tasks.take(view, totals, now) for view in configured],
        events=events.take(totals, released),
        sources=[stats.taken() for stats in sources],
        exporter=exporter.taken(),
    )


def families(taken: Snapshot) -> Iterator[Family]:
    """Collect every metric of the contract, then those about the process."""
    written = runs.families(taken.tasks, taken.own_labels)
    for task_metric in tasks.METRICS:
        yield written.get(task_metric.name) or collect(task_metric, taken.tasks, taken.own_labels)
    for event_metric in events.METRICS:
        yield collect(event_metric, [taken.events], taken.own_labels)
    for source_metric in own.SOURCE_METRICS:
        yield collect(source_metric, taken.sources, taken.own_labels)
    for metric in own.EXPORTER_METRICS:
        samples = tuple(metric.samples(taken.exporter))
        yield Family(metric.name, metric.kind, metric.labels, metric.help, samples)
    yield from process.families()


def restricted(families: Iterable[Family], names: Collection[str]) -> Iterator[Family]:
    """Leave those families that are asked for by ``?name[]=``, or all of them if none is."""
    return (f for f in families if not names or any(f.name + suffix in names for suffix in _SUFFIXES))


def render(families: Iterable[Family], accept: str = "") -> tuple[Sequence[bytes], str]:
    """Write families in the format that ``Accept`` asks for; return the body's pieces and its content type.

    Most of the pieces are those that are kept for the next scrape: put together, a long answer would be as
    much memory again. May be called in any thread.
    """
    form = negotiate(accept)
    return tuple(write(families, form)), form.value
