"""Board and ledger together, through restarts, full disks and duplicates, against a model of the truth."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import FINAL, Status, Task, Transition
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.ledger import Change, Ledger
from exporter.store.totals import DISCOVERED, DURATION
from tests.store.given import START, FakeClock, finished, full_disk, numbers, settings

Observation = tuple[str, str, Status]
"""Task id, the run's name where the API tells one, status."""
TOOK = timedelta(seconds=7, microseconds=1)


def truth(observations: Sequence[Observation]) -> tuple[int, Counter[str]]:
    """How many runs were discovered, and how many finished with which status."""
    discovered, counts, running, ended = 0, Counter[str](), set(), set()
    for task_id, name, status in observations:
        run = (task_id, name if task_id.startswith("named") else "")
        known = (task_id, name) in ended and (name or run not in running)
        if status.is_final and not known:
            counts[status.value] += 1
            discovered += run not in running
            running.discard(run)
            ended.add((task_id, name))
        elif not status.is_final and run not in running and not (name and known):
            discovered += 1
            running.add(run)
    return discovered, counts


@dataclass
class Exporter:
    """What the poller does, without an API: observe, apply, record; and the ways in which it ends."""

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    disk: ExitStack = field(default_factory=ExitStack)
    observed: list[Observation] = field(default_factory=list)
    stored: int = 0
    """How many of the observations are known to be in the ledger."""
    full: bool = False
    last: Change = field(default_factory=Change)

    async def begin(self) -> None:
        """Start a process."""
        self.ledger = Ledger.open(settings(self.path), self.clock)
        self.board = Board("epm", BoardRules(keep=timedelta(0), keep_failed=timedelta(0)))
        self.board.restore(self.ledger.declare("epm", ["import"]).entries, self.clock.moment())
        await self.ledger.start()

    async def observe(self, observation: Observation) -> None:
        """See a task, and record what is news and what changed on the board."""
        task_id, name, status = observation
        self.clock.wall += timedelta(seconds=1)
        self.clock.mono += 1
        task = Task(id=task_id, status=status, operation="import", run=name)
        if status.is_final:
            task = replace(task, started_at=START, finished_at=START + TOOK)
        unsure = status.is_final or task_id not in self.board
        counted = await self.ledger.counted("epm", [task_id]) if unsure else {}
        now = self.clock.moment()
        seen = Sighting(at=now, asked=now.mono, wanted=True, counted=counted.get(task_id, ()))
        news = self.board.apply(task, seen)
        self.observed.append(observation)
        self.record(() if news is None else [news])

    def record(self, transitions: Sequence[Transition] = ()) -> None:
        """Record transitions with what they did to the board."""
        kept, gone = self.board.changes()
        self.last = Change(
            transitions=transitions,
            removed=[("epm", *key) for key in gone],
            entries=[("epm", entry) for entry in kept],
        )
        self.ledger.record(self.last)

    async def act(self, action: str) -> None:
        """Do something that is no observation."""
        if action == "again":
            self.ledger.record(self.last)
        elif action == "sweep":
            self.board.show(self.board.unshown(), self.clock.moment())
            self.board.sweep(self.clock.moment())
            self.record()
        elif action == "full":
            await self.store()
            self.disk.enter_context(full_disk())
            self.full = True
        elif action == "room":
            await self.store()
        else:
            await self.restart()

    async def store(self) -> None:
        """See to it that there is room, and that everything is stored."""
        self.disk.close()
        self.full = False
        await self.ledger.record(Change())
        self.stored = len(self.observed)

    async def restart(self) -> None:
        """End and begin anew: while the disk is full, what is not stored is gone as with kill -9."""
        await self.ledger.close()
        self.disk.close()
        if self.full:
            del self.observed[self.stored :]
        self.full = False
        self.last = Change()
        await self.begin()


IDS = [("named1", "a"), ("named1", "b"), ("unnamed1", ""), ("unnamed2", ""), ("late1", "x"), ("late1", "y")]
"""Some APIs name a run from its start, some never, some only when it has ended."""
STATUSES = [Status.PENDING, Status.RUNNING, *sorted(FINAL)]
ACTIONS = ["again", "sweep", "full", "room", "restart"]


def observation(task: tuple[str, str], status: Status) -> Observation:
    """What the API of this kind of task tells."""
    task_id, name = task
    told = name if status.is_final or not task_id.startswith("late") else ""
    return task_id, told, status


async def live(exporter: Exporter, steps: Sequence[Observation | str]) -> None:
    """Go through all steps, and restart at the end."""
    for step in steps:
        await (exporter.act(step) if isinstance(step, str) else exporter.observe(step))
    await exporter.store()
    before = numbers(exporter.ledger.totals)
    await exporter.restart()
    assert numbers(exporter.ledger.totals) == before


async def check(steps: Sequence[Observation | str], path: Path) -> None:
    """Compare what is counted in the end with the truth."""
    exporter = Exporter(path)
    await exporter.begin()
    try:
        await live(exporter, steps)
        totals = exporter.ledger.totals
        discovered = sum(series.value for series in totals.counters[DISCOVERED].values())
        assert (discovered, finished(exporter.ledger)) == truth(exporter.observed)
        for (_, operation, status), histogram in totals.histograms[DURATION].items():
            count = finished(exporter.ledger).get(status, 0) if operation == "import" else 0
            assert (sum(histogram.counts), histogram.sum_us) == (count, count * 7_000_001)
    finally:
        exporter.disk.close()
        await exporter.ledger.close()


@effort(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(observation, st.sampled_from(IDS), st.sampled_from(STATUSES)),
            st.builds(observation, st.sampled_from(IDS), st.sampled_from(STATUSES)),
            st.sampled_from(ACTIONS),
        ),
        max_size=40,
    )
)
def test_what_is_counted_is_the_truth(steps: list[Observation | str]) -> None:
    """Any sequence of observations, duplicates, restarts and failed commits counts each run once."""
    with TemporaryDirectory() as path, capture_logs():
        asyncio.run(check(steps, Path(path)))
