"""What one reader of the live page has been told, and what is news to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from heapq import nsmallest
from typing import Protocol, Self

from exporter.clock import Moment
from exporter.store.board import Board
from exporter.store.entry import Entry
from exporter.web.tasks import Durations, describe, describe_runs, describe_source, estimate, runs
from exporter.web.views import Tasks

MAX_TASKS = 5000
"""How many tasks one page is told of: the more urgent and the newer ones."""
_LEAST_DURATIONS = 3
"""Fewer earlier runs tell nothing about what is usual."""
_Key = tuple[str, str, str]
"""Source, task id, run."""
News = dict[str, object]


class Reader(Protocol):
    """Somebody who is told what changes."""

    def news(self) -> News | None:
        """Tell what changed since the last call; all there is at the first one, None if nothing did."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """What a reader knows of a run."""

    entry: Entry
    stalled: bool
    overdue: bool
    ends: datetime | None

    @classmethod
    def of(cls, board: Board, entry: Entry, now: Moment, durations: Durations) -> Self:
        """What a run is like now."""
        return cls(
            entry,
            board.is_stalled(entry, now),
            board.is_overdue(entry, now),
            estimate(board.source, entry, now, durations),
        )

    def is_still_true(self, board: Board, entry: Entry, now: Moment) -> bool:
        """Whether there is nothing to add; an estimate holds until it has passed."""
        return (
            entry is self.entry
            and (self.ends is None or self.ends > now.wall)
            and board.is_stalled(entry, now) is self.stalled
            and board.is_overdue(entry, now) is self.overdue
        )


@dataclass(slots=True)
class AllTasks:
    """Tells of all sources and all tasks, without the details of each."""

    tasks: Tasks
    most: int = MAX_TASKS
    _told: dict[_Key, _Told] = field(default_factory=dict)
    _sources: dict[str, News] = field(default_factory=dict)
    _order: list[str] | None = None

    def news(self) -> News | None:
        """Tell the runs and sources that came, changed or went; what is empty is left out."""
        now, durations = self.tasks.now(), cache(self.tasks.durations)
        boards = self.tasks.boards()
        present = {
            (board.source, entry.task.id, entry.run): (board, entry)
            for board, entry in _first(boards, self.most)
        }
        gone = [list(key) for key in self._told if key not in present]
        self._told = {key: told for key, told in self._told.items() if key in present}
        changed = [
            self._tell(key, board, entry, now, durations)
            for key, (board, entry) in present.items()
            if key not in self._told or not self._told[key].is_still_true(board, entry, now)
        ]
        before = self._order
        sources = self._changed_sources()
        if before == self._order and not (changed or gone or sources):
            return None
        total = sum(len(board) for board in boards.values())
        news: News = {"now": _time(now), "tasks": changed, "gone": gone, "total": total}
        return news | {"sources": sources, "order": self._order}

    def _tell(self, key: _Key, board: Board, entry: Entry, now: Moment, durations: Durations) -> News:
        self._told[key] = _Told.of(board, entry, now, durations)
        return _without_empty(describe(board, entry, now, durations))

    def _changed_sources(self) -> list[News]:
        """The sources that changed; the names of all are noted in their order."""
        sources = {source.name: describe_source(source) for source in self.tasks.sources()}
        changed = [source for name, source in sources.items() if self._sources.get(name) != source]
        self._sources, self._order = sources, list(sources)
        return changed


@dataclass(slots=True)
class OneTask:
    """Tells of one task, in full."""

    tasks: Tasks
    source: str
    task_id: str
    _told: dict[str, _Told] = field(default_factory=dict)
    _health: tuple[object, ...] | None = None

    def news(self) -> News | None:
        """Tell everything about the task whenever something about it changed."""
        now, durations = self.tasks.now(), cache(self.tasks.durations)
        board = self.tasks.boards().get(self.source)
        info = next((source for source in self.tasks.sources() if source.name == self.source), None)
        health = (info is not None and info.up, info is not None and info.last_error)
        if health == self._health and self._is_still_true(board, now):
            return None
        self._health, self._told = health, {}
        news: News = {"now": _time(now), "task": None, "earlier_runs": []}
        news["source"] = describe_source(info) if info is not None else None
        if board is None or self.task_id not in board:
            return news
        self._told = {e.run: _Told.of(board, e, now, durations) for e in self._runs(board)}
        usual = _usual(durations(self.source, board[self.task_id].task.operation))
        return news | {"usual": usual} | (describe_runs(board, self.task_id, now, durations) or {})

    def _is_still_true(self, board: Board | None, now: Moment) -> bool:
        present = {entry.run: entry for entry in self._runs(board)} if board is not None else {}
        if board is None or self._told.keys() != present.keys():
            return not self._told and not present
        return all(told.is_still_true(board, present[run], now) for run, told in self._told.items())

    def _runs(self, board: Board) -> list[Entry]:
        current = [board[self.task_id]] if self.task_id in board else []
        return current + [entry for entry in board.past() if entry.task.id == self.task_id]


def _first(boards: Mapping[str, Board], most: int) -> Iterator[tuple[Board, Entry]]:
    """The runs of all boards; when there are too many, the more urgent ones."""
    found = ((board, entry) for board in boards.values() for entry in runs(board))
    if sum(len(board) for board in boards.values()) <= most:
        return found
    return iter(nsmallest(most, found, key=lambda pair: _rank(pair[1])))


def _rank(entry: Entry) -> tuple[int, float]:
    """Unfinished tasks come first, then failed ones, then the rest; each newest first."""
    if not entry.task.status.is_final:
        return 0, -entry.since.mono
    return (1 if entry.task.status.is_failed else 2), -entry.since.mono


def _usual(durations: Sequence[float]) -> News | None:
    """What earlier runs took: half of them at most, and nine of ten at most."""
    if len(durations) < _LEAST_DURATIONS:
        return None
    count = len(durations)
    return {"count": count, "half": durations[(count - 1) // 2], "most": durations[(9 * count - 1) // 10]}


def _without_empty(told: Mapping[str, object]) -> News:
    return {
        key: value for key, value in told.items() if value is not None and value is not False and value != ""
    }


def _time(now: Moment) -> str:
    return now.wall.isoformat().replace("+00:00", "Z")
