"""Tasks in, exposition text out: the reader sees what Prometheus sees."""

import subprocess
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric as LibraryMetric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.samples import Exemplar as LibraryExemplar

from exporter.clock import Moment
from exporter.errors import SOURCE_ERROR_REASONS, ServerFailed
from exporter.metrics import process
from exporter.metrics.exposition import families, render, restricted, snapshot
from exporter.metrics.family import Distribution, Family
from exporter.metrics.own import ExporterStats, SourceStats
from exporter.metrics.tasks import SourceView
from exporter.model import Status, Subtask, Task
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.totals import (
    DISCOVERED,
    DURATION,
    ERRORS,
    HISTOGRAMS,
    Exemplar,
    Latest,
    Totals,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def moment(second: float) -> Moment:
    """This second after the epoch of these tests, 1767225600."""
    return Moment(EPOCH + timedelta(seconds=second), second)


def board(*tasks: Task, source: str = "epm", second: float = 0, **rules: Any) -> Board:  # noqa: ANN401 - any rule
    """A board on which somebody wanted these tasks."""
    full = Board(source, BoardRules(**rules))
    for task in tasks:
        full.apply(task, Sighting(at=moment(second), asked=second, wanted=True))
    return full


def view(of: Board, **changes: Any) -> SourceView:  # noqa: ANN401 - any field
    """A source with this board."""
    return replace(SourceView(name=of.source, api="epmware", board=of, max_task_series=100), **changes)


def totals() -> Totals:
    """Nothing was counted yet."""
    return Totals(bounds=dict.fromkeys(HISTOGRAMS, (1.0, 60.0)))


def whole(of: Iterable[Family], accept: str = "") -> bytes:
    """An answer in one piece."""
    return b"".join(render(of, accept)[0])


def told(
    name: str,
    *views: SourceView,
    counted: Totals | None = None,
    stats: Sequence[SourceStats] = (),
    exporter: ExporterStats | None = None,
    released: int = 0,
    second: float = 0,
    accept: str = "",
) -> str:
    """The samples of one metric, as text."""
    taken = snapshot(
        views, counted or totals(), stats, exporter or ExporterStats(), released=released, now=moment(second)
    )
    body = whole(restricted(families(taken), [name]), accept)
    return "".join(line + "\n" for line in body.decode().splitlines() if not line.startswith("#"))


def expected(text: str) -> str:
    """A text of these tests without its indentation."""
    return dedent(text).lstrip("\n")


class TestTasks:
    """The state of the tasks."""

    def test_zero_filled(self) -> None:
        """Every status of every known operation is there, whether a task has it or not."""
        one = Task(id="1", status=Status.RUNNING, operation="import")

        text = told("asynctask_tasks", view(board(one), operations=["export"]))

        assert text == expected("""
            asynctask_tasks{operation="export",source="epm",status="pending"} 0.0
            asynctask_tasks{operation="export",source="epm",status="running"} 0.0
            asynctask_tasks{operation="export",source="epm",status="suspended"} 0.0
            asynctask_tasks{operation="export",source="epm",status="success"} 0.0
            asynctask_tasks{operation="export",source="epm",status="warning"} 0.0
            asynctask_tasks{operation="export",source="epm",status="error"} 0.0
            asynctask_tasks{operation="export",source="epm",status="timed_out"} 0.0
            asynctask_tasks{operation="export",source="epm",status="cancelled"} 0.0
            asynctask_tasks{operation="export",source="epm",status="skipped"} 0.0
            asynctask_tasks{operation="export",source="epm",status="unknown"} 0.0
            asynctask_tasks{operation="import",source="epm",status="pending"} 0.0
            asynctask_tasks{operation="import",source="epm",status="running"} 1.0
            asynctask_tasks{operation="import",source="epm",status="suspended"} 0.0
            asynctask_tasks{operation="import",source="epm",status="success"} 0.0
            asynctask_tasks{operation="import",source="epm",status="warning"} 0.0
            asynctask_tasks{operation="import",source="epm",status="error"} 0.0
            asynctask_tasks{operation="import",source="epm",status="timed_out"} 0.0
            asynctask_tasks{operation="import",source="epm",status="cancelled"} 0.0
            asynctask_tasks{operation="import",source="epm",status="skipped"} 0.0
            asynctask_tasks{operation="import",source="epm",status="unknown"} 0.0
        """)

    def test_own_labels(self) -> None:
        """A source's own labels are on all its series; another source tells them as empty."""
        one = Task(id="1", status=Status.RUNNING)
        epm = view(board(one), labels={"team": "a"})
        pulp = view(board(one, source="ci"), labels={"site": "b", "status": "ours"})

        assert told("asynctask_task_status", epm, pulp) == expected("""
            asynctask_task_status{operation="",site="",source="epm",status="running",task_id="1",team="a"} 1.0
            asynctask_task_status{operation="",site="b",source="ci",status="running",task_id="1",team=""} 1.0
        """)

    def test_oldest(self) -> None:
        """The oldest pending and running tasks are told by when they entered that status."""
        tasks = [
            Task(id="1", status=Status.RUNNING, started_at=EPOCH + timedelta(seconds=5)),
            Task(id="2", status=Status.RUNNING, started_at=EPOCH + timedelta(seconds=3)),
            Task(id="3", status=Status.PENDING, created_at=EPOCH + timedelta(seconds=1)),
            Task(id="4", status=Status.ERROR),
        ]

        assert told("asynctask_oldest_timestamp_seconds", view(board(*tasks))) == expected("""
            asynctask_oldest_timestamp_seconds{operation="",source="epm",status="pending"} 1.767225601e+09
            asynctask_oldest_timestamp_seconds{operation="",source="epm",status="running"} 1.767225603e+09
        """)

    def test_stalled(self) -> None:
        """A running task is stalled once nothing has moved for stalled_after."""
        stuck = view(board(Task(id="1", status=Status.RUNNING), stalled_after=timedelta(seconds=60)))

        lines = [told("asynctask_stalled_tasks", stuck, second=second) for second in (59, 60)]

        assert lines == [f'asynctask_stalled_tasks{{operation="",source="epm"}} {n}.0\n' for n in (0, 1)]

    def test_overdue(self) -> None:
        """An unfinished task is overdue once it is older than its deadline."""
        late = view(board(Task(id="1", status=Status.PENDING), deadline=timedelta(seconds=60)))

        lines = [told("asynctask_overdue_tasks", late, second=second) for second in (59, 60)]

        assert lines == [f'asynctask_overdue_tasks{{operation="",source="epm"}} {n}.0\n' for n in (0, 1)]

    def test_info(self) -> None:
        """A name may hold anything."""
        task = Task(id="/tasks/1/", status=Status.PENDING, name='a "b"\n\\c', parent_id="0")

        assert told("asynctask_task_info", view(board(task))) == (
            'asynctask_task_info{name="a \\"b\\"\\n\\\\c",'
            'operation="",parent_id="0",source="epm",task_id="/tasks/1/"} 1.0\n'
        )

    def test_surrogate(self) -> None:
        """A text that is no Unicode does not spoil the answer."""
        task = Task(id="1", status=Status.PENDING, name="\ud800")

        assert 'name="?"' in told("asynctask_task_info", view(board(task)))

    def test_failed_before(self) -> None:
        """The failure of an id that waits again is told beside its present status."""
        full = board(Task(id="1", status=Status.ERROR, run="a"))
        full.apply(Task(id="1", status=Status.ERROR, run="b"), Sighting(at=moment(5), asked=5, wanted=True))
        full.apply(Task(id="1", status=Status.PENDING, run="c"), Sighting(at=moment(9), asked=9, wanted=True))

        assert told("asynctask_task_status", view(full)) == expected("""
            asynctask_task_status{operation="",source="epm",status="pending",task_id="1"} 1.0
            asynctask_task_status{operation="",source="epm",status="error",task_id="1"} 1.0
        """)
        assert 'status="error"} 2.0' in told("asynctask_tasks", view(full))
        assert told("asynctask_task_info", view(full)).count("\n") == 1

    def test_missing_numbers(self) -> None:
        """A number that the API does not tell is no sample; zero is one."""
        full = view(
            board(
                Task(id="1", status=Status.PENDING),
                Task(id="2", status=Status.PENDING, progress=0.0, processed=0, expected=10),
            )
        )

        names = ("asynctask_task_progress_ratio", "asynctask_task_records_processed")
        assert [told(name, full) for name in names] == [
            f'{name}{{operation="",source="epm",task_id="2"}} 0.0\n' for name in names
        ]
        assert told("asynctask_task_records_expected", full).endswith("} 10.0\n")

    def test_times_of_the_api(self) -> None:
        """Start and end are the API's where it tells them."""
        task = Task(
            id="1", status=Status.SUCCESS, started_at=EPOCH, finished_at=EPOCH + timedelta(seconds=1.5)
        )
        full = view(board(task, second=60))

        start = told("asynctask_task_start_timestamp_seconds", full)
        end = told("asynctask_task_end_timestamp_seconds", full)
        change = told("asynctask_task_last_change_timestamp_seconds", full)

        assert [line.split()[1] for line in (start, end, change)] == [
            "1.7672256e+09",
            "1.7672256015e+09",
            "1.76722566e+09",
        ]

    def test_times_as_seen(self) -> None:
        """Start and end are what we saw where the API tells none."""
        full = board(Task(id="1", status=Status.RUNNING), second=10)
        full.apply(Task(id="1", status=Status.SUCCESS), Sighting(at=moment(70), asked=70, wanted=True))

        start = told("asynctask_task_start_timestamp_seconds", view(full))
        end = told("asynctask_task_end_timestamp_seconds", view(full))

        assert [line.split()[1] for line in (start, end)] == ["1.76722561e+09", "1.76722567e+09"]

    def test_estimated_end(self) -> None:
        """The end is estimated from the past durations of the task's own operation."""
        counted = totals()
        counted.durations["epm", "import"] = deque([100.0, 60.0, 40.0])
        tasks = [
            Task(id="1", status=Status.RUNNING, operation="import", started_at=EPOCH),
            Task(id="2", status=Status.RUNNING, operation="export", started_at=EPOCH),
            Task(id="3", status=Status.PENDING, operation="import"),
        ]

        text = told(
            "asynctask_task_estimated_end_timestamp_seconds", view(board(*tasks)), counted=counted, second=30
        )

        assert text == (
            "asynctask_task_estimated_end_timestamp_seconds"
            '{operation="import",source="epm",task_id="1"} 1.76722566e+09\n'
        )

    def test_subtasks(self) -> None:
        """Parts are counted by status, as far as the statuses occur."""
        states = (Status.SUCCESS, Status.ERROR, Status.SUCCESS)
        parts = tuple(Subtask(id=str(number), status=status) for number, status in enumerate(states))

        text = told(
            "asynctask_task_subtasks", view(board(Task(id="1", status=Status.RUNNING, subtasks=parts)))
        )

        assert text == expected("""
            asynctask_task_subtasks{operation="",source="epm",status="error",task_id="1"} 1.0
            asynctask_task_subtasks{operation="",source="epm",status="success",task_id="1"} 2.0
        """)

    @pytest.mark.parametrize(
        ("most", "ids"),
        [(0, ""), (1, "r"), (2, "rp"), (3, "rpf"), (4, "rpfn"), (5, "rpfno"), (9, "rpfno")],
    )
    def test_cap(self, most: int, ids: str) -> None:
        """Unfinished tasks come first, then failed ones, then the newest; the rest is counted."""
        full = board(Task(id="o", status=Status.SUCCESS), Task(id="p", status=Status.PENDING))
        for second, (name, status) in enumerate(
            [("f", Status.ERROR), ("r", Status.RUNNING), ("n", Status.SUCCESS)], 1
        ):
            seen = Sighting(at=moment(second), asked=second, wanted=True)
            full.apply(Task(id=name, status=status), seen)
        capped = view(full, max_task_series=most)

        infos = told("asynctask_task_info", capped).splitlines()

        assert {line.split('task_id="')[1][0] for line in infos} == set(ids)
        assert told("asynctask_series_dropped", capped).endswith(f" {5 - len(ids)}.0\n")


class TestEvents:
    """What was counted."""

    @pytest.mark.parametrize(("released", "shown"), [(0, "0.0"), (6, "0.0"), (7, "3.0"), (8, "3.0")])
    def test_born_at_zero(self, released: int, shown: str) -> None:
        """A counter shows its count when its birth is released."""
        counted = totals()
        counted.counter((ERRORS, ("epm", "import", "E42")), birth=7).value = 3

        text = told(ERRORS, view(board()), counted=counted, released=released)

        assert text == f'asynctask_errors_total{{error_code="E42",operation="import",source="epm"}} {shown}\n'

    def histogram(self) -> Totals:
        """Two runs of a second and a half, and of two minutes."""
        counted = totals()
        series = counted.histogram((DURATION, ("epm", "import", "success")), birth=7)
        series.counts[1:] = [1, 1]
        series.sum_us = 121_500_000
        series.exemplars[1:] = [Exemplar("41", 1.5, EPOCH), Exemplar("x" * 122, 120.0, EPOCH)]
        return counted

    def test_histogram(self) -> None:
        """Buckets are cumulative; exemplars are in OpenMetrics only, and never too long."""
        labels = 'operation="import",source="epm",status="success"'

        texts = [
            told(DURATION, view(board()), counted=self.histogram(), released=7, accept=accept)
            for accept in ("", OPENMETRICS)
        ]

        buckets = [
            f'asynctask_duration_seconds_bucket{{le="{le}",{labels}}}' for le in ("1.0", "60.0", "+Inf")
        ]
        tail = (
            f"{buckets[2]} 2.0\n"
            f"asynctask_duration_seconds_count{{{labels}}} 2.0\n"
            f"asynctask_duration_seconds_sum{{{labels}}} 121.5\n"
        )
        assert texts[0] == f"{buckets[0]} 0.0\n{buckets[1]} 1.0\n{tail}"
        assert texts[1] == f'{buckets[0]} 0.0\n{buckets[1]} 1.0 # {{task_id="41"}} 1.5 1767225600.0\n{tail}'

    def test_histogram_born_at_zero(self) -> None:
        """A histogram that is not released is empty, and has no exemplars."""
        text = told(DURATION, view(board()), counted=self.histogram(), released=6, accept=OPENMETRICS)

        assert {line.split()[1] for line in text.splitlines()} == {"0.0"}
        assert "#" not in text

    def test_latest(self) -> None:
        """What the last run tells is told, and no more."""
        counted = totals()
        counted.latest["epm", "import"] = Latest(None, EPOCH, timedelta(seconds=2.5))
        counted.latest["epm", "export"] = Latest(EPOCH, EPOCH, None)

        names = ("last_success_timestamp", "last_finish_timestamp", "last_duration")
        texts = [told(f"asynctask_{name}_seconds", view(board()), counted=counted) for name in names]

        assert "".join(texts) == expected("""
            asynctask_last_success_timestamp_seconds{operation="export",source="epm"} 1.7672256e+09
            asynctask_last_finish_timestamp_seconds{operation="import",source="epm"} 1.7672256e+09
            asynctask_last_finish_timestamp_seconds{operation="export",source="epm"} 1.7672256e+09
            asynctask_last_duration_seconds{operation="import",source="epm"} 2.5
        """)

    def test_not_configured(self) -> None:
        """A source that was taken out of the configuration takes its series with it."""
        counted = totals()
        counted.counter((DISCOVERED, ("old", "import")), birth=1).value = 5

        assert told(DISCOVERED, view(board()), counted=counted, released=1) == ""


class TestOwn:
    """The numbers about APIs and the exporter."""

    def test_requests(self) -> None:
        """Requests are counted by endpoint and code, and timed."""
        stats = SourceStats("epm", "epmware")
        stats.requested("get_status", "200", 0.004)
        stats.requested("get_status", "503", 7)

        requests = told("asynctask_api_requests_total", view(board()), stats=[stats])
        durations = told("asynctask_api_request_duration_seconds", view(board()), stats=[stats])

        assert requests == expected("""
            asynctask_api_requests_total{code="200",endpoint="get_status",source="epm"} 1.0
            asynctask_api_requests_total{code="503",endpoint="get_status",source="epm"} 1.0
        """)
        values = [float(line.split()[1]) for line in durations.splitlines()]
        assert values == [*[1.0] * 10, 2.0, 2.0, 2.0, 2.0, 7.004]

    def test_errors(self) -> None:
        """Every reason is there from the start."""
        stats = SourceStats("epm", "epmware")
        stats.failed(ServerFailed("503"))

        text = told("asynctask_api_errors_total", view(board()), stats=[stats])

        assert text == "".join(
            f'asynctask_api_errors_total{{reason="{reason}",source="epm"}} {float(reason == "server")}\n'
            for reason in SOURCE_ERROR_REASONS
        )

    def test_up(self) -> None:
        """A source is neither up nor down before it was asked."""
        stats = SourceStats("epm", "epmware")
        texts = [told("asynctask_source_up", view(board()), stats=[stats])]
        stats.succeeded(EPOCH)
        texts.append(told("asynctask_source_up", view(board()), stats=[stats]))
        stats.failed(ServerFailed("503"))
        texts.append(told("asynctask_source_up", view(board()), stats=[stats]))

        up = 'asynctask_source_up{api="epmware",source="epm"}'
        assert texts == ["", f"{up} 1.0\n", f"{up} 0.0\n"]
        last = told("asynctask_source_last_success_timestamp_seconds", view(board()), stats=[stats])
        assert last.endswith(" 1.7672256e+09\n")

    def test_counts(self) -> None:
        """Waiting, lag, lists that cannot be read and watched tasks are told by source."""
        stats = SourceStats("epm", "epmware", watched=3, watched_limit=100)
        stats.throttled(1.5)
        stats.throttled(1)
        stats.polled(0.3)
        stats.discovery_failed("http")
        names = {
            "asynctask_api_throttled_seconds_total": ["2.5"],
            "asynctask_poll_lag_seconds": [*["0.0"] * 6, *["1.0"] * 9, "0.3"],
            "asynctask_discovery_failures_total": ["0.0", "1.0"],
            "asynctask_watched_tasks": ["3.0"],
            "asynctask_watched_tasks_limit": ["100.0"],
        }

        values = {
            name: [line.split()[1] for line in told(name, view(board()), stats=[stats]).splitlines()]
            for name in names
        }

        assert values == names

    def test_certificate(self) -> None:
        """Without a certificate there is no end of one, rather than the year 1970."""
        name = "asynctask_exporter_web_certificate_expiry_timestamp_seconds"
        assert told(name, exporter=ExporterStats()) == ""
        assert told(name, exporter=ExporterStats(certificate_expires_at=EPOCH)).startswith(f"{name} ")

    def test_exporter(self) -> None:
        """The exporter tells about its configuration and its database."""
        exporter = ExporterStats(
            reload_successful=False,
            reloaded_at=EPOCH,
            config_hash=2**48 - 1,
            storage_errors=2,
            pending_changes=5,
        )
        names = ("asynctask_exporter_config_last_reload_successful", "asynctask_exporter_config_hash")
        storage = ("asynctask_storage_errors_total", "asynctask_storage_pending_changes")

        text = "".join(told(name, exporter=exporter) for name in (*names, *storage))

        assert text == expected("""
            asynctask_exporter_config_last_reload_successful 0.0
            asynctask_exporter_config_hash 2.81474976710655e+14
            asynctask_storage_errors_total 2.0
            asynctask_storage_pending_changes 5.0
        """)

    def test_snapshot(self) -> None:
        """What happens after a snapshot is not in it."""
        stats, counted, full = SourceStats("epm", "epmware"), TestEvents().histogram(), board()
        stats.requested("get_status", "200", 0.1)
        taken = snapshot([view(full)], counted, [stats], ExporterStats(), released=7, now=moment(0))
        before = whole((f for f in families(taken) if "process_" not in f.name), OPENMETRICS)

        stats.requested("get_status", "200", 0.1)
        stats.requested("list", "200", 0.1)
        stats.polled(1)
        stats.failed(ServerFailed("503"))
        series = counted.histograms[DURATION]["epm", "import", "success"]
        series.counts[0] += 1
        series.exemplars[1] = None
        full.apply(Task(id="1", status=Status.RUNNING), Sighting(at=moment(1), asked=1, wanted=True))
        after = whole((f for f in families(taken) if "process_" not in f.name), OPENMETRICS)

        assert after == before


class Registry:
    """What prometheus_client takes for a registry, with our families in its words."""

    def __init__(self, ours: Iterable[Family]) -> None:
        self._metrics = [_in_its_words(family) for family in ours]

    def collect(self) -> list[LibraryMetric]:
        """As a registry."""
        return self._metrics


def _in_its_words(family: Family) -> LibraryMetric:
    name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
    metric = LibraryMetric(name, family.help, family.kind)
    for values, value in family.samples:
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(value, Distribution):
            _add_histogram(metric, labels, value)
        else:
            metric.add_sample(family.name, labels, value)
    return metric


def _add_histogram(metric: LibraryMetric, labels: Mapping[str, str], value: Distribution) -> None:
    bounds = [*map(str, value.bounds), "+Inf"]
    exemplars = [
        LibraryExemplar({"task_id": e.task_id}, e.seconds, e.at.timestamp()) if e else None
        for e in value.exemplars or [None] * len(bounds)
    ]
    for le, count, exemplar in zip(bounds, accumulate(value.counts), exemplars, strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": le}, count, exemplar=exemplar)
    metric.add_sample(f"{metric.name}_count", dict(labels), sum(value.counts))
    metric.add_sample(f"{metric.name}_sum", dict(labels), value.sum)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**60), 2**60)
