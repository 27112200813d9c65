"""What a real Prometheus knows about the simulated systems, compared with their own truth."""

from collections import defaultdict
from datetime import timedelta
from pathlib import Path

from exporter.demo.epmware import FULL
from exporter.demo.simulation import Simulation
from exporter.model import Status
from tests.campaigns.restart import Figures, Table, expected
from tests.e2e.harness import configured, exporting, scraping, silent_simulation
from tests.real.prometheus import PrometheusServer
from tests.real.waiting import until

SECOND = timedelta(seconds=1)


async def counted(prometheus: PrometheusServer) -> Table:
    """Ends, durations and their sum, by source, operation and status."""
    figures: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    queries = (
        "asynctask_finished_total > 0",
        "asynctask_duration_seconds_count > 0",
        "asynctask_duration_seconds_sum",
    )
    for place, query in enumerate(queries):
        for labels, value in await prometheus.query(query):
            figures[labels["source"], labels.get("operation", ""), labels["status"]][place] += value
    return {
        key: Figures(int(ends), int(durations), round(seconds * 1e6))
        for key, (ends, durations, seconds) in figures.items()
        if ends
    }


def add_tasks(simulation: Simulation) -> None:
    """Some of every end that each system knows."""
    for world in simulation.worlds.values():
        for number, outcome in enumerate(sorted(world.workload.outcomes)):
            kind = world.workload.kinds[number % len(world.workload.kinds)]
            world.add(
                kind.operation,
                name=kind.names[0],
                outcome=outcome,
                queued=0.3 * SECOND,
                length=(1 + number) * SECOND,
                form=FULL,
            )


async def test_counts_and_durations_in_prometheus_equal_the_truth(tmp_path: Path) -> None:
    """Every end of every system, counted once, with its duration, as a real Prometheus has it."""
    async with (
        silent_simulation() as simulation,
        exporting(configured(simulation), tmp_path) as exporter,
        scraping(exporter) as prometheus,
    ):
        add_tasks(simulation)
        total = len(simulation.truth())

        async def equal() -> bool:
            truth = expected(simulation.truth())
            ended = sum(figures.finished for figures in truth.values())
            return ended == total and await counted(prometheus) == truth

        try:
            await until("counts and durations equal the truth", equal)
        except TimeoutError:
            assert await counted(prometheus) == expected(simulation.truth())


async def test_progress_in_prometheus_equals_the_truth(tmp_path: Path) -> None:
    """Tasks that got stuck on the way show how far they got; a Pulp 1 does not know yet of how much."""
    async with (
        silent_simulation() as simulation,
        exporting(configured(simulation), tmp_path) as exporter,
        scraping(exporter) as prometheus,
    ):
        truth = {}
        for name in ("epmware", "pulp", "pulp1"):
            world = simulation.worlds[name]
            stuck = world.add(
                world.workload.kinds[0].operation,
                length=None,
                planned=0.1 * SECOND,
                reach=0.4,
                records=1000,
                form=FULL,
            )
            truth[name, stuck.id] = 400.0

        async def equal() -> bool:
            found = await prometheus.query("asynctask_task_records_processed")
            return {(labels["source"], labels["task_id"]): value for labels, value in found} == truth

        await until("progress equals the truth", equal)
        ratios = await prometheus.query('asynctask_task_progress_ratio{source!="pulp1"}')
        assert [value for _, value in ratios] == [0.4, 0.4]
        running = await prometheus.query('sum by (source) (asynctask_tasks{status="running"})')
        assert {labels["source"]: value for labels, value in running} == {
            "dataarts": 0,
            "epmware": 1,
            "pulp": 1,
            "pulp1": 1,
        }


async def test_series_of_tasks_that_ended_long_ago_are_gone(tmp_path: Path) -> None:
    """They vanish when they have been shown for as long as the configuration says; the counts stay."""
    async with silent_simulation() as simulation:
        configuration = configured(simulation, only=["pulp"], keep="1s", keep_failed="2s")
        async with exporting(configuration, tmp_path) as exporter, scraping(exporter) as prometheus:
            world = simulation.worlds["pulp"]
            operation = world.workload.kinds[0].operation
            for outcome in (Status.SUCCESS, Status.ERROR):
                world.add(operation, outcome=outcome, length=0.5 * SECOND)

            async def are_shown() -> bool:
                # Or were: nobody says that both are at the same time, nor that we look while they are.
                shown = await prometheus.query("last_over_time(asynctask_task_end_timestamp_seconds[5m])")
                return len(shown) == 2

            async def are_gone() -> bool:
                # Asked at once, so that a scrape that fails makes nothing look gone.
                counts = 'sum(asynctask_finished_total) unless on() {__name__=~"asynctask_task_.*"}'
                return [value for _, value in await prometheus.query(counts)] == [2]

            await until("both ends are shown", are_shown)
            await until("both tasks are gone, and their counts stay", are_gone)
