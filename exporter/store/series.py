"""The counters and histograms in the database: read at start, moved in the transaction of the runs."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, bindparam, select, update

from exporter.store.prepared import Prepared, Values
from exporter.store.schema import Row, buckets, insert, latest, micros, put, series, span, stamp, time
from exporter.store.tally import Tally, later, remembered
from exporter.store.totals import (
    HISTOGRAMS,
    REMEMBERED,
    Latest,
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
    for operation, last, durations in map(_latest, connection.execute(select(latest))):
        totals.latest[operation], totals.durations[operation] = last, durations
    return totals


def move(connection: Connection, tally: Tally) -> None:
    """Add a tally to what is stored, and complete its delta with what came of it."""
    delta = tally.delta
    amounts = {**delta.counters, **{key: added.sum_us for key, added in delta.histograms.items()}}
    known = {key: birth for key in amounts if (birth := tally.known.births.get(key)) is not None}
    _ADD.write(connection, [(amounts[key], birth) for key, birth in known.items() if amounts[key]])
    delta.births = known | _create(connection, {key: amounts[key] for key in amounts if key not in known})
    fallen = [
        (delta.births[key], bucket, count)
        for key, added in delta.histograms.items()
        for bucket, count in added.counts.items()
    ]
    _ADD_TO_BUCKET.write(connection, fallen)
    _move_latest(connection, tally)


def _create(connection: Connection, amounts: Mapping[SeriesKey, int]) -> dict[SeriesKey, int]:
    """Create series with what they begin with; return the birth of each."""
    if not amounts:
        return {}
    statement = series.insert().returning(series.c.birth, series.c.name, series.c.labels)
    rows: list[Row] = [
        {"name": name, "labels": json.dumps(labels), "value": amount}
        for (name, labels), amount in amounts.items()
    ]
    written = connection.execute(statement, rows)
    return {(name, tuple(json.loads(labels))): birth for birth, name, labels in written}


def _move_latest(connection: Connection, tally: Tally) -> None:
    rows = []
    for key, ended in tally.ended.items():
        stored = [_latest(row) for row in _FIND_LATEST.read(connection, key)]
        _, last, durations = stored[0] if stored else (key, Latest(), deque[float]())
        tally.delta.latest[key] = last = later(last, ended)
        tally.delta.durations[key] = durations = remembered(durations, ended)
        rows.append(_latest_row(key, last, durations))
    put(connection, latest, rows)


def _adding(_: Connection) -> ClauseElement:
    more = series.c.value + bindparam("amount")
    return update(series).where(series.c.birth == bindparam("of")).values(value=more)


def _adding_to_bucket(connection: Connection) -> ClauseElement:
    statement = insert(connection, buckets)
    more = buckets.c.count + statement.excluded.count
    return statement.on_conflict_do_update(index_elements=["birth", "bucket"], set_={"count": more})


def _finding_latest(_: Connection) -> ClauseElement:
    mine = latest.c.source == bindparam("of"), latest.c.operation == bindparam("kind")
    return select(latest).where(*mine)


_ADD = Prepared(_adding, ("amount", "of"))
_ADD_TO_BUCKET = Prepared(_adding_to_bucket, ("birth", "bucket", "count"))
_FIND_LATEST = Prepared(_finding_latest, ("of", "kind"))


def _latest(row: Sequence[Any]) -> tuple[OperationKey, Latest, deque[float]]:
    source, operation, success_at, finish_at, duration, durations = row
    last = Latest(
        success_at=None if success_at is None else time(success_at),
        finish_at=None if finish_at is None else time(finish_at),
        duration=None if duration is None else span(duration),
    )
    return (source, operation), last, deque(json.loads(durations), REMEMBERED)


def _latest_row(key: OperationKey, last: Latest, durations: deque[float]) -> Values:
    return (
        *key,
        None if last.success_at is None else stamp(last.success_at),
        None if last.finish_at is None else stamp(last.finish_at),
        None if last.duration is None else micros(last.duration),
        json.dumps(list(durations)),
    )
