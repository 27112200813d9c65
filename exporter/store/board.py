"""What we know now about one source's tasks, and what is news about them.

A *run* is a task id plus whatever tells one execution of it from the next. The board keeps the
current run of every id, and beside it the earlier runs that ended lately, so that a failed run of
a task that is already waiting for its next one still shows.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from exporter.clock import Moment
from exporter.model import FINAL, Status, Task, Transition, WatchedId
from exporter.store.entry import BoardRules, Entry, Key, Sighting, age, duration, queued, recalled
from exporter.store.page import Written

_MERGED = ("created_at", "ready_at", "started_at", "expected", "name", "run")
"""What a task does not lose when a later answer leaves it out."""
_merged = attrgetter(*_MERGED)
_NUMBERED = re.compile(r"#\d+")


@dataclass(slots=True)
class Board:
    """The tasks of one source. Pure: no clock, no I/O."""

    source: str
    rules: BoardRules
    written: Written = field(default_factory=Written)
    """What the metrics wrote of the current runs when they were last told; for them to keep."""
    _current: dict[str, Entry] = field(default_factory=dict)
    _past: dict[Key, Entry] = field(default_factory=dict)
    _counted: dict[str, set[str]] = field(default_factory=dict)
    _unshown: set[Key] = field(default_factory=set)
    _changed: dict[Key, Entry | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._current) + len(self._past)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._current

    def __getitem__(self, task_id: str) -> Entry:
        return self._current[task_id]

    def get(self, task_id: str) -> Entry | None:
        """Look up the current run of an id."""
        return self._current.get(task_id)

    def current(self) -> Iterator[Entry]:
        """The current run of every id."""
        return iter(self._current.values())

    def current_by_id(self) -> dict[str, Entry]:
        """A copy of the current run of every id."""
        return self._current.copy()

    def past(self) -> Iterator[Entry]:
        """Earlier runs that ended lately, of ids that run or wait again."""
        return iter(self._past.values())

    def unfinished(self) -> Iterator[Entry]:
        """The runs that have not ended."""
        return (entry for entry in self._current.values() if entry.task.status not in FINAL)

    def apply(self, task: Task, seen: Sighting) -> Transition | None:
        """Take in what an API told about a task; return what is news about it, if anything."""
        known = self._current.get(task.id)
        task = self._settle(task, known, seen.watched)
        if self._comes_back(task, seen):
            return None  # An old answer, or the API contradicts itself.
        if known is None:
            return self._first_sight(task, seen)
        self._note_counted(task.id, seen.counted)
        if known.task.status.is_final:
            return self._after_the_end(known, task, seen)
        return self._while_unfinished(known, task, seen)

    def restore(self, entries: Iterable[Entry], now: Moment) -> None:
        """Put back what an earlier process had on its board."""
        for entry in sorted(entries, key=_succession):
            self._put(recalled(entry, now))
            if entry.ended is not None:
                self._note_counted(entry.task.id, (entry.run,))
            self._changed.pop(_key_of(entry))  # It is stored as it is.

    def changes(self) -> tuple[list[Entry], list[Key]]:
        """What came, moved and went since the last call: rows to keep, and rows to forget."""
        kept = [entry for entry in self._changed.values() if entry is not None]
        gone = [key for key, entry in self._changed.items() if entry is None]
        self._changed.clear()
        return kept, gone

    def drop(self, task_id: str) -> Entry | None:
        """Forget an unfinished run that its API does not know any more."""
        entry = self._current.get(task_id)
        if entry is None or entry.task.status.is_final:
            return None
        self._remove(entry)
        self._counted.pop(task_id, None)
        return entry

    def unshown(self) -> set[Key]:
        """The ended runs that no scrape has shown yet."""
        return set(self._unshown)

    def show(self, keys: Iterable[Key], now: Moment) -> None:
        """Note that a scrape showed the ends of these runs."""
        for key in self._unshown.intersection(keys):
            self._unshown.discard(key)
            entry = self._find(key)
            if entry is not None:
                self._set(replace(entry, shown=now))

    def sweep(self, now: Moment) -> list[Entry]:
        """Take down the ended runs that have been shown for long enough."""
        ended = [e for e in (*self._current.values(), *self._past.values()) if e.ended is not None]
        old = [entry for entry in ended if self._is_over(entry, now)]
        surplus = len(ended) - len(old) - self.rules.max_finished
        if surplus > 0:
            gone = {id(entry) for entry in old}
            rest = [entry for entry in ended if id(entry) not in gone]
            rest.sort(key=lambda e: (e.task.status.is_failed, e.ended.mono if e.ended else 0.0))
            old += rest[:surplus]
        for entry in old:
            self._remove(entry)
            if entry.task.id not in self._current:
                self._counted.pop(entry.task.id, None)
        return old

    def is_stalled(self, entry: Entry, now: Moment) -> bool:
        """Whether a running task's progress has not moved for ``stalled_after``."""
        return bool(self.stalled((entry,), now))

    def stalled(self, entries: Iterable[Entry], now: Moment) -> list[Entry]:
        """Those of these runs that are stalled."""
        last = now.mono - self.rules.stalled_after.total_seconds()
        return [e for e in entries if e.moved.mono <= last and e.task.status is Status.RUNNING]

    def is_overdue(self, entry: Entry, now: Moment) -> bool:
        """Whether an unfinished task is older than ``deadline``."""
        deadline = self.rules.deadline
        return deadline is not None and not entry.task.status.is_final and age(entry, now) >= deadline

    def _settle(self, task: Task, known: Entry | None, watched: WatchedId | None) -> Task:
        """Fill in what the operator knows better than the API, and what it told before."""
        changes: dict[str, object] = {}
        if known is not None and not known.task.status.is_final:
            told = zip(_MERGED, _merged(task), _merged(known.task), strict=True)
            changes = {name: before for name, now, before in told if before and not now}
        if watched is not None and watched.name and not task.name:
            changes["name"] = watched.name
        operation = self._operation(task, known, watched)
        if operation != task.operation:
            changes["operation"] = operation
        return replace(task, **changes) if changes else task  # type: ignore[arg-type]

    def _operation(self, task: Task, known: Entry | None, watched: WatchedId | None) -> str:
        if watched is not None and watched.operation:
            return watched.operation
        if known is not None and known.task.operation:
            return known.task.operation
        for rule in self.rules.operation_rules:
            if rule.match.search(task.name):
                return rule.operation
        return task.operation

    def _first_sight(self, task: Task, seen: Sighting) -> Transition | None:
        self._note_counted(task.id, seen.counted)
        news = self._ended_unseen(task, seen) if task.status.is_final else self._open(task, seen)
        if task.id not in self._current:
            self._counted.pop(task.id, None)
        return news

    def _while_unfinished(self, known: Entry, task: Task, seen: Sighting) -> Transition | None:
        if task.status.is_final:
            if self._is_other_run(known, task, seen):
                return self._ended_unseen(task, seen)
            return self._end(known, task, seen)
        if _is_another_run(known.task, task):
            return self._open(task, seen)
        return self._update(known, task, seen)

    def _after_the_end(self, known: Entry, task: Task, seen: Sighting) -> Transition | None:
        if task.status.is_final:
            if _is_another_run(known.task, task):
                return self._ended_unseen(task, seen)
            return self._amend(known, task, seen)
        if known.ended is not None and seen.asked < known.ended.mono:
            return None  # An answer that was asked for before we learned of the end.
        return self._open(task, seen)

    def _open(self, task: Task, seen: Sighting) -> Transition:
        entry = Entry(
            task=task,
            run=self._key(task),
            first_seen=seen.at,
            since=seen.at,
            moved=seen.at,
            running=seen.at if task.status is Status.RUNNING else None,
        )
        self._put(entry)
        return self._news(entry, None, opens=True)

    def _update(self, known: Entry, task: Task, seen: Sighting) -> Transition | None:
        if task == known.task:
            return None
        changed = task.status is not known.task.status
        moved = changed or _has_moved(known.task, task)
        starts = known.running is None and task.status is Status.RUNNING
        entry = replace(
            known,
            task=task,
            since=seen.at if changed else known.since,
            moved=seen.at if moved else known.moved,
            running=seen.at if starts else known.running,
        )
        self._set(entry)
        return self._news(entry, known.task.status, at=seen.at) if changed else None

    def _end(self, known: Entry, task: Task, seen: Sighting) -> Transition:
        run = task.run or known.run
        if run != known.run:
            self._remove(known)
        entry = replace(known, task=task, run=run, since=seen.at, moved=seen.at, ended=seen.at)
        return self._close(entry, known.task.status)

    def _ended_unseen(self, task: Task, seen: Sighting) -> Transition | None:
        """A run that was never seen before it ended: news, history, or known already."""
        if self._is_counted(task):
            return None
        if _is_history(task, seen):
            return self._history(task, seen)
        entry = Entry(
            task=task,
            run=self._key(task),
            first_seen=seen.at,
            since=seen.at,
            moved=seen.at,
            ended=seen.at,
        )
        return self._close(entry, None)

    def _history(self, task: Task, seen: Sighting) -> Transition | None:
        """An end that is not ours to count; it is remembered only where no time tells it later."""
        if _end_time(task) is not None:
            return None
        run = self._key(task)
        return Transition(
            source=self.source,
            task=task,
            run=run,
            previous=None,
            at=seen.at.wall,
            opens=False,
            counts=False,
        )

    def _close(self, entry: Entry, previous: Status | None) -> Transition:
        current = self._current.get(entry.task.id)
        if current is not None and current.run != entry.run and _is_later(current, entry):
            self._past[_key_of(entry)] = entry
            self._set(entry)
        else:
            self._put(entry)
        self._unshown.add(_key_of(entry))
        self._note_counted(entry.task.id, (entry.run,))
        return self._news(entry, previous, opens=previous is None, counts=True)

    def _amend(self, known: Entry, task: Task, seen: Sighting) -> Transition | None:
        """A final status that the API corrected: shown, but not counted again."""
        if task.status is known.task.status:
            if task != known.task:
                self._set(replace(known, task=task))
            return None
        entry = replace(known, task=task, since=seen.at, shown=None)
        self._set(entry)
        self._unshown.add(_key_of(entry))
        return self._news(entry, known.task.status, at=seen.at)

    def _news(
        self,
        entry: Entry,
        previous: Status | None,
        *,
        at: Moment | None = None,
        opens: bool = False,
        counts: bool = False,
    ) -> Transition:
        return Transition(
            source=self.source,
            task=entry.task,
            run=entry.run,
            previous=previous,
            at=(at or entry.since).wall,
            opens=opens,
            counts=counts,
            duration=duration(entry) if counts else None,
            queued=queued(entry.task) if counts else None,
        )

    def _is_other_run(self, known: Entry, task: Task, seen: Sighting) -> bool:
        """Whether an ended run is not the unfinished one that we know, but an earlier one."""
        if not task.run:
            return False
        if task.run in self._counted.get(task.id, ()) or _is_another_run(known.task, task):
            return True
        return not known.task.run and _is_history(task, seen)

    def _comes_back(self, task: Task, seen: Sighting) -> bool:
        """Whether a named run is told as unfinished after its end."""
        if task.status.is_final or not task.run:
            return False
        return task.run in seen.counted or task.run in self._counted.get(task.id, ())

    def _note_counted(self, task_id: str, runs: Collection[str]) -> None:
        if runs:  # Most ids have none: an empty set for each would be a sixth of all that is kept of a task.
            self._counted.setdefault(task_id, set()).update(runs)

    def _key(self, task: Task) -> str:
        """The run's key in the ledger: the API's own, or the number of times the id was reopened."""
        if task.run:
            return task.run
        numbers = [int(run[1:]) for run in self._counted.get(task.id, ()) if _NUMBERED.fullmatch(run)]
        return f"#{max(numbers, default=-1) + 1}"

    def _is_counted(self, task: Task) -> bool:
        """Whether this ended run is in the ledger; an unnamed one is the last that was counted."""
        counted = self._counted.get(task.id, ())
        return task.run in counted if task.run else bool(counted)

    def _put(self, entry: Entry) -> None:
        """Make a run the current one of its id; an ended one before it is kept beside it."""
        previous = self._current.get(entry.task.id)
        if previous is not None and previous.run != entry.run:
            if previous.ended is not None:
                self._past[_key_of(previous)] = previous
            else:
                self._changed[_key_of(previous)] = None
        self._current[entry.task.id] = entry
        self._changed[_key_of(entry)] = entry
        if entry.ended is not None and entry.shown is None:
            self._unshown.add(_key_of(entry))

    def _set(self, entry: Entry) -> None:
        """Replace a run that is on the board by its newer self."""
        key = _key_of(entry)
        if key in self._past:
            self._past[key] = entry
        else:
            self._current[entry.task.id] = entry
        self._changed[key] = entry

    def _find(self, key: Key) -> Entry | None:
        current = self._current.get(key[0])
        return current if current is not None and current.run == key[1] else self._past.get(key)

    def _remove(self, entry: Entry) -> None:
        key = _key_of(entry)
        self._unshown.discard(key)
        self._changed[key] = None
        if self._past.pop(key, None) is None:
            del self._current[entry.task.id]

    def _is_over(self, entry: Entry, now: Moment) -> bool:
        keep = self.rules.keep_failed if entry.task.status.is_failed else self.rules.keep
        return entry.shown is not None and entry.shown.until(now) >= keep


def _key_of(entry: Entry) -> Key:
    return entry.task.id, entry.run


def _succession(entry: Entry) -> tuple[bool, datetime]:
    """Sorts runs by their ends, the one under way last: it is the present one, whenever it was first seen."""
    return entry.ended is None, (entry.ended or entry.first_seen).wall


def _is_another_run(known: Task, task: Task) -> bool:
    return bool(known.run and task.run and known.run != task.run)


def _is_history(task: Task, seen: Sighting) -> bool:
    ended = _end_time(task)
    if ended is None:
        return seen.first_listing and not seen.wanted
    if seen.oldest is not None and ended < seen.oldest:
        return True
    return not seen.wanted and seen.since is not None and ended < seen.since


def _end_time(task: Task) -> datetime | None:
    return task.finished_at or task.updated_at


def _is_later(current: Entry, entry: Entry) -> bool:
    """Whether the current run came after *entry*'s, which has ended."""
    if not current.task.status.is_final:
        return True
    ended, end = _end_time(current.task), _end_time(entry.task)
    return ended is not None and end is not None and ended > end


def _has_moved(before: Task, after: Task) -> bool:
    return (
        before.progress != after.progress
        or before.processed != after.processed
        or before.subtasks != after.subtasks
    )
