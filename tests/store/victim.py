"""A process that lets tasks begin and end until it is killed, and tells each end that is stored."""

import asyncio
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from exporter import log
from exporter.clock import SystemClock
from exporter.model import Status
from exporter.store.ledger import Change, Ledger, LedgerSettings
from tests.store.given import entry, transition

TOOK = timedelta(microseconds=1_000_001)


def tell(n: int, _: object) -> None:
    """Tell that the end of a task is stored."""
    sys.stdout.write(f"{n}\n")
    sys.stdout.flush()


async def main(path: Path, first: int) -> None:
    """Count tasks from *first* on, a few at a time, and some of them as an earlier process left them."""
    log.configure("info", "logfmt")  # To standard error, for standard output tells the ends.
    ledger = Ledger.open(LedgerSettings(path=path), SystemClock())
    known = {row.task.id: row for row in ledger.declare("epm", ["import"]).entries}
    await ledger.start()
    for n in range(first, sys.maxsize):
        task_id = str(n)
        if task_id not in known:
            begin = transition(Status.RUNNING, None, task_id=task_id)
            ledger.record(Change(transitions=[begin], entries=[("epm", entry(begin))]))
        again = task_id in known and known[task_id].ended is not None
        end = transition(
            Status.ERROR,
            None if again else Status.RUNNING,
            task_id=task_id,
            run="a" if n % 2 else "#0",
            duration=TOOK,
        )
        removed = [("epm", task_id, "#0")]
        stored = ledger.record(Change(transitions=[end], removed=removed, entries=[("epm", entry(end))]))
        stored.add_done_callback(partial(tell, n))
        await asyncio.sleep(0.0005)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
