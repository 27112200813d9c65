"""What is written of each run and kept is what would be written anew."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exporter.clock import Moment
from exporter.metrics import tasks
from exporter.metrics.exposition import Snapshot, families, snapshot
from exporter.metrics.family import Family, collect
from exporter.metrics.own import ExporterStats
from exporter.metrics.pages import COLUMNS
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


def lines(family: Family) -> list[bytes]:
    """The lines of one metric, sorted."""
    return sorted(b"".join(write([family], Format.TEXT)).splitlines())


def written(of: Snapshot) -> dict[str, list[bytes]]:
    """The lines of the metrics of tasks as they are served, sorted, by metric."""
    names = {metric.name for metric in tasks.METRICS}
    return {family.name: lines(family) for family in families(of) if family.name in names}


def written_anew(of: Snapshot) -> dict[str, list[bytes]]:
    """The same from their samples, with nothing kept."""
    collected = [collect(metric, of.tasks, of.own_labels) for metric in tasks.METRICS]
    return {family.name: lines(family) for family in collected}


@given(
    told=st.lists(some_tasks, min_size=1, max_size=8),
    own=st.lists(
        st.fixed_dictionaries({}, optional={"team": texts, "name": texts, "shift": texts}),
        min_size=1,
        max_size=3,
    ),
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


def test_tasks_come_and_go_on_many_pages() -> None:
    """Gaps, tasks that come back into theirs, pages that empty and new ones: always what is on the board."""
    board = Board("epm", BoardRules())
    everybody = range(2_000)
    for second, (told, dropped) in enumerate(
        [
            (everybody, ()),
            ((), everybody[100:400]),
            (everybody[300:350], everybody[1_000:1_500]),
            ((), everybody[500:900]),
            ((), everybody[1_600:1_900]),
            (everybody, ()),
            ((), everybody),
            (everybody[:3], ()),
        ]
    ):
        for number in told:
            running = Task(id=str(number), status=Status.RUNNING, processed=second)
            board.apply(running, Sighting(at=moment(second), asked=second, wanted=True))
        for number in dropped:
            board.drop(str(number))
        now = taken(board, {}, second, cap=10_000)
        ours, anew = written(now), written_anew(now)
        assert [name for name in anew if ours[name] != anew[name]] == []


def test_what_holds_is_not_written_again() -> None:
    """A task that moves keeps the lines that tell the same; a page where nothing has moved is kept whole."""
    board = Board("epm", BoardRules())
    for number in range(600):
        half = Task(id=str(number), status=Status.RUNNING, progress=0.5, started_at=EPOCH)
        board.apply(half, Sighting(at=moment(100), asked=100, wanted=True))
    written(taken(board, {}, 100, cap=1_000))
    first, *others = board.written.pages
    board.apply(
        Task(id="1", status=Status.RUNNING, progress=0.6), Sighting(at=moment(101), asked=101, wanted=True)
    )
    written(taken(board, {}, 101, cap=1_000))
    moved, *rest = board.written.pages
    assert all(page is other for page, other in zip(rest, others, strict=True))
    anew = [now is not then for now, then in zip(moved.columns, first.columns, strict=True)]
    assert [metric.name for metric in COLUMNS if anew[COLUMNS.index(metric)]] == [
        "asynctask_task_progress_ratio",
        "asynctask_task_last_change_timestamp_seconds",
        tasks.ESTIMATED_END,
    ]


def test_another_name_for_a_label_is_written_anew() -> None:
    """Even where the value is the same."""
    board = Board("epm", BoardRules())
    board.apply(Task(id="1", status=Status.RUNNING), Sighting(at=moment(0), asked=0, wanted=True))
    written(taken(board, {"team": "a"}, 1))
    renamed = taken(board, {"shift": "a"}, 1)
    assert written(renamed) == written_anew(renamed)
