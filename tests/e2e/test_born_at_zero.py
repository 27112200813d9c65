"""The very first failure of a brand-new operation, seen by `increase()` in real Prometheis."""

from datetime import timedelta
from pathlib import Path

from exporter.demo.epmware import FULL
from exporter.demo.simulation import Simulation
from exporter.model import Status
from exporter.watch import watch
from tests.e2e.harness import Exporter, configured, exporting, scraping, silent_simulation
from tests.real.prometheus import PrometheusServer
from tests.real.waiting import until

SECOND = timedelta(seconds=1)


async def fail(simulation: Simulation, exporter: Exporter, operation: str, code: str) -> None:
    """Let a task of an operation that nobody has heard of fail with a code that nobody has heard of."""
    failing = simulation.worlds["epmware"].add(
        "import",
        outcome=Status.ERROR,
        length=0.2 * SECOND,
        form=FULL,
        error_code=code,
        message="Import failed",
    )
    await watch(exporter.url, "epmware", [failing.id], operation=operation)


async def increases(prometheus: PrometheusServer, operation: str) -> tuple[bool, bool]:
    """Whether Prometheus has seen the failure happen: by its status, and by its code."""
    finished = f'increase(asynctask_finished_total{{operation="{operation}",status="error"}}[5m]) > 0'
    errors = f'increase(asynctask_errors_total{{operation="{operation}",error_code!=""}}[5m]) > 0'
    return bool(await prometheus.query(finished)), bool(await prometheus.query(errors))


async def test_two_prometheis_see_the_first_failure_of_a_new_operation(tmp_path: Path) -> None:
    """With different intervals, before and after a restart; and each of them exactly one."""
    async with silent_simulation() as simulation:
        configuration = configured(simulation, only=["epmware"], file_sd_configs=[])
        async with (
            exporting(configuration, tmp_path) as exporter,
            scraping(exporter, "1s") as fast,
            scraping(exporter, "3s") as slow,
        ):
            for prometheus in (fast, slow):
                await until("it scrapes", lambda one=prometheus: is_up(one))  # type: ignore[misc]
            await fail(simulation, exporter, "first", "NEW_001")
            await both_see(fast, slow, "first")

            await exporter.stop()
            await exporter.start()
            await fail(simulation, exporter, "second", "NEW_002")
            await both_see(fast, slow, "second")
            for prometheus in (fast, slow):
                for operation in ("first", "second"):
                    assert await most(prometheus, operation) == 1
                    assert await resets(prometheus, operation) == 0


async def test_a_failure_of_before_the_first_scrape_is_seen(tmp_path: Path) -> None:
    """A task that failed before any Prometheus came by is an increase for the first that does."""
    async with silent_simulation() as simulation:
        configuration = configured(simulation, only=["epmware"], file_sd_configs=[])
        async with exporting(configuration, tmp_path) as exporter:
            await fail(simulation, exporter, "early", "NEW_003")
            async with scraping(exporter) as prometheus:
                await until("the failure is seen", lambda: sees(prometheus, "early"))


async def is_up(prometheus: PrometheusServer) -> bool:
    """Whether it has scraped."""
    return bool(await prometheus.query("asynctask_exporter_build_info"))


async def sees(prometheus: PrometheusServer, operation: str) -> bool:
    """Whether the failure has been seen both ways."""
    return await increases(prometheus, operation) == (True, True)


async def both_see(fast: PrometheusServer, slow: PrometheusServer, operation: str) -> None:
    """Wait until both have seen it."""
    for prometheus in (fast, slow):
        await until(f"{operation} is seen", lambda one=prometheus: sees(one, operation))  # type: ignore[misc]


async def most(prometheus: PrometheusServer, operation: str) -> float:
    """The highest count of failures it was ever shown."""
    query = f'max_over_time(asynctask_finished_total{{operation="{operation}",status="error"}}[5m])'
    return (await prometheus.query(query))[0].value


async def resets(prometheus: PrometheusServer, operation: str) -> float:
    """How often the count went back."""
    query = f'resets(asynctask_finished_total{{operation="{operation}",status="error"}}[5m])'
    return (await prometheus.query(query))[0].value
