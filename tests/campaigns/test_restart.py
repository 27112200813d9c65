"""The short form of the trial by `kill -9`."""

from pathlib import Path

import pytest

from tests.campaigns.restart import Campaign, Plan, counted_twice, report


@pytest.mark.timeout(900)
async def test_twenty_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """Counters, histogram counts and sums equal the simulated systems' truth exactly."""
    campaign = Campaign(Plan(kills=20), tmp_path)
    counted, truth = await campaign.run()
    print("\n".join(report(counted, truth)))  # noqa: T201 - what it shows when it fails
    assert campaign.kills == 20
    assert truth
    assert counted == truth


@pytest.mark.timeout(900)
async def test_without_the_ledgers_uniqueness_the_trial_fails(tmp_path: Path) -> None:
    """The trial can fail: with the counted runs deleted, tasks are counted twice."""
    counted, truth = await Campaign(Plan(kills=2, sabotage=True), tmp_path).run()
    assert counted_twice(counted, truth)
