"""What the ledger overwrites rather than adds up: the board's rows, watched ids, watermarks, scrapers."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, bindparam, delete, select, update

from exporter.model import WatchedId
from exporter.store.change import Change, Scraper, SourceState
from exporter.store.entry import Entry
from exporter.store.jsontext import entry_from_json, entry_to_json
from exporter.store.schema import (
    entries,
    get_meta,
    insert,
    put,
    scrapers,
    set_meta,
    sources,
    stamp,
    take,
    time,
    watched,
)

_log = structlog.get_logger()
_AT_ONCE = 500
"""How many rows of the board are in memory as text at once."""


def write(connection: Connection, changes: Sequence[Change]) -> None:
    """Write the state in a group of changes; of many changes to one row only the last."""
    _write_board(connection, changes)
    _write_watched(connection, changes)
    _write_watermarks(connection, changes)
    _write_scrapers(connection, changes)


def _write_board(connection: Connection, changes: Sequence[Change]) -> None:
    board: dict[tuple[str, str, str], Entry | None] = {}
    for change in changes:
        for key in change.removed:
            board[key] = None
        for source, entry in change.entries:
            board[source, entry.task.id, entry.run] = entry
    take(connection, entries, [key for key, entry in board.items() if entry is None])
    kept = [(key, entry) for key, entry in board.items() if entry is not None]
    for first in range(0, len(kept), _AT_ONCE):
        some = kept[first : first + _AT_ONCE]
        put(connection, entries, [(*key, entry_to_json(entry)) for key, entry in some])


def _write_watched(connection: Connection, changes: Sequence[Change]) -> None:
    ids: dict[tuple[str, str], WatchedId | None] = {}
    for change in changes:
        for key in change.unwatch:
            ids[key] = None
        for source, watch in change.watch:
            ids[source, watch.id] = watch
    take(connection, watched, [key for key, watch in ids.items() if watch is None])
    rows = [(*key, watch.operation, watch.name) for key, watch in ids.items() if watch is not None]
    put(connection, watched, rows)


def _write_watermarks(connection: Connection, changes: Sequence[Change]) -> None:
    marks = {source: at for change in changes for source, at in change.listed.items()}
    if marks:
        statement = update(sources).where(sources.c.source == bindparam("listed"))
        rows = [{"listed": source, "watermark": stamp(at)} for source, at in marks.items()]
        connection.execute(statement.values(watermark=bindparam("watermark")), rows)


def _write_scrapers(connection: Connection, changes: Sequence[Change]) -> None:
    known = {scraper.key: scraper for change in changes for scraper in change.scrapers}
    put(connection, scrapers, [(s.key, s.seen, stamp(s.last), s.interval) for s in known.values()])
    released = [change.released for change in changes if change.released is not None]
    if released:
        set_meta(connection, "released", str(released[-1]))


def read_scrapers(connection: Connection) -> tuple[int, dict[str, Scraper]]:
    """Read the highest released birth, and every scraper by its key."""
    found = {
        key: Scraper(key=key, seen=seen, last=time(last), interval=interval)
        for key, seen, last, interval in connection.execute(select(scrapers))
    }
    return int(get_meta(connection, "released") or 0), found


def forget_scrapers(connection: Connection, before: datetime) -> None:
    """Delete the scrapers that were last seen before a time."""
    connection.execute(delete(scrapers).where(scrapers.c.last < stamp(before)))


def read_source(connection: Connection, source: str, now: datetime) -> SourceState:
    """Read what is known of a source; one that is new starts *now*."""
    begin = insert(connection, sources).on_conflict_do_nothing(index_elements=["source"])
    connection.execute(begin, {"source": source, "first_start": stamp(now), "watermark": None})
    mine = select(sources.c.first_start, sources.c.watermark).where(sources.c.source == source)
    first_start, watermark = connection.execute(mine).one()
    return SourceState(
        first_start=time(first_start),
        watermark=None if watermark is None else time(watermark),
        entries=_read_board(connection, source),
        watched=_read_watched(connection, source),
    )


def _read_board(connection: Connection, source: str) -> list[Entry]:
    rows = connection.execute(
        select(entries.c.task_id, entries.c.run, entries.c.entry).where(entries.c.source == source)
    )
    board = []
    for task_id, run, text in rows:
        try:
            board.append(entry_from_json(text))
        except ValueError as error:  # The run is in the ledger, so the task is not counted again.
            _log.error(
                "stored task cannot be read", source=source, task_id=task_id, run=run, error=str(error)
            )
    return board


def _read_watched(connection: Connection, source: str) -> list[WatchedId]:
    rows = connection.execute(
        select(watched.c.task_id, watched.c.operation, watched.c.name).where(watched.c.source == source)
    )
    return [WatchedId(id=task_id, operation=operation, name=name) for task_id, operation, name in rows]
