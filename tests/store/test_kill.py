"""kill -9 while it commits: what was told as stored is there, whole, and is not counted again."""

import random
import subprocess
import sys
from pathlib import Path

from exporter.store.totals import DISCOVERED, DURATION
from tests.store.given import finished, opened, query, value

ROUNDS = 5


def live_and_die(path: Path, first: int, acknowledged: int) -> int:
    """Run the victim, kill it after so many ends were told; return the last one told."""
    command = [sys.executable, "-m", "tests.store.victim", str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        told = [victim.stdout.readline() for _ in range(acknowledged)]
        victim.kill()
        told += victim.stdout.read().splitlines()
    return int(told[-1])


async def test_nothing_is_lost_and_nothing_counted_twice_through_kill_9(tmp_path: Path) -> None:
    """After each kill all numbers agree, and the next process sees the last tasks again."""
    chance = random.Random(3)  # The same moments each time.
    last = -1
    for _ in range(ROUNDS):
        last = live_and_die(tmp_path, max(0, last - 40), chance.randrange(45, 300))
        runs = query(tmp_path, "SELECT CAST(task_id AS INTEGER), status FROM runs ORDER BY 1")
        ended = [n for n, status in runs if status is not None]
        assert set(range(last + 1)) <= set(ended)
        assert [n for n, _ in runs] == list(range(len(runs)))
        rows = query(tmp_path, 'SELECT count(*), sum(entry LIKE \'%"status":"error"%\') FROM entries')
        assert rows == [(len(runs), len(ended))]
        async with opened(tmp_path) as ledger:
            assert finished(ledger) == {"error": len(ended)}
            assert value(ledger, DISCOVERED, "epm", "import") == len(runs)
            histogram = ledger.totals.histograms[DURATION]["epm", "import", "error"]
            assert (sum(histogram.counts), histogram.sum_us) == (len(ended), len(ended) * 1_000_001)
    assert last > 100 * ROUNDS
