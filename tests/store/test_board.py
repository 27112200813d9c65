"""The board: what is news about a task, told once."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.clock import Moment
from exporter.model import Status, Subtask, Task, WatchedId
from exporter.store.board import Board
from exporter.store.entry import BoardRules, OperationRule, Sighting, age, duration, entered, queued

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def moment(seconds: float) -> Moment:
    """A moment so many seconds after the start."""
    return Moment(START + timedelta(seconds=seconds), 1000.0 + seconds)


def at(seconds: float) -> datetime:
    """The date of that moment."""
    return moment(seconds).wall


def seen(seconds: float, **more: object) -> Sighting:
    """A sighting at that moment, asked for at the same moment."""
    values: dict[str, object] = {"at": moment(seconds), "asked": 1000.0 + seconds, "since": START} | more
    return Sighting(**values)  # type: ignore[arg-type]


def task(status: Status, **more: object) -> Task:
    """A task with the id "1"."""
    values: dict[str, object] = {"id": "1", "status": status} | more
    return Task(**values)  # type: ignore[arg-type]


@pytest.fixture
def board() -> Board:
    """A board with rules that are easy to reckon with."""
    rules = BoardRules(
        keep=timedelta(seconds=60),
        keep_failed=timedelta(seconds=600),
        stalled_after=timedelta(seconds=100),
        deadline=timedelta(seconds=1000),
        operation_rules=(OperationRule(match=re.compile("^Import"), operation="import"),),
    )
    return Board("epm", rules)


def test_a_new_task_opens_a_run_and_counts_nothing(board: Board) -> None:
    """The first sight of an unfinished task is a discovery."""
    news = board.apply(task(Status.RUNNING), seen(1))
    assert news is not None
    assert (news.opens, news.counts, news.previous, news.run) == (True, False, None, "#0")


def test_a_task_that_stays_as_it_is_is_no_news(board: Board) -> None:
    """Only a change of status is a transition; progress alone is not."""
    board.apply(task(Status.RUNNING, progress=0.1), seen(1))
    assert board.apply(task(Status.RUNNING, progress=0.2), seen(2)) is None
    assert board["1"].task.progress == 0.2


def test_the_end_of_a_known_task_counts_once(board: Board) -> None:
    """Running to error is counted; the same answer again is not."""
    board.apply(task(Status.RUNNING), seen(1))
    news = board.apply(task(Status.ERROR), seen(5))
    assert news is not None
    assert (news.opens, news.counts, news.previous) == (False, True, Status.RUNNING)
    assert board.apply(task(Status.ERROR), seen(6)) is None


def test_a_known_task_counts_even_if_its_clock_says_it_ended_long_ago(board: Board) -> None:
    """What we saw running is never history, however skewed the API's clock is."""
    board.apply(task(Status.RUNNING), seen(1))
    news = board.apply(task(Status.ERROR, finished_at=at(-7200)), seen(5))
    assert news is not None
    assert news.counts


def test_first_seen_ended_before_the_watermark_is_history(board: Board) -> None:
    """The first start against a system with old failures pages nobody."""
    assert board.apply(task(Status.ERROR, finished_at=at(-1)), seen(1)) is None
    assert len(board) == 0


def test_first_seen_ended_after_the_watermark_counts(board: Board) -> None:
    """A task that failed while the exporter was down is counted when it comes back."""
    news = board.apply(task(Status.ERROR, finished_at=at(3), started_at=at(1)), seen(5))
    assert news is not None
    assert (news.opens, news.counts, news.duration) == (True, True, timedelta(seconds=2))


def test_first_seen_ended_counts_when_somebody_asked_for_it(board: Board) -> None:
    """A watched id is counted however long ago it ended, and without any time at all."""
    news = board.apply(task(Status.ERROR, finished_at=at(-999)), seen(1, wanted=True))
    assert news is not None
    assert news.counts
    other = board.apply(task(Status.ERROR, id="2"), seen(1, wanted=True))
    assert other is not None
    assert other.counts


def test_a_watched_id_that_ended_before_retention_is_not_counted_again(board: Board) -> None:
    """What the ledger may have forgotten is history even for a watched id."""
    sighting = seen(1, wanted=True, oldest=at(-100))
    assert board.apply(task(Status.ERROR, finished_at=at(-101)), sighting) is None


def test_ends_without_times_are_history_in_the_first_listing_only(board: Board) -> None:
    """Where no time tells, the first listing ever draws the line, and is remembered."""
    history = board.apply(task(Status.ERROR), seen(1, first_listing=True))
    assert history is not None
    assert (history.opens, history.counts) == (False, False)
    assert len(board) == 0
    news = board.apply(task(Status.ERROR, id="2"), seen(2))
    assert news is not None
    assert news.counts


