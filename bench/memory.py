"""Memory: by watched task, at 10,000, while 100,000 are scraped, and after a million have come and gone."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import orjson

from bench.boards import CLOCK, filled, scraped, sighting, task, tell
from bench.figures import Figure, Part, at_most
from bench.isolated import measure
from bench.polls import IDS
from bench.program import running
from bench.server import serving
from exporter.apis.epmware import parse
from exporter.clock import Moment
from exporter.metrics.exposition import families, render
from exporter.metrics.packing import compressed
from exporter.model import Status, WatchedId
from exporter.polling.schedule import Schedule
from exporter.polling.watchlist import Watchlist
from exporter.store.board import Board
from exporter.store.entry import BoardRules

_PAGE = 4096
_BATCH = 10_000
_LISTED = 2_000
"""The default of ``max_task_series``."""
_IN_THE_IMAGE = {"MALLOC_ARENA_MAX": "1"}
_QUARTER = 4
_SCRAPES, _BETWEEN_SCRAPES = 6, 4.0
_CONFIG = """
sources:
  - name: epm
    api: epmware
    url: {url}
    file_sd_configs: [{{files: [ids.json]}}]
    max_task_series: {listed}
    polling: {{requests_per_second: 1000, concurrency: 4}}
"""
_DOCUMENT = (
    '{"taskId": "%d", "status": "R", "percentCompleted": "%d", "message": "Processing records...", '
    '"startTime": "2026-01-15T10:10:00Z", "recordsProcessed": %d, "totalRecords": 1000000}'
)


def watching(tasks: int) -> list[int]:
    """Resident bytes with half of the tasks, and with all: watched, planned, on the board, and scraped."""
    board, watchlist, schedule = Board("epm", BoardRules()), Watchlist(), Schedule()
    found = []
    for ids in (range(tasks // 2), range(tasks // 2, tasks)):
        watchlist.add("file 0", [WatchedId(id=str(task_id), operation="import") for task_id in ids])
        for task_id in ids:
            told = orjson.loads(_DOCUMENT % (task_id, task_id % 100, task_id))
            board.apply(parse(told, str(task_id)), sighting(CLOCK.moment()))
            schedule.put(str(task_id), CLOCK.monotonic())
        board.changes()
        render(families(scraped(board)))
        found.append(_resident())
    return found


def coming_and_going(tasks: int) -> list[int]:
    """Resident bytes after each tenth of so many tasks that begin, end, are shown and leave the board."""
    board, schedule, now = Board("epm", BoardRules()), Schedule(), CLOCK.moment()
    found = []
    for first in range(0, tasks, _BATCH):
        now = Moment(now.wall + timedelta(hours=2), now.mono + 7200)
        _come_and_go(board, schedule, range(first, first + _BATCH), now)
        if (first + _BATCH) % (tasks // 10) == 0:
            found.append(_resident())
    return found


def _come_and_go(board: Board, schedule: Schedule, ids: range, now: Moment) -> None:
    for status in (Status.RUNNING, Status.SUCCESS):
        for task_id in ids:
            board.apply(task(task_id, now.wall, status), sighting(now))
            schedule.put(str(task_id), now.mono)
    render(families(scraped(board)))
    board.show(board.unshown(), now)
    board.changes()
    board.sweep(Moment(now.wall, now.mono + 3600))
    for task_id in ids:
        schedule.remove(str(task_id))
    schedule.next_due()


def scraping(tasks: int) -> float:
    """By how much scrapes raise what is resident once all text is kept, as part of an answer's length."""
    board = filled(tasks)
    length = sum(map(len, render(families(scraped(board)))[0]))
    before = _resident()
    for number in range(_SCRAPES):
        tell(board, range(number % _QUARTER, tasks, _QUARTER))
        compressed(render(families(scraped(board)))[0])
    return (_peak() - before) / length


def whole(url: str, listed: int, environ: Mapping[str, str]) -> int:
    """Resident bytes of the program itself, when it has polled 10,000 tasks for a while and was scraped.

    Args:
        url: where the tasks are.
        listed: how many of them have series of their own.
        environ: what the program has in its environment beside ours.
    """
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "config.yaml"
        config.write_text(_CONFIG.format(url=url, listed=listed))
        targets = [{"targets": IDS, "labels": {"operation": "import"}}]
        (config.parent / "ids.json").write_text(json.dumps(targets))
        with running(config, config.parent / "data", environ) as program:
            found = []
            for _ in range(_SCRAPES):
                time.sleep(_BETWEEN_SCRAPES)
                program.get("/metrics")
                found.append(program.resident())
            return max(found)


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _resident() -> int:
    """As it is: the program does not collect garbage for the occasion either."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def run(runs: int) -> Sequence[Figure]:
    """The million comes and goes once: what it would show again is the same."""
    many = [measure("memory:watching", tasks=40_000) for _ in range(runs)]
    marginal = [(after - before) / 20_000 / 1000 for before, after in many]
    tenths = measure("memory:coming_and_going", tasks=1_000_000)
    grown = [(tenth - tenths[0]) / 2**20 for tenth in tenths[1:]]
    return [
        at_most("by watched task, all its text kept", marginal, "kB", 5),
        *_wholes(runs),
        Figure(
            what="by how much scrapes of 100,000 tasks raise it at the most, of an answer's length",
            values=[measure("memory:scraping", tasks=100_000) for _ in range(runs)],
            unit="x",
        ),
        Figure(
            what="resident after 100,000 tasks have come and gone", values=[tenths[0] / 2**20], unit="MiB"
        ),
        at_most("grown since, at each further tenth of a million", grown, "MiB", 5),
    ]


def _wholes(runs: int) -> Sequence[Figure]:
    """The program itself: as the image runs it, with the C library's own ways, and with all tasks listed."""
    what = "the program, 10,000 tasks watched and polled"
    with serving() as url:
        image, plain, full = (
            [whole(url, listed, environ) / 2**20 for _ in range(runs)]
            for listed, environ in ((_LISTED, _IN_THE_IMAGE), (_LISTED, {}), (len(IDS), _IN_THE_IMAGE))
        )
    return [
        at_most(f"{what}, 2,000 of them listed, in the image's environment", image, "MiB", 100),
        Figure(what=f"{what}, 2,000 of them listed", values=plain, unit="MiB"),
        Figure(what=f"{what}, all listed, in the image's environment", values=full, unit="MiB"),
    ]


PART = Part(title="Memory", run=run)
