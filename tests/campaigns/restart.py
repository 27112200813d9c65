"""Kills the exporter again and again, and compares its counters with the simulated systems' truth.

    python -m tests.campaigns.restart --kills 200

A third of the ids is registered over HTTP, the rest handed over by files or listed; upstream outages lie
between. At the end every counter and every histogram's count and sum must equal the truth exactly. With
``--sabotage`` the runs are deleted from the ledger before each start, to show that the trial can fail.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import IO

from exporter.demo.epmware import FULL
from exporter.demo.faults import Fault
from exporter.demo.simulation import HANDED_OVER, WORKLOADS, Simulation
from exporter.demo.tasks import Truth
from exporter.demo.workload import Workload
from exporter.watch import NotWatched, Patience, watch
from tests.campaigns.process import Exporter, Samples, scrape

SPEED = 10.0
_MICROSECOND = timedelta(microseconds=1)
_NO_PATIENCE = Patience(in_all=0.5, between=0.1, per_try=0.5)
_SETTLING = 300.0
_FAULTS = (Fault.HANG, Fault.STATUS_500, Fault.GARBAGE, Fault.DISCONNECT, Fault.TRUNCATED, Fault.FLOOD_429)
_FOREVER = timedelta(days=30)


@dataclass(frozen=True)
class Figures:
    """What was counted of one source, operation and status."""

    finished: int = 0
    durations: int = 0
    microseconds: int = 0

    def __str__(self) -> str:
        return f"{self.finished:6} {self.durations:6} {self.microseconds / 1e6:14.6f}"


Table = dict[tuple[str, str, str], Figures]


@dataclass(frozen=True)
class Plan:
    """How long and how hard."""

    kills: int
    seed: int = 1
    life: tuple[float, float] = (0.1, 2.0)
    """Seconds between an exporter's readiness and its end; a third of them do not get that far."""
    outages: float = 0.3
    """The share of lives with an upstream outage in it."""
    sabotage: bool = False


class Campaign:
    """One run of the trial."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self._dice = Random(plan.seed)
        self._storage = folder / "ledger"
        self._config = folder / "config.yaml"
        self._log = folder / "exporter.log"
        self.kills = 0
        self.outages: Counter[str] = Counter()

    async def run(self) -> tuple[Table, Table]:
        """Do it; return what the exporter counted, and the truth."""
        workloads = tuple(self._workload(workload) for workload in WORKLOADS)
        simulation = Simulation(
            seed=self.plan.seed, speed=SPEED, keep=None, listed_for=_FOREVER, workloads=workloads
        )
        async with simulation:
            self._config.write_text(simulation.config_yaml())
            with self._log.open("ab") as log:
                return await self._lives(simulation, log)

    async def _lives(self, simulation: Simulation, log: IO[bytes]) -> tuple[Table, Table]:
        exporter = Exporter(self._config, self._storage, log)
        await exporter.start()
        await exporter.ready()
        simulation.on_launch = Launcher(exporter.url).register
        load = asyncio.create_task(self._load(simulation))
        try:
            for _ in range(self.plan.kills):
                await self._live(exporter, simulation)
                if self.plan.sabotage:
                    await _counts_something(exporter)
                await exporter.kill()
                self.kills += 1
                if self.plan.sabotage:
                    exporter.forget()
                await exporter.start()
            load.cancel()
            simulation.stop()
            counted, truth = await self._settle(exporter, simulation)
            await exporter.stop()
        finally:
            load.cancel()
            exporter.abandon()
        return counted, truth

    async def _live(self, exporter: Exporter, simulation: Simulation) -> None:
        if self._dice.random() < 1 / 3:
            await asyncio.sleep(self._dice.uniform(0.3, 1.5))
            return
        await exporter.ready()
        life = self._dice.uniform(*self.plan.life)
        if self._dice.random() < self.plan.outages:
            async with asyncio.timeout(60):
                await self._outage(simulation, life)
        else:
            await asyncio.sleep(life)

    async def _outage(self, simulation: Simulation, seconds: float) -> None:
        source = self._dice.choice(sorted(simulation.apis))
        fault = self._dice.choice([None, *_FAULTS])
        self.outages[fault.name.lower() if fault else "refused"] += 1
        if fault is None:
            await simulation.servers[source].down()
            await asyncio.sleep(seconds)
            await simulation.servers[source].up()
        else:
            simulation.apis[source].faults.mode = fault
            await asyncio.sleep(seconds)
            simulation.apis[source].faults.mode = Fault.NONE

    async def _load(self, simulation: Simulation) -> None:
        """Launch tasks of all operations, a few a second."""
        while True:
            world = simulation.worlds[self._dice.choice(sorted(simulation.worlds))]
            world.launch(self._dice.choice(world.workload.kinds).operation)
            await asyncio.sleep(self._dice.uniform(0.02, 0.3))

    async def _settle(self, exporter: Exporter, simulation: Simulation) -> tuple[Table, Table]:
        """Wait until all tasks have ended and nothing is counted any more."""
        await exporter.ready()
        truth = expected(simulation.truth())
        counted: Table = {}
        try:
            async with asyncio.timeout(_SETTLING):
                while counted != truth or not _all_ended(simulation):
                    await asyncio.sleep(0.5)
                    counted = observed(await scrape(exporter.url))
                    # After the counters: what ends in between is no run too many.
                    truth = expected(simulation.truth())
                    if counted_twice(counted, truth):
                        break  # What was counted twice stays so.
        except TimeoutError:
            pass  # The tables tell what is missing.
        return counted, truth

    @staticmethod
    def _workload(workload: Workload) -> Workload:
        """The same work, launched by us, told with times, and recurring only once we are under way."""
        recurring = tuple(replace(each, every=each.every * 4) for each in workload.recurring)
        forms = dict.fromkeys(workload.forms, (FULL,))
        return replace(workload, gap=None, recurring=recurring, forms=forms)


class Launcher:
    """Whoever starts a task and hands over its id, while the exporter may be away."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def register(self, source: str, task_id: str, operation: str) -> bool:
        """Register a task; tell whether that was accepted for sure."""
        try:
            await watch(self._url, source, [task_id], operation=operation, patience=_NO_PATIENCE)
        except NotWatched:
            return False
        return True