def test_a_run_in_the_ledger_is_known_after_it_left_the_board(board: Board) -> None:
    """The ledger's word suffices, named or not."""
    assert board.apply(task(Status.ERROR, finished_at=at(3)), seen(5, counted={"#0"})) is None
    assert board.apply(task(Status.ERROR, run="a", finished_at=at(3)), seen(5, counted={"a"})) is None
    assert len(board) == 0


def test_leaving_a_final_status_begins_a_new_run(board: Board) -> None:
    """An id that is reopened may fail, and be counted, again."""
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.ERROR), seen(2))
    reopened = board.apply(task(Status.PENDING), seen(3))
    assert reopened is not None
    assert (reopened.opens, reopened.run) == (True, "#1")
    again = board.apply(task(Status.ERROR), seen(4))
    assert again is not None
    assert (again.counts, again.run) == (True, "#1")


def test_the_failed_run_still_shows_while_its_id_waits_again(board: Board) -> None:
    """A scheduled task that failed and waits for its next run has not stopped having failed."""
    board.apply(task(Status.RUNNING, run="a"), seen(1))
    board.apply(task(Status.ERROR, run="a"), seen(2))
    board.apply(task(Status.PENDING), seen(3))
    assert [entry.run for entry in board.past()] == ["a"]
    assert board["1"].task.status is Status.PENDING
    assert board.unshown() == {("1", "a")}
    board.show(board.unshown(), moment(4))
    assert not board.sweep(moment(603))
    assert [entry.run for entry in board.sweep(moment(604))] == ["a"]


def test_a_reopened_id_is_numbered_on_after_a_restart(board: Board) -> None:
    """The number of a run goes on from what the ledger knows."""
    news = board.apply(task(Status.RUNNING), seen(1, counted={"#0", "#4", "2026-01-01"}))
    assert news is not None
    assert news.run == "#5"


def test_an_answer_asked_for_before_the_end_was_known_is_stale(board: Board) -> None:
    """A slow answer that still says running does not reopen a task that has ended."""
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.ERROR), seen(5))
    assert board.apply(task(Status.RUNNING), seen(6, asked=1004.0)) is None
    assert board["1"].task.status is Status.ERROR


def test_a_named_run_that_ended_cannot_come_back(board: Board) -> None:
    """The same id and start, running after its end, is a contradiction and ignored."""
    board.apply(task(Status.RUNNING, run="a"), seen(1))
    board.apply(task(Status.ERROR, run="a"), seen(2))
    assert board.apply(task(Status.RUNNING, run="a"), seen(3)) is None
    assert board["1"].task.status is Status.ERROR


def test_an_earlier_run_is_counted_beside_the_one_that_goes_on(board: Board) -> None:
    """A whole-history answer may tell of a run that ended unseen while the next one waits."""
    board.apply(task(Status.RUNNING, run="b", started_at=at(10)), seen(11))
    news = board.apply(task(Status.ERROR, run="a", started_at=at(1), finished_at=at(5)), seen(12))
    assert news is not None
    assert (news.run, news.counts, news.opens) == ("a", True, True)
    assert board["1"].run == "b"
    assert board["1"].task.status is Status.RUNNING
    assert [entry.run for entry in board.past()] == ["a"]


def test_an_old_run_from_the_history_does_not_end_the_one_that_waits(board: Board) -> None:
    """A waiting interval task is not ended by a document of before the first start."""
    board.apply(task(Status.PENDING), seen(1))
    assert board.apply(task(Status.SUCCESS, run="old", finished_at=at(-50)), seen(2)) is None
    assert board["1"].task.status is Status.PENDING


def test_a_waiting_task_takes_the_name_of_the_run_that_it_becomes(board: Board) -> None:
    """An unnamed run that ends under a name is the same run, filed under the name."""
    board.apply(task(Status.PENDING), seen(1))
    board.changes()
    news = board.apply(task(Status.SUCCESS, run="a", finished_at=at(3)), seen(4))
    assert news is not None
    assert (news.run, news.opens, news.counts) == ("a", False, True)
    kept, gone = board.changes()
    assert [entry.run for entry in kept] == ["a"]
    assert gone == [("1", "#0")]


def test_a_corrected_final_status_is_shown_and_not_counted(board: Board) -> None:
    """The API changed its mind: the board shows it, the counters have counted."""
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.CANCELLED), seen(2))
    board.show(board.unshown(), moment(3))
    news = board.apply(task(Status.ERROR), seen(4))
    assert news is not None
    assert (news.counts, news.opens, news.previous) == (False, False, Status.CANCELLED)
    assert board["1"].shown is None


def test_unknown_words_keep_the_task_on_the_board(board: Board) -> None:
    """An unknown status is a status like another one, and not an end."""
    board.apply(task(Status.RUNNING), seen(1))
    news = board.apply(task(Status.UNKNOWN, word="QUE"), seen(2))
    assert news is not None
    assert not news.counts
    assert [entry.task.id for entry in board.unfinished()] == ["1"]


