"""What is written of each run and kept is what would be written anew."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exporter.clock import Moment
from exporter.metrics import tasks
from exporter.metrics.exposition import Snapshot, families, snapshot
from exporter.metrics.family import collect
from exporter.metrics.own import ExporterStats
from exporter.metrics.tasks import SourceView
from exporter.metrics.text import Format, write
from exporter.model import Status, Subtask, Task
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.totals import HISTOGRAMS, Totals

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
IDS = ("1", "2", 'three "quoted" \\ \n')

texts = st.text(max_size=5)
counts = st.none() | st.integers(0, 2**53)
some_tasks = st.builds(
    Task,
    id=st.sampled_from(IDS),
    status=st.sampled_from(Status),
    operation=texts,
    name=texts,
    parent_id=texts,
    progress=st.none() | st.floats(0, 1),
    started_at=st.none()
    | st.datetimes(datetime(2025, 12, 31), EPOCH.replace(tzinfo=None), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants naive bounds
    processed=counts,
    expected=counts,
    subtasks=st.lists(st.builds(Subtask, id=texts, status=st.sampled_from(Status)), max_size=3).map(tuple),
)


def moment(second: float) -> Moment:
    """This second of the test."""
    return Moment(EPOCH + timedelta(seconds=second), second)


def taken(board: Board, labels: dict[str, str], second: float, cap: int = 100) -> Snapshot:
    """What a scrape finds at this second."""
    view = SourceView(name="epm", api="epmware", board=board, max_task_series=cap, labels=labels)
    totals = Totals(bounds=dict.fromkeys(HISTOGRAMS, (1.0, 60.0)))
    return snapshot([view], totals, [], ExporterStats(), released=0, now=moment(second))


def written(of: Snapshot) -> dict[str, list[bytes]]:
    """The lines of the metrics of tasks as they are served, sorted, by metric."""
    names = {metric.name for metric in tasks.METRICS}
    return {f.name: sorted(write([f], Format.TEXT).splitlines()) for f in families(of) if f.name in names}


def written_anew(of: Snapshot) -> dict[str, list[bytes]]:
    """The same from their samples, with nothing kept."""
    collected = [collect(metric, of.tasks, of.own_labels) for metric in tasks.METRICS]
    return {f.name: sorted(write([f], Format.TEXT).splitlines()) for f in collected}


@given(
    told=st.lists(some_tasks, min_size=1, max_size=8),
    own=st.lists(st.fixed_dictionaries({}, optional={"team": texts, "name": texts}), min_size=1, max_size=3),
    cap=st.integers(0, 4),
)
def test_what_is_kept_is_what_would_be_written_anew(
    told: Sequence[Task], own: Sequence[dict[str, str]], cap: int
) -> None:
    """Whatever comes, moves, fails, waits again and is relabelled between the scrapes."""
    board = Board("epm", BoardRules())
    for second, task in enumerate(told):
        board.apply(task, Sighting(at=moment(second), asked=second, wanted=True))
        # The same second for all scrapes: what only the time changes is not the subject here.
        one = taken(board, own[second % len(own)], 100, cap)
        assert written(one) == written_anew(one)


def test_an_estimate_is_written_anew_in_time() -> None:
    """A tenth of the remaining time is how far an estimate may lag behind."""
    board = Board("epm", BoardRules())
    half = Task(id="1", status=Status.RUNNING, progress=0.5, started_at=EPOCH)
    board.apply(half, Sighting(at=moment(100), asked=100, wanted=True))
    name = tasks.ESTIMATED_END
    first = written(taken(board, {}, 100))[name]
    assert written(taken(board, {}, 109))[name] == first
    late = taken(board, {}, 111)
    assert written(late)[name] == written_anew(late)[name] != first
