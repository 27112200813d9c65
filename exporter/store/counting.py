"""The runs in the database: which of them are news, so that each is counted once."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from sqlalchemy import Connection, bindparam, delete, false, select, true
from sqlalchemy.dialects import postgresql, sqlite

from exporter.model import Status, Transition
from exporter.store.jsontext import transition_to_json
from exporter.store.schema import Row, insert, micros, outbox, runs, stamp
from exporter.store.tally import Tally

RunKey = tuple[str, str, str]
"""Source, task id and run."""
_RUN_KEY = ("source", "task_id", "run")
_TOLD_AT_THE_END = ("counted", "status", "operation", "finished_at", "duration", "queued")
_CHUNK = 500
"""How many ids go into one IN list."""


def count(connection: Connection, transitions: Iterable[Transition], tally: Tally) -> list[Transition]:
    """Write the runs of transitions and tally what is news; return what a notifier would tell."""
    return [news for wave in _waves(transitions) for news in _count_wave(connection, wave, tally)]


def read_ended(connection: Connection, source: str, ids: Collection[str]) -> dict[str, set[str]]:
    """Read the runs of these ids that ended, counted or history."""
    found: dict[str, set[str]] = {}
    rest = list(ids)
    while rest:
        chunk, rest = rest[:_CHUNK], rest[_CHUNK:]
        query = select(runs.c.task_id, runs.c.run).where(
            runs.c.source == source, runs.c.task_id.in_(chunk), runs.c.status.is_not(None)
        )
        for task_id, run in connection.execute(query):
            found.setdefault(task_id, set()).add(run)
    return found


def fill_outbox(connection: Connection, news: Sequence[Transition]) -> None:
    """Keep news for a notifier; the same news has the same event id, and is kept once."""
    if news:
        statement = insert(connection, outbox).on_conflict_do_nothing(index_elements=["event"])
        connection.execute(statement, [_outbox_row(t) for t in news])


def event_id(transition: Transition) -> str:
    """Name a piece of news: the same at every attempt and in every process."""
    parts = [*_key(transition), transition.task.status.value]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _waves(transitions: Iterable[Transition]) -> Iterator[list[Transition]]:
    """Split transitions so that no id comes twice in one wave.

    One statement writes a whole wave, and knows no order among its rows.
    """
    wave: list[Transition] = []
    ids: set[tuple[str, str]] = set()
    for transition in transitions:
        key = (transition.source, transition.task.id)
        if key in ids:
            yield wave
            wave, ids = [], set()
        wave.append(transition)
        ids.add(key)
    yield wave


def _count_wave(connection: Connection, wave: Sequence[Transition], tally: Tally) -> list[Transition]:
    opened = _insert_opened(connection, [t for t in wave if t.opens and not t.counts])
    ended = _insert_ended(connection, [t for t in wave if t.counts])
    _insert_history(connection, [t for t in wave if _is_history(t)])
    _delete_renamed(connection, [t for t in wave if _is_close(t) and not ended.get(_key(t))])
    for transition in wave:
        if transition.counts:
            _tally_end(transition, ended, tally)
        elif _key(transition) in opened or not transition.opens:
            _tally_change(transition, tally)
    return [t for t in wave if _is_amended(t) or (t.counts and _key(t) in ended)]


def _tally_end(transition: Transition, ended: Mapping[RunKey, bool], tally: Tally) -> None:
    seen_before = ended.get(_key(transition))
    if seen_before is None:
        return
    if transition.opens and not seen_before:
        tally.discover(transition)
    tally.finish(transition)


def _tally_change(transition: Transition, tally: Tally) -> None:
    if transition.opens:
        tally.discover(transition)
    if transition.task.status is Status.UNKNOWN and transition.previous is not Status.UNKNOWN:
        tally.puzzle(transition)


def _is_close(transition: Transition) -> bool:
    """Whether a run ends that was on the board before."""
    return transition.counts and not transition.opens


def _is_history(transition: Transition) -> bool:
    """Whether an end is not ours to count."""
    news = transition.opens or transition.counts or transition.previous is not None
    return transition.task.status.is_final and not news


def _is_amended(transition: Transition) -> bool:
    """Whether a run that was counted turns out to have failed."""
    was_final = transition.previous is not None and transition.previous.is_final
    return was_final and transition.task.status.is_failed and not transition.counts


def _insert_opened(connection: Connection, wave: Sequence[Transition]) -> dict[RunKey, bool]:
    """Write down runs that began; return those that were not there."""
    statement = insert(connection, runs).values(opened=true(), counted=false())
    statement = statement.on_conflict_do_nothing(index_elements=_RUN_KEY)
    return _written(connection, statement, [_key_row(t) for t in wave])


def _insert_ended(connection: Connection, wave: Sequence[Transition]) -> dict[RunKey, bool]:
    """Write down runs that ended; return those that had not, and whether they were there before."""
    statement = insert(connection, runs).values(opened=false(), counted=true())
    statement = statement.on_conflict_do_update(
        index_elements=_RUN_KEY,
        set_={name: statement.excluded[name] for name in _TOLD_AT_THE_END},
        where=runs.c.status.is_(None),
    )
    return _written(connection, statement, [_ended_row(t) for t in wave])


def _written(
    connection: Connection, statement: sqlite.Insert | postgresql.Insert, rows: Sequence[Row]
) -> dict[RunKey, bool]:
    if not rows:
        return {}
    returning = statement.returning(runs.c.source, runs.c.task_id, runs.c.run, runs.c.opened)
    written = connection.execute(returning, rows)
    return {(source, task_id, run): opened for source, task_id, run, opened in written}


def _insert_history(connection: Connection, wave: Sequence[Transition]) -> None:
    """Remember ends that are not ours to count, so that they are not taken for news later."""
    if wave:
        statement = insert(connection, runs).values(opened=false(), counted=false())
        statement = statement.on_conflict_do_nothing(index_elements=_RUN_KEY)
        connection.execute(statement, [_ended_row(t) for t in wave])


def _delete_renamed(connection: Connection, wave: Sequence[Transition]) -> None:
    """Forget the unfinished runs of ids whose run got its name from the API only when it ended.

    The name it had while it ran, such as ``#0``, is free for the next one.
    """
    if wave:
        unfinished = (
            runs.c.source == bindparam("of"),
            runs.c.task_id == bindparam("id"),
            runs.c.status.is_(None),
        )
        connection.execute(delete(runs).where(*unfinished), [{"of": t.source, "id": t.task.id} for t in wave])


def _outbox_row(transition: Transition) -> Row:
    return {
        "event": event_id(transition),
        "status": transition.task.status.value,
        "payload": transition_to_json(transition),
    }


def _key(transition: Transition) -> RunKey:
    return transition.source, transition.task.id, transition.run


def _key_row(transition: Transition) -> Row:
    return {"source": transition.source, "task_id": transition.task.id, "run": transition.run}


def _ended_row(transition: Transition) -> Row:
    task, took, queued = transition.task, transition.duration, transition.queued
    return {
        **_key_row(transition),
        "status": task.status.value,
        "operation": task.operation,
        "finished_at": None if task.finished_at is None else stamp(task.finished_at),
        "duration": None if took is None else micros(took),
        "queued": None if queued is None else micros(queued),
    }
