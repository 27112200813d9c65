"""Which transitions move which counters, and that each run moves them once."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from exporter.model import Status
from exporter.store import outbox
from exporter.store.ledger import Change, Ledger
from exporter.store.totals import (
    DISCOVERED,
    DURATION,
    ERRORS,
    FINISHED,
    LOST,
    QUEUE_DURATION,
    UNKNOWN_STATUS,
    Exemplar,
)
from tests.store.given import START, births, finished, opened, query, transition, value

E, R, S = Status.ERROR, Status.RUNNING, Status.SUCCESS


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    """A ledger in memory."""
    async with opened(None) as ledger:
        yield ledger


async def test_a_task_is_discovered_once_and_finished_once(ledger: Ledger) -> None:
    """The first sight moves discovered_total, the end finished_total, and the same again nothing."""
    begin, end = transition(R, None), transition(S)
    await ledger.record(Change(transitions=[begin]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (1, {})
    for _ in range(2):
        await ledger.record(Change(transitions=[end]))
        await ledger.record(Change(transitions=[begin]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (1, {"success": 1})


async def test_an_end_that_nobody_saw_begin_is_discovered_and_finished(ledger: Ledger) -> None:
    """A watched id that is first seen final, or a task that ended while we were down, counts as both."""
    for _ in range(2):
        await ledger.record(Change(transitions=[transition(E, None)]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (1, {"error": 1})


async def test_a_run_that_was_open_before_is_not_discovered_again_at_its_end(ledger: Ledger) -> None:
    """A run that left the board unfinished, and is seen again when it has ended, is one discovery."""
    await ledger.record(Change(transitions=[transition(R, None, run="a")]))
    await ledger.record(Change(transitions=[transition(S, None, run="a")]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (1, {"success": 1})


async def test_however_many_end_at_once_those_that_are_counted_are_found(ledger: Ledger) -> None:
    """Sources, ids and names of runs in any mixture: each counts once, whatever it is told with."""
    ends = [
        transition(
            S, None, task_id=str(n // 2), run=f"{'zażółć #'[n % 8]}{n}", source=("epm", "pulp")[n % 3 == 0]
        )
        for n in range(1000)
    ]
    await ledger.record(Change(transitions=ends[::3]))
    await ledger.record(Change(transitions=ends))
    assert finished(ledger) == {"success": 1000}


async def test_a_new_run_of_an_id_counts_again(ledger: Ledger) -> None:
    """A final task that starts over is another run."""
    for run in ("#0", "#1"):
        await ledger.record(Change(transitions=[transition(R, None, run=run)]))
        await ledger.record(Change(transitions=[transition(E, run=run)]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (2, {"error": 2})


async def test_a_run_that_is_named_at_its_end_leaves_its_number_to_the_next(ledger: Ledger) -> None:
    """Open as #0, ended as "a", open as #0 again: two runs, even when they come in one commit."""
    life = [transition(R, None), transition(S, run="a"), transition(R, None), transition(S, run="b")]
    await ledger.record(Change(transitions=life))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (2, {"success": 2})


async def test_the_same_id_of_two_sources_is_two_tasks(ledger: Ledger) -> None:
    """Ids are unique only within a source."""
    ledger.declare("pulp", [])
    await ledger.record(Change(transitions=[transition(S, None), transition(E, None, source="pulp")]))
    assert finished(ledger) == {"success": 1, "error": 1}


async def test_history_counts_nothing_now_or_later(ledger: Ledger) -> None:
    """An end that is not ours is remembered, so that it is no news when it is seen again."""
    old = transition(E, None, opens=False, counts=False)
    await ledger.record(Change(transitions=[old]))
    await ledger.record(Change(transitions=[transition(E, None)]))
    assert (value(ledger, DISCOVERED, "epm", "import"), finished(ledger)) == (0, {})
    assert await ledger.counted("epm", ["1"]) == {"1": {"#0"}}


