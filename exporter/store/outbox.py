"""The outbox: news that is still to be told, and how far each receiver has been told.

News is put in by the transaction that counts it. A receiver's position is the number of the last news that it
needs no more; what all receivers are past is deleted. All of this is SQL, to be run by ``Ledger.transact``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, not_, or_, select, update

from exporter.model import Status, Transition
from exporter.store.jsontext import transition_from_json
from exporter.store.schema import insert, outbox, receivers

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class News:
    """One end of a run that is to be told."""

    position: int
    event: str
    """The same for the same news, always."""
    transition: Transition


@dataclass(frozen=True, slots=True)
class Batch:
    """What a receiver is to be told next, oldest first."""

    begin: int
    """Its position."""
    news: Sequence[News]
    end: int
    """Its position when it has been told all of this."""
    waiting: int
    """How much news waits for it, with this."""


def admit(connection: Connection, names: Collection[str]) -> None:
    """Let exactly these receivers be told: a new one from now on, and one that is not named any more not."""
    connection.execute(delete(receivers).where(receivers.c.receiver.not_in(names)))
    # Not the newest row's number, for that may have been deleted; with nobody left to tell it is all history.
    now = max(_newest(connection), connection.scalar(select(func.max(receivers.c.position))) or 0)
    begin = insert(connection, receivers).on_conflict_do_nothing(index_elements=["receiver"])
    if names:
        connection.execute(begin, [{"receiver": name, "position": now} for name in sorted(names)])
    _forget(connection)


def read(connection: Connection, receiver: str, statuses: Collection[Status], limit: int) -> Batch:
    """Read what a receiver is to be told next, as far as it wants to know of such statuses."""
    begin = _position(connection, receiver)
    wanted = _waiting(begin, statuses)
    rows = connection.execute(
        select(outbox.c.id, outbox.c.event, outbox.c.payload)
        .where(*wanted)
        .order_by(outbox.c.id)
        .limit(limit)
    ).all()
    end = rows[-1].id if len(rows) == limit else max(_newest(connection), begin)
    news = [one for row in rows if (one := _read(row.id, row.event, row.payload)) is not None]
    return Batch(begin, news, end, _count(connection, wanted))


def waiting(connection: Connection, receiver: str, statuses: Collection[Status]) -> int:
    """How much waits for a receiver that wants to know of such statuses."""
    return _count(connection, _waiting(_position(connection, receiver), statuses))


def advance(connection: Connection, receiver: str, position: int) -> None:
    """Note that a receiver needs nothing up to *position* any more."""
    mine = receivers.c.receiver == receiver, receivers.c.position < position
    connection.execute(update(receivers).where(*mine).values(position=position))
    _forget(connection)


def trim(
    connection: Connection, wanted: Mapping[str, Collection[Status]], limit: int
) -> Mapping[str, tuple[int, int]]:
    """Drop each receiver's oldest news beyond *limit*; tell for each how much it missed, and how much waits.

    What a receiver did not ask to be told takes no room: an hour of successes must not push out a failure.
    """
    told = {}
    awaited: list[ColumnElement[bool]] = []
    for receiver, statuses in wanted.items():
        waiting = _waiting(_position(connection, receiver), statuses)
        newest_first = select(outbox.c.id).where(*waiting).order_by(outbox.c.id.desc())
        last = connection.scalar(newest_first.offset(limit).limit(1))
        missed = 0 if last is None else _count(connection, (*waiting, outbox.c.id <= last))
        told[receiver] = missed, _count(connection, waiting) - missed
        if last is not None:
            advance(connection, receiver, last)
        awaited.append(and_(*waiting))
    connection.execute(delete(outbox).where(not_(or_(false(), *awaited))))
    return told


def _read(position: int, event: str, payload: str) -> News | None:
    try:
        return News(position, event, transition_from_json(payload))
    except ValueError as error:  # Whoever changed the database by hand has to be told, not to stop the rest.
        _log.error("stored news cannot be read and is left out", event_id=event, error=str(error))
        return None


def _position(connection: Connection, receiver: str) -> int:
    return connection.scalar(select(receivers.c.position).where(receivers.c.receiver == receiver)) or 0


def _waiting(position: int, statuses: Collection[Status]) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.id > position, outbox.c.status.in_([status.value for status in statuses])


def _count(connection: Connection, which: Sequence[ColumnElement[bool]]) -> int:
    return connection.scalar(select(func.count()).select_from(outbox).where(*which)) or 0


def _newest(connection: Connection) -> int:
    return connection.scalar(select(func.max(outbox.c.id))) or 0


def _forget(connection: Connection) -> None:
    """Delete what every receiver is past."""
    slowest = connection.scalar(select(func.min(receivers.c.position)))
    old = delete(outbox) if slowest is None else delete(outbox).where(outbox.c.id <= slowest)
    connection.execute(old)
