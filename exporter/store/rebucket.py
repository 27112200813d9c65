"""Histograms whose buckets were changed in the configuration: counted anew from the stored runs."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

import structlog
from sqlalchemy import ColumnElement, Connection, case, delete, func, select

from exporter.store.schema import Row, buckets, get_meta, runs, series, set_meta
from exporter.store.totals import DURATION, QUEUE_DURATION, Labels

_log = structlog.get_logger()
_OBSERVED: Mapping[str, ColumnElement[int]] = {DURATION: runs.c.duration, QUEUE_DURATION: runs.c.queued}
_LABELS = {DURATION: ("source", "operation", "status"), QUEUE_DURATION: ("source", "operation")}


def in_micros(bounds: Iterable[float]) -> tuple[int, ...]:
    """Bucket bounds in microseconds, to compare with what is stored."""
    return tuple(round(bound * 1_000_000) for bound in bounds)


def fit(connection: Connection, bounds: Mapping[str, tuple[float, ...]]) -> None:
    """Give the stored histograms these bounds.

    The durations of the runs that are stored go into the bucket where they belong. What was pruned
    is known only by its old bucket, and goes into the smallest new one that surely contains it.
    Count and sum stay as they are, so that no counter goes back.
    """
    for name, new in bounds.items():
        stored = get_meta(connection, f"bounds:{name}")
        if stored is not None and tuple(json.loads(stored)) != new:
            old = tuple(json.loads(stored))
            _rebuild(connection, name, in_micros(old), in_micros(new))
            _log.warning("buckets changed, histogram rebuilt", metric=name, before=old, now=new)
        set_meta(connection, f"bounds:{name}", json.dumps(new))


def _rebuild(connection: Connection, name: str, old: Sequence[int], new: Sequence[int]) -> None:
    moves = _moves(connection, name, old, new)
    rows: list[Row] = []
    for birth, labels, counts in _histograms(connection, name, len(old) + 1):
        after = rebuilt(counts, moves.get(labels, ()), old, new)
        rows += [{"birth": birth, "bucket": i, "count": count} for i, count in enumerate(after) if count]
        connection.execute(delete(buckets).where(buckets.c.birth == birth))
    if rows:
        connection.execute(buckets.insert(), rows)


def _histograms(connection: Connection, name: str, size: int) -> Iterator[tuple[int, Labels, list[int]]]:
    query = select(series.c.birth, series.c.labels).where(series.c.name == name)
    for birth, labels in connection.execute(query).all():
        counts = [0] * size
        stored = select(buckets.c.bucket, buckets.c.count).where(buckets.c.birth == birth)
        for bucket, count in connection.execute(stored):
            counts[bucket] = count
        yield birth, tuple(json.loads(labels)), counts


def _moves(
    connection: Connection, name: str, old: Sequence[int], new: Sequence[int]
) -> dict[Labels, list[tuple[int, int, int]]]:
    """How many stored runs go from which old bucket to which new one, by label values."""
    observed = _OBSERVED[name]
    labels = [runs.c[label] for label in _LABELS[name]]
    each = (
        select(*labels, _bucket(observed, old).label("old"), _bucket(observed, new).label("new"))
        .where(runs.c.counted, observed.is_not(None))
        .subquery()
    )
    found: dict[Labels, list[tuple[int, int, int]]] = {}
    for *key, was, now, count in connection.execute(select(each, func.count()).group_by(*each.c)):
        found.setdefault(tuple(key), []).append((was, now, count))
    return found


def _bucket(observed: ColumnElement[int], bounds: Sequence[int]) -> ColumnElement[int]:
    return case(*((observed <= bound, i) for i, bound in enumerate(bounds)), else_=len(bounds))


def rebuilt(
    counts: Sequence[int], moves: Iterable[tuple[int, int, int]], old: Sequence[int], new: Sequence[int]
) -> list[int]:
    """The new counts of one histogram, from its old ones and where the stored runs go."""
    rest, after = list(counts), [0] * (len(new) + 1)
    for was, now, count in moves:
        rest[was] -= count
        after[now] += count
    for bucket, count in enumerate(rest):
        surely = bisect_left(new, old[bucket]) if bucket < len(old) else len(new)
        after[surely] += count
    return after
