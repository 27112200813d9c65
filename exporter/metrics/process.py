"""The numbers about this process and its Python, as every Python client tells them."""

from collections.abc import Iterator
from typing import cast

from prometheus_client import Metric, PlatformCollector, ProcessCollector

from exporter.metrics.family import Family, Kind, Sample


def families() -> Iterator[Family]:
    """Collect ``process_*`` and ``python_info``; there are fewer outside of Linux."""
    for collector in (ProcessCollector(registry=None), PlatformCollector(registry=None)):
        for metric in collector.collect():
            yield _family(metric)


def _family(metric: Metric) -> Family:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = tuple(metric.samples[0].labels)
    samples: list[Sample] = [(tuple(s.labels.values()), s.value) for s in metric.samples]
    return Family(name, cast("Kind", metric.type), labels, metric.documentation, samples)