def expected(truth: Iterable[Truth]) -> Table:
    """What ought to be counted."""
    table: Table = {}
    for run in truth:
        if not run.status.is_final:
            continue
        key = (run.source, run.operation, run.status.value)
        figures = table.get(key, Figures())
        duration = told_duration(run)
        table[key] = Figures(
            figures.finished + 1,
            figures.durations + (duration is not None),
            figures.microseconds + (duration // _MICROSECOND if duration is not None else 0),
        )
    return table


def told_duration(run: Truth) -> timedelta | None:
    """The duration as the API tells it; EPMware tells times in whole seconds."""
    if run.started_at is None or run.finished_at is None:
        return None
    if run.source != "epmware":
        return run.finished_at - run.started_at
    return run.finished_at.replace(microsecond=0) - run.started_at.replace(microsecond=0)


def observed(samples: Samples) -> Table:
    """What the exporter has counted."""
    table: Table = {}
    for (name, labels), value in samples.items():
        if name != "asynctask_finished_total" or not value:
            continue
        told = dict(labels)
        table[told["source"], told["operation"], told["status"]] = Figures(
            int(value),
            int(samples.get(("asynctask_duration_seconds_count", labels), 0)),
            round(samples.get(("asynctask_duration_seconds_sum", labels), 0) * 1e6),
        )
    return table


def report(counted: Table, truth: Table) -> Iterator[str]:
    """The two tables side by side, with a mark where they differ."""
    yield f"{'source operation status':64} {'finished':>13} {'durations':>13}   sum of durations"
    for key in sorted({*counted, *truth}):
        was, ought = counted.get(key, Figures()), truth.get(key, Figures())
        mark = "" if was == ought else f"   DIFFERS from the truth {ought}"
        yield f"{' '.join(part or '-' for part in key):64} {was}{mark}"
    total = Figures(
        sum(figures.finished for figures in counted.values()),
        sum(figures.durations for figures in counted.values()),
        sum(figures.microseconds for figures in counted.values()),
    )
    yield f"{'all':64} {total}"


def counted_twice(counted: Table, truth: Table) -> Table:
    """What was counted of those of which there are more runs in the counters than in truth."""
    return {
        key: figures
        for key, figures in counted.items()
        if figures.finished > truth.get(key, Figures()).finished
    }


async def _counts_something(exporter: Exporter) -> None:
    """Wait until it has counted the end of a task that will be handed over to the next process as well."""
    await exporter.ready()
    async with asyncio.timeout(_SETTLING):
        while not any(source in HANDED_OVER for source, _, _ in observed(await scrape(exporter.url))):
            await asyncio.sleep(0.1)


def _all_ended(simulation: Simulation) -> bool:
    now = datetime.now().astimezone()
    return all(run.has_ended(now) for world in simulation.worlds.values() for run in world.runs())


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with TemporaryDirectory(prefix="asynctask-campaign-") as folder:
            yield Path(folder)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code tells whether the counters equal the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sabotage", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep ledger and log here")
    chosen = parser.parse_args(arguments)
    with _folder(chosen.folder) as folder:
        campaign = Campaign(Plan(chosen.kills, chosen.seed, sabotage=chosen.sabotage), folder)
        counted, truth = asyncio.run(campaign.run())
    sys.stdout.write("\n".join(report(counted, truth)) + "\n")
    sys.stdout.write(f"{campaign.kills} kills, outages: {dict(campaign.outages)}\n")
    same = counted == truth
    sys.stdout.write("The counters equal the truth.\n" if same else "THE COUNTERS DIFFER FROM THE TRUTH.\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
