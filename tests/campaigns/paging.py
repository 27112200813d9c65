"""Follows every failed task from the simulated system to the pager, both ways at once.

    python -m tests.campaigns.paging --tasks 1000

One exporter is scraped by a real Prometheus with the shipped rules, another one sends its own
notifications; each has a real Alertmanager with the example configuration, and a webhook where the pager
would be. Meanwhile the exporters are killed and started again, Prometheus is restarted, the Alertmanagers
and each upstream are away for a while. Operations are known and brand-new. With ``--sabotage`` the
exporters keep their ledgers in memory only, to show that the trial can fail.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import yaml

from exporter.demo.faults import Fault
from exporter.demo.simulation import WORKLOADS, Simulation
from exporter.demo.tasks import Truth
from exporter.model import FAILED
from prometheus import rules
from tests.campaigns.process import Exporter
from tests.campaigns.restart import Launcher
from tests.real.alertmanager import AlertmanagerServer
from tests.real.prometheus import PrometheusServer
from tests.real.shipped import alertmanager_config, prometheus_config
from tests.real.waiting import until
from tests.real.webhook import WebhookReceiver

SPEED = 10.0
RULES, SIDECAR = "rules", "sidecar"
ALERTS = {"error": "AsyncTaskFailed", "timed_out": "AsyncTaskTimedOut"}
_GAP = 0.2
"""Seconds between two tasks, on average."""
_OUTAGE = 3.0
_QUIET = 5.0
"""Seconds for which a page too many is waited for at the end."""
_FOREVER = timedelta(days=30)

Failure = tuple[str, str, str]
"""Source, task id and alert name."""


@dataclass(frozen=True)
class Plan:
    """How long and how hard."""

    tasks: int
    kills: int
    seed: int = 1
    outages: bool = True
    """Whether Prometheus, the Alertmanagers and the upstreams have their troubles, too."""
    sabotage: bool = False
    ways: tuple[str, ...] = (RULES, SIDECAR)
    patience: float = 300.0
    """Seconds for the last pages to come: an Alertmanager that was away is told again within a minute."""


@dataclass
class Outcome:
    """What came of one way to the pager."""

    failed: int = 0
    paged: int = 0
    missed: list[Failure] = field(default_factory=list)
    twice: list[Failure] = field(default_factory=list)
    false: list[Failure] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Seconds from the upstream's failure to the pager."""

    @property
    def kept(self) -> bool:
        """Whether the promise was."""
        return not (self.missed or self.twice or self.false) and self.paged == self.failed > 0


class Pager(WebhookReceiver):
    """Remembers when it rang for whom."""

    def __init__(self) -> None:
        super().__init__()
        self.rang: dict[Failure, list[datetime]] = {}
        self._read = 0

    def listen(self) -> None:
        """Take in what has arrived."""
        new, self._read = self.bodies[self._read :], len(self.bodies)
        for body in new:
            for alert in body["alerts"]:
                labels = alert["labels"]
                if labels["alertname"] in ALERTS.values() and alert["status"] == "firing":
                    failure = (labels["source"], labels["task_id"], labels["alertname"])
                    self.rang.setdefault(failure, []).append(datetime.now(UTC))


@dataclass
class Way:
    """One way from an exporter to a pager."""

    exporter: Exporter
    alertmanager: AlertmanagerServer
    pager: Pager
    prometheus: PrometheusServer | None = None


