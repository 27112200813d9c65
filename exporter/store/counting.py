"""The runs in the database: which of them are news, so that each is counted once."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Connection, bindparam, delete, false, select, true

from exporter.model import Status, Transition
from exporter.store.jsontext import transition_to_json
from exporter.store.prepared import Prepared, Values
from exporter.store.schema import Row, insert, micros, outbox, receivers, runs, stamp
from exporter.store.tally import Tally

Id = tuple[str, str]
"""Source and task id."""
Wave = dict[Id, Transition]
_RUN_KEY = ("source", "task_id", "run")
_TOLD_AT_THE_END = ("status", "operation", "finished_at", "duration", "queued")
_CHUNK = 500
"""How many ids go into one IN list."""
_AT_ONCE = 200
"""How many runs are looked up at once."""
_IDS = [f"id_{number}" for number in range(_AT_ONCE)]


def count(connection: Connection, transitions: Iterable[Transition], tally: Tally) -> list[Transition]:
    """Write the runs of transitions and tally what is news; return what a notifier would tell.

    What is news is looked up before it is written, so nobody else may write in between: SQLite's transactions
    begin with the lock for writing.
    """
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
    """Keep news, if anybody is to be told; the same news has the same event id, and is kept once."""
    if news and connection.scalar(select(receivers.c.receiver).limit(1)) is not None:
        statement = insert(connection, outbox).on_conflict_do_nothing(index_elements=["event"])
        connection.execute(statement, [_outbox_row(t) for t in news])


def event_id(transition: Transition) -> str:
    """Name a piece of news: the same at every attempt and in every process."""
    parts = [transition.source, transition.task.id, transition.run, transition.task.status.value]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _waves(transitions: Iterable[Transition]) -> Iterator[Wave]:
    """Split transitions so that no id comes twice in one wave: it is looked up before it is written."""
    wave: Wave = {}
    for transition in transitions:
        key = transition.source, transition.task.id
        if key in wave:
            yield wave
            wave = {}
        wave[key] = transition
    yield wave


def _count_wave(connection: Connection, wave: Wave, tally: Tally) -> list[Transition]:
    known = _find(connection, wave)
    begun = [t for key, t in wave.items() if t.opens and key not in known]
    ended = [t for key, t in wave.items() if t.counts and not known.get(key)]
    others = [t for t in wave.values() if not (t.opens or t.counts)]
    _OPEN.write(connection, [(t.source, t.task.id, t.run) for t in begun if not t.counts])
    _END.write(connection, [_ended_row(t) for t in ended])
    _REMEMBER.write(connection, [_ended_row(t) for t in others if _is_history(t)])
    # A run that got its name from the API only when it ended was not known by it: what it was called while it
    # ran, such as ``#0``, is free for the next one.
    renamed = [key for key, t in wave.items() if t.counts and not t.opens and known.get(key) is not False]
    _FORGET_UNFINISHED.write(connection, renamed)
    tally.discover(begun)
    tally.finish(ended)
    tally.puzzle(filter(_is_puzzling, (*begun, *others)))
    return [*ended, *filter(_is_amended, others)]


def _find(connection: Connection, wave: Wave) -> dict[Id, bool]:
    """Look up the runs of a wave: of which ids they are there, and whether they have ended."""
    found: dict[Id, bool] = {}
    for source in {source for source, _ in wave}:
        mine = [t for (of, _), t in wave.items() if of == source and (t.opens or t.counts)]
        for first in range(0, len(mine), _AT_ONCE):
            for task_id, run, status in _read_some(connection, source, mine[first : first + _AT_ONCE]):
                if wave[source, task_id].run == run:
                    found[source, task_id] = status is not None
    return found


def _read_some(connection: Connection, source: str, some: Sequence[Transition]) -> Sequence[tuple[Any, ...]]:
    """Read runs of these ids, those of the transitions among them.

    All runs of an id may be many; those in the range of the names that are looked for are few.
    """
    ids, names = [t.task.id for t in some], [t.run for t in some]
    ids += ids[:1] * (_AT_ONCE - len(ids))
    return _FIND.read(connection, (source, *ids, min(names), max(names)))


def _is_puzzling(transition: Transition) -> bool:
    """Whether a task has come to a status that nobody knows."""
    return transition.task.status is Status.UNKNOWN and transition.previous is not Status.UNKNOWN


def _is_history(transition: Transition) -> bool:
    """Whether an end is not ours to count."""
    news = transition.opens or transition.counts or transition.previous is not None
    return transition.task.status.is_final and not news


def _is_amended(transition: Transition) -> bool:
    """Whether a run that was counted turns out to have failed."""
    was_final = transition.previous is not None and transition.previous.is_final
    return was_final and transition.task.status.is_failed and not transition.counts


def _outbox_row(transition: Transition) -> Row:
    return {
        "event": event_id(transition),
        "status": transition.task.status.value,
        "payload": transition_to_json(transition),
    }


def _ended_row(transition: Transition) -> Values:
    task, took, queued = transition.task, transition.duration, transition.queued
    return (
        transition.source,
        task.id,
        transition.run,
        task.status.value,
        task.operation,
        None if task.finished_at is None else stamp(task.finished_at),
        None if took is None else micros(took),
        None if queued is None else micros(queued),
    )


def _opening(connection: Connection) -> ClauseElement:
    statement = insert(connection, runs).values(opened=true(), counted=false())
    return statement.on_conflict_do_nothing(index_elements=_RUN_KEY)


def _ending(connection: Connection) -> ClauseElement:
    statement = insert(connection, runs).values(opened=false(), counted=true())
    values = {name: statement.excluded[name] for name in ("counted", *_TOLD_AT_THE_END)}
    return statement.on_conflict_do_update(
        index_elements=_RUN_KEY, set_=values, where=runs.c.status.is_(None)
    )


def _remembering(connection: Connection) -> ClauseElement:
    statement = insert(connection, runs).values(opened=false(), counted=false())
    return statement.on_conflict_do_nothing(index_elements=_RUN_KEY)


def _forgetting(_: Connection) -> ClauseElement:
    mine = runs.c.source == bindparam("of"), runs.c.task_id == bindparam("id")
    return delete(runs).where(*mine, runs.c.status.is_(None))


def _finding(_: Connection) -> ClauseElement:
    """SQLite would search all of the key's index for ``(task_id, run) IN (...)``, which says the same."""
    ids: list[BindParameter[str]] = [bindparam(name) for name in _IDS]
    least, most = runs.c.run >= bindparam("least"), runs.c.run <= bindparam("most")
    found = select(runs.c.task_id, runs.c.run, runs.c.status)
    return found.where(runs.c.source == bindparam("of"), runs.c.task_id.in_(ids), least, most)


_OPEN = Prepared(_opening, _RUN_KEY)
"""Writes down a run that began."""
_END = Prepared(_ending, (*_RUN_KEY, *_TOLD_AT_THE_END))
"""Writes down a run that ended, whether it was there before or not."""
_REMEMBER = Prepared(_remembering, (*_RUN_KEY, *_TOLD_AT_THE_END))
"""Writes down an end that is not ours to count, so that it is not taken for news later."""
_FORGET_UNFINISHED = Prepared(_forgetting, ("of", "id"))
_FIND = Prepared(_finding, ("of", *_IDS, "least", "most"))
"""Reads runs of ids, always of so many: one may be asked for more than once."""
