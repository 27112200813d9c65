"""The counters and histograms in the database: read at start, moved in the transaction of the runs."""

import json
from collections import deque
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, select, tuple_

from exporter.store.schema import Row, buckets, insert, latest, micros, put, series, span, stamp, time
from exporter.store.tally import Tally, later, remember
from exporter.store.totals import (
    HISTOGRAMS,
    REMEMBERED,
    Latest,
    Observations,
    OperationKey,
    SeriesKey,
    Totals,
)


def read(connection: Connection, bounds: Mapping[str, tuple[float, ...]]) -> Totals:
    """Read everything that was counted; the stored buckets must have these *bounds* already."""
    totals = Totals(bounds)
    histograms = {}
    for birth, name, labels, value in connection.execute(select(series).order_by(series.c.birth)):
        key = (name, tuple(json.loads(labels)))
        if name in HISTOGRAMS:
            histograms[birth] = totals.histogram(key, birth)
            histograms[birth].sum_us = value
        else:
            totals.counter(key, birth).value = value
    for birth, bucket, count in connection.execute(select(buckets)):
        histograms[birth].counts[bucket] = count
    for operation, (last, durations) in _read_latest(connection).items():
        totals.latest[operation], totals.durations[operation] = last, durations
    return totals


def move(connection: Connection, tally: Tally) -> None:
    """Add a tally to what is stored, and complete its delta with what came of it."""
    delta = tally.delta
    delta.births = _add(connection, delta.counters)
    delta.births |= _add(connection, {key: o.sum_us for key, o in delta.histograms.items()})
    _add_to_buckets(connection, delta.histograms, delta.births)
    _move_latest(connection, tally)


def _move_latest(connection: Connection, tally: Tally) -> None:
    if not tally.ended:
        return
    keys = tuple_(latest.c.source, latest.c.operation).in_(list(tally.ended))
    known = _read_latest(connection, keys)
    rows = []
    for key, transitions in tally.ended.items():
        last, durations = known.get(key, (Latest(), deque(maxlen=REMEMBERED)))
        for transition in transitions:
            last = later(last, transition)
            remember(durations, transition)
        tally.delta.latest[key], tally.delta.durations[key] = last, durations
        rows.append(_latest_row(key, last, durations))
    put(connection, latest, rows)


def _add(connection: Connection, amounts: Mapping[SeriesKey, int]) -> dict[SeriesKey, int]:
    """Add to counters and sums, creating those that are new; return the birth of each."""
    if not amounts:
        return {}
    statement = insert(connection, series)
    statement = statement.on_conflict_do_update(
        index_elements=["name", "labels"], set_={"value": series.c.value + statement.excluded.value}
    )
    rows: list[Row] = [
        {"name": name, "labels": json.dumps(labels), "value": amount}
        for (name, labels), amount in amounts.items()
    ]
    returning = statement.returning(series.c.birth, series.c.name, series.c.labels)
    written = connection.execute(returning, rows)
    return {(name, tuple(json.loads(labels))): birth for birth, name, labels in written}


def _add_to_buckets(
    connection: Connection, added: Mapping[SeriesKey, Observations], births: Mapping[SeriesKey, int]
) -> None:
    rows: list[Row] = [
        {"birth": births[key], "bucket": bucket, "count": count}
        for key, observations in added.items()
        for bucket, count in observations.counts.items()
    ]
    if rows:
        statement = insert(connection, buckets)
        statement = statement.on_conflict_do_update(
            index_elements=["birth", "bucket"], set_={"count": buckets.c.count + statement.excluded.count}
        )
        connection.execute(statement, rows)


def _read_latest(
    connection: Connection, *where: ColumnElement[bool]
) -> dict[OperationKey, tuple[Latest, deque[float]]]:
    """Read the latest end and the last durations of operations."""
    found = {}
    for row in connection.execute(select(latest).where(*where)):
        last = Latest(
            success_at=None if row.success_at is None else time(row.success_at),
            finish_at=None if row.finish_at is None else time(row.finish_at),
            duration=None if row.duration is None else span(row.duration),
        )
        found[row.source, row.operation] = (last, deque(json.loads(row.durations), REMEMBERED))
    return found


def _latest_row(key: OperationKey, last: Latest, durations: deque[float]) -> Row:
    return {
        "source": key[0],
        "operation": key[1],
        "success_at": None if last.success_at is None else stamp(last.success_at),
        "finish_at": None if last.finish_at is None else stamp(last.finish_at),
        "duration": None if last.duration is None else micros(last.duration),
        "durations": json.dumps(list(durations)),
    }
