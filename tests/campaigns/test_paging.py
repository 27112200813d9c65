"""The short form of the trial from the failed task to the pager."""

from pathlib import Path

import pytest

from tests.campaigns.paging import RULES, SIDECAR, Campaign, Plan, report


@pytest.mark.timeout(900)
async def test_every_failed_task_pages_once_both_ways(tmp_path: Path) -> None:
    """Through kills, restarts and outages: none missed, none twice, none that did not fail."""
    outcomes = await Campaign(Plan(tasks=300, kills=6), tmp_path).run()
    print("\n".join(report(outcomes)))  # noqa: T201 - what it shows when it fails
    assert outcomes.keys() == {RULES, SIDECAR}
    for found in outcomes.values():
        assert found.failed > 20
        assert (found.missed, found.twice, found.false) == ([], [], [])
        assert found.kept


@pytest.mark.timeout(900)
async def test_without_the_ledger_the_trial_fails(tmp_path: Path) -> None:
    """The trial can fail: exporters that keep everything in memory lose failures when they are killed."""
    outcomes = await Campaign(
        Plan(tasks=60, kills=4, sabotage=True, outages=False, patience=8.0), tmp_path
    ).run()
    assert not all(found.kept for found in outcomes.values())
