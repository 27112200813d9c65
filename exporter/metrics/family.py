"""What a metric is: one record in a table, and one pure function that tells its samples."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from exporter.store.totals import Exemplar

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a histogram has observed."""

    bounds: Sequence[float]
    """Upper bounds of the buckets, rising, without +Inf."""
    counts: Sequence[int]
    """Observations by bucket, not cumulative; the last one is +Inf."""
    sum: float
    exemplars: Sequence[Exemplar | None] = ()
    """By bucket as *counts*, or none at all."""


Sample = tuple[Labels, float | Distribution]


@dataclass(frozen=True, slots=True)
class Metric(Generic[Subject]):
    """A metric of the contract. ``docs/metrics.md`` documents each."""

    name: str
    """In full; a counter's ends in ``_total``."""
    kind: Kind
    labels: Labels
    help: str
    samples: Callable[[Subject], Iterable[Sample]]
    """Tells the metric's samples from what they are about, with label values in the order of *labels*."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples, ready to be written."""

    name: str
    kind: Kind
    labels: Labels
    help: str
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """The labels that operators gave their sources, which are on every series of that source.

    A family has the same label names throughout, so a source without a label that another one has
    tells it as empty, which for Prometheus is the same as not at all.
    """

    names: Labels
    values: Mapping[str, Labels]
    """By source; those that are not in it are not configured any more."""

    @classmethod
    def of(cls, sources: Mapping[str, Mapping[str, str]]) -> "OwnLabels":
        """Put together the own labels of all sources."""
        names = tuple(sorted({name for labels in sources.values() for name in labels}))
        values = {source: tuple(labels.get(name, "") for name in names) for source, labels in sources.items()}
        return cls(names, values)


def collect(metric: Metric[Subject], subjects: Iterable[Subject], own: OwnLabels) -> Family:
    """Collect a metric that is about sources, with their own labels on each series."""
    names = tuple(name for name in own.names if name not in metric.labels)
    keep = [index for index, name in enumerate(own.names) if name in names]
    extra = {source: tuple(values[i] for i in keep) for source, values in own.values.items()}
    samples = [
        (labels + extra[labels[0]], value)
        for subject in subjects
        for labels, value in metric.samples(subject)
        if labels[0] in extra
    ]
    return Family(metric.name, metric.kind, metric.labels + names, metric.help, samples)
