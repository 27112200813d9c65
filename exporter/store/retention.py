"""Which runs may be forgotten: those that can never be counted again.

A run is pruned when all of this is true:

* its API told when it finished, and that is older than the retention;
* nobody watches its id;
* it finished before its source's watermark, where there is one, so that a listing takes it for history.

The poller counts no end older than the retention, so a pruned run cannot come back as news. Nor does it
count one that is not younger than what was pruned of its source: the retention may be longer now. A run
without a finish time from its API is kept for good, for only its key tells that it was counted.

The age is measured by the source's own calendar, up to its newest end that is stored: a clock of
this machine that jumps ahead by a year prunes nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from exporter.store.schema import get_meta, meta, micros, runs, set_meta, sources, stamp, take, time, watched

_KEY = "forgotten of "
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
    watches = select(watched.c.task_id).where(watched.c.source == source)
    old = connection.execute(
        select(runs.c.task_id, runs.c.run, runs.c.finished_at)
        .where(
            runs.c.source == source,
            runs.c.finished_at < min(now, newest) - retention,
            runs.c.task_id.not_in(watches),
        )
        .limit(CHUNK)
    ).all()
    if old:
        take(connection, runs, [(source, row.task_id, row.run) for row in old])
        _note(connection, source, max(row.finished_at for row in old))
    return len(old)


def _note(connection: Connection, source: str, forgotten: int) -> None:
    known = int(get_meta(connection, _KEY + source) or 0)
    set_meta(connection, _KEY + source, str(max(known, forgotten)))


def forgotten(connection: Connection) -> Mapping[str, datetime]:
    """The latest end that was pruned of each source; nothing of those of which none was."""
    found = connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_KEY)))
    return {key.removeprefix(_KEY): time(int(value)) for key, value in found}