def test_an_end_stays_until_a_scrape_showed_it_and_the_time_is_over(board: Board) -> None:
    """A scrape gap hides no failure: keeping counts from the first scrape that showed it."""
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.ERROR), seen(2))
    assert not board.sweep(moment(100_000))
    board.show(board.unshown(), moment(100_000))
    assert not board.sweep(moment(100_599))
    assert [entry.task.id for entry in board.sweep(moment(100_600))] == ["1"]
    assert len(board) == 0


def test_an_end_that_came_after_the_snapshot_was_not_shown(board: Board) -> None:
    """A scrape shows what it was made of, not what came while it was on its way."""
    before = board.unshown()
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.ERROR), seen(2))
    board.show(before, moment(3))
    assert not board.sweep(moment(100_000))


def test_keeping_does_not_follow_a_wall_clock_that_jumps(board: Board) -> None:
    """An hour's jump of the date takes nothing off the board."""
    board.apply(task(Status.RUNNING), seen(1))
    board.apply(task(Status.ERROR), seen(2))
    board.show(board.unshown(), moment(3))
    jumped = Moment(at(3600), 1004.0)
    assert not board.sweep(jumped)


def test_while_nobody_scrapes_the_oldest_good_ends_go_first() -> None:
    """The board stays bounded, and lets go of failures last."""
    board = Board("epm", BoardRules(max_finished=2))
    for number, status in enumerate((Status.ERROR, Status.SUCCESS, Status.SUCCESS)):
        board.apply(task(Status.RUNNING, id=str(number)), seen(number))
        board.apply(task(status, id=str(number)), seen(number))
    assert [entry.task.id for entry in board.sweep(moment(10))] == ["1"]


def test_a_run_under_way_stays_the_present_one_over_a_restart(board: Board) -> None:
    """Though an earlier run of its id, which had ended unseen, was seen first after it."""
    board.apply(task(Status.RUNNING, run="b", progress=0.5), seen(1))
    board.apply(task(Status.ERROR, run="a", finished_at=at(0)), seen(5))
    kept, _ = board.changes()
    again = Board("epm", board.rules)
    again.restore(kept, moment(10))
    assert (again["1"].run, [entry.run for entry in again.past()]) == ("b", ["a"])
    assert again.changes() == ([], [])


def test_a_restart_puts_everything_back(board: Board) -> None:
    """Unfinished and ended runs, and what had been shown, survive; nothing is news again."""
    board.apply(task(Status.RUNNING, run="a"), seen(1))
    board.apply(task(Status.ERROR, run="a"), seen(2))
    board.apply(task(Status.PENDING), seen(3))
    board.show(board.unshown(), moment(4))
    kept, _ = board.changes()
    again = Board("epm", board.rules)
    later = Moment(at(64), 5.0)
    again.restore(kept, later)
    assert again["1"].task.status is Status.PENDING
    assert [entry.run for entry in again.past()] == ["a"]
    assert again.apply(task(Status.ERROR, run="a", finished_at=at(2)), replace(seen(0), at=later)) is None
    assert not again.sweep(Moment(at(603), 544.0))
    assert again.sweep(Moment(at(604), 545.0))


def test_changes_are_told_once(board: Board) -> None:
    """What has to be stored is handed over once."""
    board.apply(task(Status.RUNNING), seen(1))
    assert len(board.changes()[0]) == 1
    assert board.changes() == ([], [])
    board.drop("1")
    assert board.changes() == ([], [("1", "#0")])


def test_a_later_answer_that_leaves_out_the_start_does_not_lose_it(board: Board) -> None:
    """Times that were told once are kept when the final document is shorter."""
    board.apply(task(Status.RUNNING, started_at=at(0), name="Import x"), seen(1))
    news = board.apply(task(Status.SUCCESS, finished_at=at(9)), seen(10))
    assert news is not None
    assert news.duration == timedelta(seconds=9)
    assert news.task.name == "Import x"


def test_operations_come_from_the_person_then_the_rules_then_the_api(board: Board) -> None:
    """Who knows best decides."""
    named = task(Status.RUNNING, name="Import the job", operation="api")
    watched = WatchedId(id="1", operation="nightly")
    for given, expected in ((watched, "nightly"), (None, "import")):
        fresh = Board("epm", board.rules)
        fresh.apply(named, seen(1, watched=given))
        assert fresh["1"].task.operation == expected
    board.apply(task(Status.RUNNING, operation="api"), seen(1))
    assert board["1"].task.operation == "api"