class Campaign:
    """One run of the trial."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.events: list[str] = []
        self._dice = Random(plan.seed)
        self._folder = folder
        self._ways: dict[str, Way] = {}
        self._numbers = count(1)

    async def run(self) -> dict[str, Outcome]:
        """Do it; return what came of each way."""
        workloads = tuple(replace(workload, gap=None, recurring=()) for workload in WORKLOADS)
        simulation = Simulation(
            seed=self.plan.seed, speed=SPEED, keep=None, listed_for=_FOREVER, workloads=workloads
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(simulation)
            simulation.apis["epmware"].limit = simulation.apis["dataarts"].limit = None
            for name in self.plan.ways:
                self._ways[name] = await stack.enter_async_context(self._way(name, simulation))
            simulation.on_launch = self._register
            listening = asyncio.create_task(self._listen())
            stack.callback(listening.cancel)
            await asyncio.gather(self._load(simulation), self._trouble(simulation))
            simulation.stop()
            await self._settle(simulation)
            return {name: outcome(way.pager, simulation.truth()) for name, way in self._ways.items()}

    @asynccontextmanager
    async def _way(self, name: str, simulation: Simulation) -> AsyncIterator[Way]:
        folder = self._folder / name
        folder.mkdir()
        async with AsyncExitStack() as stack:
            pager = await stack.enter_async_context(Pager())
            alertmanager = await stack.enter_async_context(AlertmanagerServer(alertmanager_config(pager)))
            configuration = folder / "config.yaml"
            configuration.write_text(configured(simulation, alertmanager if name == SIDECAR else None))
            log = stack.enter_context((folder / "log").open("ab"))
            exporter = Exporter(configuration, None if self.plan.sabotage else folder / "ledger", log)
            stack.callback(exporter.abandon)
            await exporter.start()
            await exporter.ready()
            way = Way(exporter, alertmanager, pager)
            if name == RULES:
                target = exporter.url.removeprefix("http://")
                text = prometheus_config(target, alertmanager, "1s")
                way.prometheus = await stack.enter_async_context(PrometheusServer(text, rules.rule_files([])))
            yield way
            await exporter.stop()

    async def _register(self, source: str, task_id: str, operation: str) -> bool:
        """Hand an id to both exporters, some as an operation that nobody has heard of."""
        if self._dice.random() < 1 / 3:
            operation = f"brand_new_{next(self._numbers)}"
        ways = self._ways.values()
        taken = [await Launcher(way.exporter.url).register(source, task_id, operation) for way in ways]
        return all(taken)

    async def _load(self, simulation: Simulation) -> None:
        for _ in range(self.plan.tasks):
            world = simulation.worlds[self._dice.choice(sorted(simulation.worlds))]
            world.launch(self._dice.choice(world.workload.kinds).operation)
            await asyncio.sleep(self._dice.expovariate(1 / _GAP))

    async def _trouble(self, simulation: Simulation) -> None:
        """Everything that may go wrong, spread over the time that the tasks take."""
        outages = ["prometheus", "alertmanager", *sorted(simulation.apis)] if self.plan.outages else []
        troubles = [*["kill"] * self.plan.kills, *outages]
        self._dice.shuffle(troubles)
        pause = self.plan.tasks * _GAP / len(troubles)
        for trouble in troubles:
            await asyncio.sleep(self._dice.uniform(0.2, 0.8) * pause)
            self.events.append(trouble)
            if trouble == "kill":
                await asyncio.gather(*(self._kill(way) for way in self._ways.values()))
            elif trouble in simulation.apis:
                await self._upstream_outage(simulation, trouble)
            else:
                await self._outage(trouble)

    async def _kill(self, way: Way) -> None:
        await way.exporter.kill()
        await asyncio.sleep(self._dice.uniform(0, 3))
        await way.exporter.start()
        await way.exporter.ready()

    async def _outage(self, program: str) -> None:
        for way in self._ways.values():
            server = way.prometheus if program == "prometheus" else way.alertmanager
            if server is not None:
                await server.stop()
                await asyncio.sleep(_OUTAGE)
                await server.start()

    async def _upstream_outage(self, simulation: Simulation, source: str) -> None:
        faults = simulation.apis[source].faults
        faults.mode = self._dice.choice([Fault.HANG, Fault.STATUS_500, Fault.GARBAGE, Fault.DISCONNECT])
        await asyncio.sleep(_OUTAGE)
        faults.mode = Fault.NONE

    async def _listen(self) -> None:
        while True:
            for way in self._ways.values():
                way.pager.listen()
            await asyncio.sleep(0.05)

    async def _settle(self, simulation: Simulation) -> None:
        """Wait until every failure has paged, and a little longer for those that page too often."""

        async def all_paged() -> bool:
            now = datetime.now(UTC)
            ended = all(run.has_ended(now) for world in simulation.worlds.values() for run in world.runs())
            failures = failures_of(simulation.truth())
            return ended and all(failures.keys() <= way.pager.rang.keys() for way in self._ways.values())

        try:
            await until("every failure has paged", all_paged, seconds=self.plan.patience)
        except TimeoutError:
            self.events.append("gave up waiting")
        await asyncio.sleep(_QUIET)


def configured(simulation: Simulation, alertmanager: AlertmanagerServer | None) -> str:
    """The simulation's configuration, with failures kept for as long as in production."""
    told = yaml.safe_load(simulation.config_yaml())
    for source in told["sources"]:
        source |= {"keep": "15m", "keep_failed": "1h", "operations": []}
    if alertmanager is not None:
        targets = [{"targets": [alertmanager.address]}]
        told["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
    text: str = yaml.safe_dump(told)
    return text


def failures_of(truth: Sequence[Truth]) -> dict[Failure, datetime]:
    """What ought to page, and when it failed."""
    return {
        (run.source, run.id, ALERTS[run.status.value]): run.finished_at
        for run in truth
        if run.status in FAILED and run.finished_at is not None
    }


def outcome(pager: Pager, truth: Sequence[Truth]) -> Outcome:
    """Compare what rang with what failed."""
    failures = failures_of(truth)
    rang: Mapping[Failure, Sequence[datetime]] = pager.rang
    return Outcome(
        failed=len(failures),
        paged=len(failures.keys() & rang.keys()),
        missed=sorted(failures.keys() - rang.keys()),
        twice=sorted(failure for failure, times in rang.items() if len(times) > 1),
        false=sorted(rang.keys() - failures.keys()),
        delays=[(rang[f][0] - at).total_seconds() for f, at in failures.items() if f in rang],
    )


def report(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """The table, and what is wrong in it."""
    yield f"{'way':8}  failed   paged  missed   twice   false      p50      p99"
    for name, found in outcomes.items():
        p50, p99 = _quantiles(found.delays)
        counts = (found.failed, found.paged, len(found.missed), len(found.twice), len(found.false))
        yield f"{name:8} " + " ".join(f"{number:7}" for number in counts) + f" {p50:6.1f} s {p99:6.1f} s"
    for name, found in outcomes.items():
        for what in ("missed", "twice", "false"):
            for failure in getattr(found, what):
                yield f"{name}: {what}: {' '.join(failure)}"


def _quantiles(delays: Sequence[float]) -> tuple[float, float]:
    if len(delays) < 2:
        return (0.0, 0.0)
    hundredths = statistics.quantiles(delays, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code tells whether the promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--kills", type=int, default=0, help="one for 40 tasks unless told")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sabotage", action="store_true")
    chosen = parser.parse_args(arguments)
    kills = chosen.kills or chosen.tasks // 40
    plan = Plan(tasks=chosen.tasks, kills=kills, seed=chosen.seed, sabotage=chosen.sabotage)
    with TemporaryDirectory(prefix="asynctask-paging-") as folder:
        campaign = Campaign(plan, Path(folder))
        outcomes = asyncio.run(campaign.run())
    sys.stdout.write("\n".join(report(outcomes)) + "\n")
    sys.stdout.write(f"{chosen.tasks} tasks; {', '.join(campaign.events)}\n")
    kept = all(found.kept for found in outcomes.values())
    sys.stdout.write("Every failed task paged, once.\n" if kept else "THE PROMISE WAS BROKEN.\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
