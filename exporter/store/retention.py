"""Which runs may be forgotten: those that can never be counted again.

A run is pruned when all of this is true:

* its API told when it finished, and that is older than the retention;
* nobody watches its id;
* it finished before its source's watermark, where there is one, so that a listing takes it for history.

The poller counts no end older than the retention, so a pruned run cannot come back as news. A run
without a finish time from its API is kept for good, for only its key tells that it was counted.

The age is measured by the source's own calendar, up to its newest end that is stored: a clock of
this machine that jumps ahead by a year prunes nothing.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, tuple_

from exporter.store.schema import micros, runs, sources, stamp, watched

CHUNK = 1000
"""How many runs are deleted in one transaction, so that no commit waits long."""


def prune(connection: Connection, now: datetime, retention: timedelta) -> int:
    """Delete up to a chunk of each source's runs that may be forgotten; return how many."""
    known = connection.execute(select(sources.c.source, sources.c.watermark)).all()
    return sum(
        _prune_source(connection, source, min(stamp(now), watermark or stamp(now)), micros(retention))
        for source, watermark in known
    )


def _prune_source(connection: Connection, source: str, now: int, retention: int) -> int:
    newest = connection.scalar(select(func.max(runs.c.finished_at)).where(runs.c.source == source))
    if newest is None:
        return 0
    key = runs.c.source, runs.c.task_id, runs.c.run
    watches = select(watched.c.task_id).where(watched.c.source == source)
    old = (
        select(*key)
        .where(
            runs.c.source == source,
            runs.c.finished_at < min(now, newest) - retention,
            runs.c.task_id.not_in(watches),
        )
        .limit(CHUNK)
    )
    return connection.execute(delete(runs).where(tuple_(*key).in_(old))).rowcount
