"""A copy of the ledger, made while the exporter runs as docs/operations.md has it, and restored."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.simulation import Simulation
from exporter.demo.tasks import SimTask
from exporter.model import Status
from tests.e2e.harness import Exporter, configured, exporting, silent_simulation
from tests.real.waiting import until

DOCUMENT = Path(__file__).parents[2] / "docs/operations.md"


def documented(begin: str) -> str:
    """The command in docs/operations.md that begins like this."""
    text = DOCUMENT.read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(rf"^[#$] ({re.escape(begin)}.*)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def copied(ledger: Path, copy: Path) -> None:
    """Copy a ledger by the command for images, which have no ``sqlite3``."""
    command = documented("docker exec").partition("bin/python ")[2]
    command = command.replace("/data/backup.sqlite3", str(copy)).replace("/data/ledger.sqlite3", str(ledger))
    subprocess.run(f"{sys.executable} {command}", shell=True, check=True)  # noqa: S602 - as documented


def fail(simulation: Simulation) -> SimTask:
    """A task of Pulp that fails at once."""
    world = simulation.worlds["pulp"]
    kind = world.workload.kinds[0]
    return world.add(kind.operation, outcome=Status.ERROR, length=timedelta(seconds=0.1))


async def failures(exporter: Exporter) -> float:
    """How many failed tasks the counters tell."""
    async with aiohttp.ClientSession() as session, session.get(f"{exporter.url}/metrics") as answer:
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return sum(sample.value for one in families if one.name == "asynctask_errors" for sample in one.samples)


async def counts(exporter: Exporter, number: int) -> None:
    """Wait until so many failed tasks are counted."""

    async def reached() -> bool:
        return await failures(exporter) == number

    await until(f"{number} failures are counted", reached)


async def test_restored_copy_finds_again_what_came_after_it(tmp_path: Path) -> None:
    """A copy made while it runs has all that was counted; restored, what failed since is counted once."""
    ledger, copy = tmp_path / "ledger/ledger.sqlite3", tmp_path / "copy.sqlite3"
    async with silent_simulation() as simulation:
        async with exporting(configured(simulation, ["pulp"]), tmp_path) as exporter:
            fail(simulation)
            await counts(exporter, 1)
            copied(ledger, copy)
            fail(simulation)
            await counts(exporter, 2)
        shutil.copy(copy, ledger)
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        async with exporting(configured(simulation, ["pulp"]), tmp_path) as restored:
            await counts(restored, 2)
