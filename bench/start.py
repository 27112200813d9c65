"""A start with a million runs in the ledger and 100,000 watched ids, until the program says it is ready."""

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import uvloop

from bench.figures import Figure, Part, at_most
from bench.program import running
from exporter.clock import SystemClock
from exporter.model import WatchedId
from exporter.store.ledger import Change, Ledger, LedgerSettings
from exporter.store.schema import runs as table

_RUNS, _WATCHED = 1_000_000, 100_000
_CONFIG = """
sources:
  - name: epm
    api: epmware
    url: http://127.0.0.1:9/
    registration: true
    file_sd_configs: [{{files: ["{ids}"]}}]
"""


def ledger(directory: Path) -> None:
    """Write a ledger with a million runs, and the ids registered with it."""
    uvloop.run(_register(directory))
    with closing(sqlite3.connect(directory / "ledger.sqlite3")) as connection, connection:
        rows = (
            ("epm", f"old-{n}", "#0", 0, 1, "success", "import", 1_767_225_600_000_000) for n in range(_RUNS)
        )
        columns = "source, task_id, run, opened, counted, status, operation, finished_at"
        connection.executemany(f"INSERT INTO {table.name} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - constants


async def _register(directory: Path) -> None:
    opened = Ledger.open(LedgerSettings(path=directory), SystemClock())
    opened.declare("epm", ["import"])
    await opened.start()
    await opened.record(
        Change(watch=[("epm", WatchedId(id=str(n), operation="import")) for n in range(_WATCHED)])
    )
    await opened.close()


def once(storage: Path, config: Path) -> tuple[float, float]:
    """Seconds until ready, and CPU seconds that they took."""
    with running(config, storage) as program:
        return time.perf_counter() - program.began, program.cpu()


@contextmanager
def _prepared() -> Iterator[tuple[Path, Path]]:
    directory = Path(tempfile.mkdtemp())
    try:
        ledger(directory / "ledger")
        ids = directory / "ids.json"
        ids.write_text(json.dumps([{"targets": [str(n) for n in range(_WATCHED)]}]))
        config = directory / "config.yaml"
        config.write_text(_CONFIG.format(ids=ids))
        yield directory / "ledger", config
    finally:
        shutil.rmtree(directory)


def run(runs: int) -> Sequence[Figure]:
    """Start it so many times on the same ledger."""
    with _prepared() as (storage, config):
        found = [once(storage, config) for _ in range(runs)]
    return [
        at_most("from exec to ready", [took for took, _ in found], "s", 2),
        Figure(what="CPU time until ready", values=[cpu for _, cpu in found], unit="s"),
    ]


PART = Part(title="A start with a million runs and 100,000 watched ids", run=run)