async def test_an_amended_end_moves_nothing(ledger: Ledger) -> None:
    """A final status that the API corrects stays counted as it was."""
    await ledger.record(Change(transitions=[transition(S, None)]))
    await ledger.record(Change(transitions=[transition(E, S, counts=False)]))
    assert finished(ledger) == {"success": 1}
    assert value(ledger, ERRORS, "epm", "import", "") == 0


async def test_only_failed_ends_move_errors_by_their_code(ledger: Ledger) -> None:
    """Ends with error and timed_out count under their code; cancelled has none."""
    ends = [(E, "E7"), (Status.TIMED_OUT, "E7"), (E, ""), (Status.CANCELLED, "E9")]
    for number, (status, code) in enumerate(ends):
        end = transition(status, None, task_id=str(number), error_code=code)
        await ledger.record(Change(transitions=[end]))
    codes = {
        labels[2]: series.value for labels, series in ledger.totals.counters[ERRORS].items() if labels[1]
    }
    assert codes == {"": 1, "E7": 2}


async def test_error_codes_are_cut_and_cleaned(ledger: Ledger) -> None:
    """Control characters go, and 64 characters stay."""
    end = transition(E, None, error_code="ORA\n-\x00" + "9" * 100)
    await ledger.record(Change(transitions=[end]))
    assert value(ledger, ERRORS, "epm", "import", "ORA-" + "9" * 60) == 1


async def test_error_codes_beyond_the_limit_are_other(tmp_path: Path) -> None:
    """A source has at most so many codes, the same ones after a restart; "other" takes the rest."""

    async def fail(ledger: Ledger, *codes: str) -> None:
        ends = [transition(E, None, task_id=code, error_code=code) for code in codes]
        await ledger.record(Change(transitions=ends))

    async with opened(tmp_path, max_error_codes=2) as ledger:
        await fail(ledger, "A", "B", "C")
        await fail(ledger, "A", "E")
    async with opened(tmp_path, max_error_codes=2) as ledger:
        await fail(ledger, "D")
        codes = {labels[2]: s.value for labels, s in ledger.totals.counters[ERRORS].items() if labels[1]}
    assert codes == {"": 0, "A": 1, "B": 1, "other": 3}


async def test_durations_go_into_buckets_with_an_exact_sum(ledger: Ledger) -> None:
    """A bound belongs to its bucket; a microsecond more goes into the next one."""
    for number, micros in enumerate((1_000_000, 1_000_001, 100_000_000_000)):
        took = timedelta(microseconds=micros)
        end = transition(S, None, task_id=str(number), duration=took, queued=took)
        await ledger.record(Change(transitions=[end]))
    took_by = ledger.totals.histograms[DURATION]["epm", "import", "success"]
    waited = ledger.totals.histograms[QUEUE_DURATION]["epm", "import"]
    assert took_by.sum_us == waited.sum_us == 100_002_000_001
    assert took_by.counts == waited.counts == [1, 1, *[0] * 12, 1]
    assert took_by.exemplars[1] == Exemplar("1", 1.000001, START)


async def test_a_run_without_a_duration_is_in_no_histogram(ledger: Ledger) -> None:
    """Where nobody can tell how long it took, nothing is observed."""
    await ledger.record(Change(transitions=[transition(S, None)]))
    assert sum(ledger.totals.histograms[DURATION]["epm", "import", "success"].counts) == 0


async def test_an_unknown_status_counts_when_it_begins(ledger: Ledger) -> None:
    """Once per change into it: at first sight, and after another status."""
    unknown = Status.UNKNOWN
    for change in (
        transition(unknown, None),
        transition(R, unknown),
        transition(unknown, R),
        transition(unknown, unknown),
        transition(unknown, None),
    ):
        await ledger.record(Change(transitions=[change]))
    assert value(ledger, UNKNOWN_STATUS, "epm") == 2


async def test_lost_ids_count_by_reason_and_are_no_failures(ledger: Ledger) -> None:
    """An id that the API does not know is never a failed task."""
    await ledger.record(Change(lost=[("epm", "vanished"), ("epm", "vanished")]))
    assert value(ledger, LOST, "epm", "vanished") == 2
    assert value(ledger, LOST, "epm", "not_found") == 0
    assert finished(ledger) == {}