def test_stalled_means_running_without_progress(board: Board) -> None:
    """Progress, records or subtasks that move put it off; waiting tasks do not stall."""
    parts = (Subtask(id="a", status=Status.RUNNING),)
    board.apply(task(Status.RUNNING, subtasks=parts), seen(0))
    assert not board.is_stalled(board["1"], moment(99))
    assert board.is_stalled(board["1"], moment(100))
    board.apply(task(Status.RUNNING, subtasks=(Subtask(id="a", status=Status.SUCCESS),)), seen(100))
    assert not board.is_stalled(board["1"], moment(150))
    board.apply(task(Status.PENDING, id="2"), seen(0))
    assert not board.is_stalled(board["2"], moment(500))


def test_overdue_counts_from_the_start_that_the_api_tells(board: Board) -> None:
    """An unfinished task older than the deadline is overdue; an ended one never."""
    board.apply(task(Status.RUNNING, started_at=at(-900)), seen(0))
    assert not board.is_overdue(board["1"], moment(99))
    assert board.is_overdue(board["1"], moment(100))
    board.apply(task(Status.SUCCESS), seen(100))
    assert not board.is_overdue(board["1"], moment(200))


def test_a_task_scheduled_for_later_has_not_waited_yet(board: Board) -> None:
    """Its waiting begins when its time comes, and its age is never negative."""
    board.apply(task(Status.PENDING, created_at=at(-50), ready_at=at(500)), seen(0))
    assert entered(board["1"]) == at(500)
    assert age(board["1"], moment(0)) == timedelta(0)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"started_at": at(0), "finished_at": at(8)}, 8.0),
        ({"started_at": at(8), "finished_at": at(0)}, None),
        ({"duration": timedelta(seconds=332)}, 332.0),
        ({"started_at": at(-5)}, 25.0),
        ({}, 15.0),
    ],
)
def test_durations_by_times_by_word_or_by_our_own_eyes(
    board: Board, told: dict[str, object], expected: float | None
) -> None:
    """Times first, then the API's own duration, then from first seen running to first seen ended."""
    board.apply(task(Status.PENDING), seen(1))
    board.apply(task(Status.RUNNING), seen(5))
    board.apply(task(Status.SUCCESS, **told), seen(20))
    measured = duration(board["1"])
    assert (measured.total_seconds() if measured else None) == expected


def test_a_task_that_was_cancelled_while_it_waited_has_no_duration(board: Board) -> None:
    """It never started, as its API's times tell: waiting is not working."""
    board.apply(task(Status.PENDING, created_at=at(0)), seen(1))
    news = board.apply(task(Status.CANCELLED, created_at=at(0), finished_at=at(9)), seen(10))
    assert news is not None
    assert news.duration is None


def test_nobody_can_tell_the_duration_of_a_task_first_seen_ended(board: Board) -> None:
    """An end without a beginning has no duration, rather than zero."""
    news = board.apply(task(Status.SUCCESS), seen(1, wanted=True))
    assert news is not None
    assert news.duration is None


def test_queueing_is_from_ready_to_start() -> None:
    """Unblocked or scheduled first, created otherwise; contradictions tell nothing."""
    started = task(Status.RUNNING, created_at=at(0), started_at=at(10))
    assert queued(started) == timedelta(seconds=10)
    assert queued(replace(started, ready_at=at(7))) == timedelta(seconds=3)
    assert queued(replace(started, ready_at=at(11))) is None
    assert queued(replace(started, started_at=None)) is None


def test_an_earlier_run_that_has_ended_cannot_come_back(board: Board) -> None:
    """An answer that was long under way, about a run that others followed, changes none of them."""
    for run, second in (("a", 1), ("b", 2)):
        board.apply(task(Status.RUNNING, run=run), seen(second))
        board.apply(task(Status.ERROR, run=run, finished_at=at(second)), seen(second))
    assert board.apply(task(Status.RUNNING, run="a"), seen(3, asked=1000.0)) is None
    assert board.apply(task(Status.RUNNING, run="a"), seen(4)) is None
    assert (board["1"].run, board["1"].task.status) == ("b", Status.ERROR)
    board.apply(task(Status.RUNNING, run="c"), seen(5))
    assert board.apply(task(Status.RUNNING, run="a"), seen(6, asked=1000.0)) is None
    assert (board["1"].run, board["1"].task.status) == ("c", Status.RUNNING)
    assert {entry.run for entry in board.past()} == {"a", "b"}
    board.show(board.unshown(), moment(7))
    assert {entry.run for entry in board.sweep(moment(607))} == {"a", "b"}


def test_a_run_that_the_ledger_knows_to_have_ended_cannot_come_back(board: Board) -> None:
    """After a restart as well, when the board has long forgotten it."""
    assert board.apply(task(Status.RUNNING, run="a"), seen(1, counted={"a"})) is None
    assert "1" not in board