counters = st.lists(st.tuples(st.tuples(texts, texts), numbers), max_size=4).map(
    lambda samples: Family("a_total", "counter", ("source", "code"), 'Help "with" \\ and\nmore.', samples)
)
gauges = st.lists(st.tuples(st.just(()), numbers), max_size=1).map(
    lambda samples: Family("b_seconds", "gauge", (), "Help.", samples)
)
exemplars = st.none() | st.builds(
    Exemplar, task_id=texts, seconds=st.floats(0, 1e9), at=st.datetimes(timezones=st.just(UTC))
)
distributions = st.builds(
    Distribution,
    bounds=st.just((0.005, 1.0, 2.5, 86400.0)),
    counts=st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
    sum=st.floats(0, 1e12),
    exemplars=st.lists(exemplars, min_size=5, max_size=5) | st.just(()),
)
histograms = st.lists(st.tuples(st.tuples(texts, texts), distributions), max_size=3).map(
    lambda samples: Family("c_seconds", "histogram", ("source", "kind"), "Help.", samples)
)


class TestText:
    """How it is written."""

    @given(ours=st.tuples(counters, gauges, histograms), accept=st.sampled_from(["", OPENMETRICS]))
    def test_reference(self, ours: tuple[Family, ...], accept: str) -> None:
        """It is what prometheus_client writes, byte for byte."""
        encode, content_type = choose_encoder(accept)

        pieces, told = render(ours, accept)

        assert (b"".join(pieces), told) == (encode(Registry(ours)), content_type)

    @pytest.mark.parametrize(
        "accept",
        [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4",
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/vnd.google.protobuf;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.3",
            "text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3",
        ],
    )
    def test_negotiation(self, accept: str) -> None:
        """Formats are chosen as prometheus_client chooses them."""
        assert render([], accept)[1] == choose_encoder(accept)[1]

    @pytest.mark.parametrize(
        "accept", ["application/openmetrics-text;version=x", ";;=,", "text/plain;version"]
    )
    def test_junk(self, accept: str) -> None:
        """A header that makes no sense gets plain text."""
        assert render([], accept) == ((), "text/plain; version=0.0.4; charset=utf-8")

    def test_strict_parser(self) -> None:
        """An OpenMetrics parser has nothing against a whole answer."""
        body = whole(whole_answer(), OPENMETRICS)

        parsed = list(parse_openmetrics(body.decode()))  # type: ignore[no-untyped-call]

        assert len(parsed) > 40

    def test_promtool(self) -> None:
        """Promtool has nothing to say about a whole answer."""
        body = whole(whole_answer())

        run = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)

        assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")

    def test_process(self) -> None:
        """The numbers about the process are those of every Python client."""
        names = {family.name for family in process.families()}

        assert {"process_cpu_seconds_total", "process_open_fds", "python_info"} <= names

    def test_restricted(self) -> None:
        """Families can be asked for by their own name or by that of their samples."""
        names = [family.name for family in restricted(whole_answer(), ["asynctask_duration_seconds_bucket"])]

        assert names == ["asynctask_duration_seconds"]

    def test_one_series_once(self) -> None:
        """No series is told twice."""
        body = whole(whole_answer())
        series = sorted(line.rpartition(" ")[0] for line in body.decode().splitlines() if line[0] != "#")

        assert not [one for one, next_one in pairwise(series) if one == next_one]


def whole_answer() -> Iterable[Family]:
    """Two sources with something of everything."""
    tasks = [
        Task(id=str(number), status=status, operation="import", progress=0.5, started_at=EPOCH)
        for number, status in enumerate(Status)
    ]
    stats = [SourceStats(name, "epmware") for name in ("epm", "pulp")]
    for one in stats:
        one.requested("get_status", "200", 0.1)
        one.succeeded(EPOCH)
    counted = TestEvents().histogram()
    counted.counter((ERRORS, ("epm", "import", "E42")), birth=1)
    views = [view(board(*tasks), labels={"team": "finance"}), view(board(*tasks, source="pulp"))]
    exporter = ExporterStats(reloaded_at=EPOCH)
    return families(snapshot(views, counted, stats, exporter, released=7, now=moment(60)))