async def test_every_series_that_can_be_known_is_born_at_zero(ledger: Ledger) -> None:
    """A declared source has all final statuses, the empty error code and the lost reasons at once."""
    totals = ledger.totals
    assert {labels for labels in totals.counters[FINISHED] if labels[1] == "import"} == {
        ("epm", "import", s.value) for s in Status if s.is_final
    }
    assert all(series.value == 0 for by_labels in totals.counters.values() for series in by_labels.values())
    assert {("epm", ""), ("epm", "import")} == set(totals.counters[DISCOVERED])
    assert ("epm", "import", "error") in totals.histograms[DURATION]
    assert births(totals) == list(range(1, totals.last_birth + 1))


async def test_a_new_operation_is_born_whole_when_it_turns_up(ledger: Ledger) -> None:
    """Its first task still runs, and the series of its end are there, so that a scrape sees them at zero."""
    before = ledger.totals.last_birth
    await ledger.record(Change(transitions=[transition(R, None, operation="sync")]))
    assert value(ledger, DISCOVERED, "epm", "sync") == 1
    assert value(ledger, FINISHED, "epm", "sync", "error") == 0
    assert value(ledger, ERRORS, "epm", "sync", "") == 0
    assert ledger.totals.counters[FINISHED]["epm", "sync", "error"].birth > before
    born = ledger.totals.last_birth
    await ledger.record(Change(transitions=[transition(E, operation="sync")]))
    assert ledger.totals.last_birth == born


async def test_the_latest_end_is_by_the_time_of_the_end(ledger: Ledger) -> None:
    """Ends may come in any order; the last success and the last duration are those of the latest end."""
    for number, (status, at) in enumerate([(S, 50), (E, 90), (S, 70)]):
        end = transition(
            status,
            None,
            task_id=str(number),
            finished_at=START + timedelta(seconds=at),
            duration=timedelta(seconds=at),
        )
        await ledger.record(Change(transitions=[end]))
    latest = ledger.totals.latest["epm", "import"]
    assert latest.success_at == START + timedelta(seconds=70)
    assert latest.finish_at == START + timedelta(seconds=90)
    assert latest.duration == timedelta(seconds=90)


async def test_the_last_fifty_successful_durations_are_kept(tmp_path: Path) -> None:
    """Oldest first, without failures, also after a restart."""
    async with opened(tmp_path) as ledger:
        ends = [
            transition(S if n % 2 else E, None, task_id=str(n), duration=timedelta(seconds=n))
            for n in range(120)
        ]
        await ledger.record(Change(transitions=ends))
    async with opened(tmp_path) as ledger:
        assert list(ledger.totals.durations["epm", "import"]) == [float(n) for n in range(21, 120, 2)]


async def test_the_outbox_gets_each_end_and_each_amended_failure_once(tmp_path: Path) -> None:
    """The event's id is the same whenever the same news comes, so a notifier tells it once."""
    async with opened(tmp_path) as ledger:
        await ledger.transact(partial(outbox.admit, names=["a"]))
        for _ in range(2):
            await ledger.record(Change(transitions=[transition(R, None), transition(S)]))
            await ledger.record(Change(transitions=[transition(E, S, counts=False)]))
            await ledger.record(Change(transitions=[transition(S, E, counts=False)]))
    rows = query(tmp_path, "SELECT event, payload FROM outbox")
    assert len({event for event, _ in rows}) == 2
    assert ['"success"' in payload for _, payload in rows] == [True, True]
    assert ['"status":"error"' in payload for _, payload in rows] == [False, True]


async def test_the_outbox_stays_empty_without_a_notifier(tmp_path: Path) -> None:
    """Nothing is written that nobody fetches."""
    async with opened(tmp_path) as ledger:
        await ledger.record(Change(transitions=[transition(E, None)]))
    assert query(tmp_path, "SELECT * FROM outbox") == []
