"""Buckets that were changed in the configuration: rebuilt, and no counter goes back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import Status
from exporter.store.ledger import Change
from exporter.store.rebucket import in_micros, rebuilt
from exporter.store.totals import DURATION, QUEUE_DURATION, HistogramSeries
from tests.store.given import opened, query, transition

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def shown(path: Path, *bounds: float) -> HistogramSeries:
    """The histogram of successful imports after a start with these bounds."""
    async with opened(path, duration_buckets=bounds) as ledger:
        return ledger.totals.histograms[DURATION]["epm", "import", "success"]


async def finish(path: Path, *seconds: float, bounds: tuple[float, ...], at: datetime | None = None) -> None:
    """Let tasks of these durations end."""
    async with opened(path, duration_buckets=bounds) as ledger:
        ends = [
            transition(
                Status.SUCCESS, None, task_id=f"{at}{s}", duration=timedelta(seconds=s), finished_at=at
            )
            for s in seconds
        ]
        await ledger.record(Change(transitions=ends))


async def test_stored_durations_go_where_they_belong(tmp_path: Path) -> None:
    """Finer buckets show what coarser ones hid, for every run that is stored."""
    await finish(tmp_path, 1, 2, 3, 4, 60, bounds=(10, 100))
    histogram = await shown(tmp_path, 1, 3, 50)
    assert (histogram.counts, histogram.bounds, histogram.sum_us) == ([1, 2, 1, 1], (1, 3, 50), 70_000_000)


async def test_what_was_pruned_goes_into_the_bucket_that_surely_contains_it(tmp_path: Path) -> None:
    """Of a pruned run only its old bucket is known: its count goes up to the next new bound, never down."""
    await finish(tmp_path, 2, 30, 500, bounds=(10, 100), at=LONG_AGO)
    await finish(tmp_path, 4, bounds=(10, 100), at=LONG_AGO + timedelta(days=200))
    async with opened(tmp_path, duration_buckets=(10, 100)) as ledger:
        assert await ledger.prune(LONG_AGO + timedelta(days=300)) == 3
    histogram = await shown(tmp_path, 5, 20, 200)
    assert (histogram.counts, histogram.sum_us) == ([1, 1, 1, 1], 536_000_000)


async def test_there_is_one_log_line_for_each_changed_histogram(tmp_path: Path) -> None:
    """An operator sees that it was done; the next start says nothing."""
    async with opened(tmp_path):
        pass
    for expected in ([DURATION], []):
        with capture_logs() as logs:
            await shown(tmp_path, 5, 20)
        assert [log["metric"] for log in logs] == expected


async def test_the_way_back_restores_the_buckets(tmp_path: Path) -> None:
    """As long as the runs are stored, nothing is lost by trying."""
    await finish(tmp_path, 1, 2, 3, 4, 60, bounds=(2, 50))
    before = await shown(tmp_path, 2, 50)
    await shown(tmp_path, 1000)
    assert await shown(tmp_path, 2, 50) == before


async def test_queue_buckets_change_on_their_own(tmp_path: Path) -> None:
    """The two histograms have bounds of their own."""
    async with opened(tmp_path) as ledger:
        end = transition(Status.SUCCESS, None, queued=timedelta(seconds=7), duration=timedelta(seconds=7))
        await ledger.record(Change(transitions=[end]))
    async with opened(tmp_path, queue_buckets=(6, 8)) as ledger:
        assert ledger.totals.histograms[QUEUE_DURATION]["epm", "import"].counts == [0, 1, 0]
        assert ledger.totals.histograms[DURATION]["epm", "import", "success"].counts[2] == 1
    assert query(tmp_path, "SELECT count(*) FROM buckets") == [(2,)]


BOUNDS = st.lists(st.integers(1, 60), min_size=1, max_size=5, unique=True).map(sorted)


@given(seconds=st.lists(st.tuples(st.integers(0, 70), st.booleans())), old=BOUNDS, new=BOUNDS)
def test_a_cumulative_bucket_never_holds_more_than_is_true(
    seconds: list[tuple[int, bool]], old: list[int], new: list[int]
) -> None:
    """Whatever was pruned: the count stays, and le="x" counts no run that took longer than x."""
    before, moves = [0] * (len(old) + 1), []
    for took, stored in seconds:
        was, now = (sum(took > bound for bound in bounds) for bounds in (old, new))
        before[was] += 1
        if stored:
            moves.append((was, now, 1))
    after = rebuilt(before, moves, in_micros(old), in_micros(new))
    assert sum(after) == len(seconds)
    for position, bound in enumerate(new):
        true = sum(took <= bound for took, _ in seconds)
        sure = sum(took <= bound for took, stored in seconds if stored)
        assert sure <= sum(after[: position + 1]) <= true
