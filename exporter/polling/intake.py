"""The way of a task from an answer to the board and into the ledger."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from types import NoneType

import structlog

from exporter.clock import Clock
from exporter.errors import Malformed
from exporter.model import Status, Subtask, Task, Transition, WatchedId
from exporter.store.board import Board
from exporter.store.entry import Sighting
from exporter.store.ledger import Change, Ledger
from exporter.store.patience import insist

_MOST_WORDS = 100
_TIMES = ("created_at", "ready_at", "started_at", "finished_at", "updated_at")
_TEXTS = ("id", "word", "operation", "name", "message", "error_code", "detail", "parent_id", "run")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "status": (Status,),
    "progress": (float, int, NoneType),
    "duration": (timedelta, NoneType),
    "processed": (int, NoneType),
    "expected": (int, NoneType),
    "subtasks": (tuple,),
    **dict.fromkeys(_TEXTS, (str,)),
    **dict.fromkeys(_TIMES, (datetime, NoneType)),
}
"""What each field of a task is, for API modules of others are not always looked at by mypy."""
_fields, _times = attrgetter(*_KINDS), attrgetter(*_TIMES)


def checked(task: object) -> Task:
    """See that a task is what an API module may tell; text that no database takes is made fit for one.

    Raises:
        Malformed: it is no task, has something else in it than a task has, or a time without a zone, which
            compares with no other.
    """
    if not isinstance(task, Task):
        raise Malformed(f"the API module told no task, but {type(task).__name__}")
    _check_fields(task)
    if f"{task.id}{task.operation}{task.run}".isascii():
        return task
    return replace(task, id=_storable(task.id), operation=_storable(task.operation), run=_storable(task.run))


def _check_fields(task: Task) -> None:
    if not all(map(isinstance, _fields(task), _KINDS.values())):
        name, told = _misfit(task)
        raise Malformed(f"the API module told {name} of task {task.id!r} as {told}")
    if task.subtasks and not all(map(_is_subtask, task.subtasks)):
        raise Malformed(f"the API module told parts of task {task.id!r} that are no subtasks with a status")
    for name, time in zip(_TIMES, _times(task), strict=True):
        if time is not None and time.tzinfo is not UTC and time.utcoffset() is None:
            raise Malformed(f"the API module told {name} of task {task.id!r} without a time zone")


def _is_subtask(part: object) -> bool:
    return isinstance(part, Subtask) and isinstance(part.status, Status)


def _misfit(task: Task) -> tuple[str, str]:
    """The first field that is something else than it should be, and what it is."""
    told = zip(_KINDS.items(), _fields(task), strict=True)
    return next((name, type(value).__name__) for (name, kinds), value in told if not isinstance(value, kinds))


class Intake:
    """Applies what an API told to the board, and hands what is news to the ledger."""

    def __init__(self, board: Board, ledger: Ledger, clock: Clock) -> None:
        self.board = board
        self._ledger = ledger
        self._clock = clock
        self._words: set[str] = set()
        self._log = structlog.get_logger().bind(source=board.source)

    def asked_for(
        self, task: Task, asked: float, watched: WatchedId | None, counted: Collection[str] = ()
    ) -> None:
        """Take in a task that was asked for by its id."""
        now = self._clock.moment()
        seen = Sighting(
            at=now,
            asked=asked,
            wanted=True,
            watched=watched,
            oldest=self._ledger.oldest(self.board.source, now.wall),
            counted=counted,
        )
        news = self._apply(task, seen)
        if news is not None:
            self.record([news])

    def listed(
        self,
        task: Task,
        asked: float,
        watched: WatchedId | None,
        *,
        since: datetime | None,
        first_listing: bool,
        counted: Collection[str],
    ) -> Transition | None:
        """Take in a task that was listed; what is news is to be recorded with its whole listing."""
        now = self._clock.moment()
        seen = Sighting(
            at=now,
            asked=asked,
            wanted=watched is not None,
            since=since,
            oldest=self._ledger.oldest(self.board.source, now.wall),
            first_listing=first_listing,
            counted=counted,
            watched=watched,
        )
        return self._apply(task, seen)

    async def counted(self, ids: Collection[str]) -> dict[str, set[str]]:
        """The runs of these ids that are in the ledger already.

        A ledger that cannot be read just now is asked again: better to be late than to take for news
        what was counted.
        """
        if not ids:
            return {}
        return await insist(
            partial(self._ledger.counted, self.board.source, ids),
            partial(self._log.error, "The ledger cannot be read, will retry"),
        )

    def record(
        self,
        news: Sequence[Transition] = (),
        *,
        reached: datetime | None = None,
        lost: str = "",
    ) -> None:
        """Hand news to the ledger, together with what else has moved on the board since.

        Args:
            news: the transitions, oldest first.
            reached: how far the listing that told them reached, by the server's clock.
            lost: why a task was lost, if one was.
        """
        source = self.board.source
        kept, gone = self.board.changes()
        if not (news or kept or gone or reached or lost):
            return
        self._ledger.record(
            Change(
                transitions=news,
                entries=[(source, entry) for entry in kept],
                removed=[(source, *key) for key in gone],
                listed={source: reached} if reached else {},
                lost=[(source, lost)] if lost else [],
            )
        )

    def _apply(self, task: Task, seen: Sighting) -> Transition | None:
        if task.status is Status.UNKNOWN and task.word not in self._words:
            self._note(task)
        return self.board.apply(task, seen)

    def _note(self, task: Task) -> None:
        if len(self._words) < _MOST_WORDS:
            self._words.add(task.word)
            self._log.warning("Unknown status; the task is watched on", task=task.id, status=task.word)


def _storable(text: str) -> str:
    """The text without lone surrogates, which JSON may tell and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode()
