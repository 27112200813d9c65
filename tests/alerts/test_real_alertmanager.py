"""With a real Alertmanager, and beside a real Prometheus with the shipped rules: each failure pages once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.alerts.settings import AlertSettings
from exporter.clock import SystemClock
from exporter.metrics.exposition import families, render, snapshot
from exporter.metrics.own import ExporterStats
from exporter.metrics.tasks import SourceView
from exporter.model import Status
from exporter.store.board import Board
from exporter.store.entry import BoardRules, Sighting
from exporter.store.ledger import Change
from exporter.store.totals import HISTOGRAMS, Totals
from prometheus import rules
from tests.alerts.given import ORIGINS, QUICK, Running, alertmanager, running
from tests.real.alertmanager import AlertmanagerServer
from tests.real.exposition import Exposition
from tests.real.prometheus import PrometheusServer
from tests.real.waiting import until
from tests.real.webhook import WebhookReceiver
from tests.store.given import FakeClock, entry, transition

SHIPPED = Path(__file__).parents[2] / "prometheus"
QUICKLY = AlertSettings(backoff=QUICK, resend_delay=timedelta(seconds=1), keep_firing=timedelta(seconds=3))


def configuration(pager: WebhookReceiver) -> str:
    """The shipped example with our pager, in a hurry: what would resolve or repeat does so in the test."""
    example = (
        (SHIPPED / "alertmanager.example.yml").read_text("utf-8").replace("http://localhost:8080", pager.url)
    )
    return example.replace("group_wait: 10s", "group_wait: 1s").replace(
        "group_interval: 5m", "group_interval: 1s"
    )


async def fail(run: Running, *task_ids: str) -> None:
    """Let tasks fail now."""
    ends = [replace(transition(Status.ERROR, None, task_id=one), at=datetime.now(UTC)) for one in task_ids]
    await run.ledger.record(Change(transitions=ends, entries=[(t.source, entry(t)) for t in ends]))


async def test_each_failure_pages_once_through_restarts_and_an_outage(tmp_path: Path) -> None:
    """Alertmanager is gone while tasks fail, and so are we: every task pages once, and is resolved once."""
    async with WebhookReceiver() as pager, AlertmanagerServer(configuration(pager)) as real:
        receiver = alertmanager(real.url)

        async def paged(*task_ids: str) -> bool:
            return {told.labels["task_id"] for told in pager.told(status="error")} == set(task_ids)

        async def resolved() -> bool:
            return len([told for told in pager.told(task_id="1") if told.status == "resolved"]) == 1

        async with running(tmp_path, receiver, settings=QUICKLY, clock=SystemClock()) as run:
            await fail(run, "1")
            await until("the first pages", lambda: paged("1"))
            await real.stop()
            await fail(run, "2")
        await real.start()
        async with running(tmp_path, receiver, settings=QUICKLY, clock=SystemClock()) as run:
            await fail(run, "3")
            await until("all page", lambda: paged("1", "2", "3"))
            assert [told.receiver for told in pager.told(task_id="2")] == ["finance-pager"]
            await run.notifier.acknowledge("epm", "1", by="ada", comment="")
            await until("the first is resolved", resolved)
            for task_id in ("1", "2", "3"):
                assert [told.status for told in pager.told(task_id=task_id)].count("firing") == 1


async def test_both_ways_are_one_alert(tmp_path: Path) -> None:
    """The rules in a real Prometheus and we tell of the same task: it is the same alert, and pages once."""
    board = Board("epm", BoardRules())
    now = FakeClock(datetime.now(UTC)).moment()
    seen = Sighting(at=now, asked=now.mono, wanted=True)
    news = [board.apply(transition(status, task_id=name).task, seen) for name, status in ENDS.items()]
    async with (
        WebhookReceiver() as pager,
        AlertmanagerServer(configuration(pager)) as real,
        Exposition() as exporter,
        PrometheusServer(_scraping(exporter, real), rules.rule_files()) as prometheus,
    ):
        exporter.text = shown(board)

        async def evaluated() -> bool:
            return len(await prometheus.query('ALERTS{alertname=~"AsyncTask(Failed|TimedOut|Warning)"}')) == 3

        async def known(number: int) -> bool:
            return len(await real.alerts()) == number and len(pager.told(alertname="AsyncTaskFailed")) > 0

        await until("the rules fire", evaluated)
        await until("Alertmanager hears of them", lambda: known(3))
        settings = replace(QUICKLY, labels={"cluster": "prod"}, send_resolved=False)
        async with running(tmp_path, alertmanager(real.url), settings=settings, clock=SystemClock()) as run:
            await run.ledger.record(Change(transitions=[one for one in news if one is not None]))
            stats = run.stats[f"alertmanager/{real.address}"]

            async def told_twice() -> bool:
                return stats.accepted >= 6

            await until("ours are taken twice", told_twice)
            alerts = await real.alerts()
        assert len(alerts) == 3
        ours = {alert.labels["alertname"]: dict(alert.labels) for alert in run.notifier.alerts()}
        assert ours == {alert["labels"]["alertname"]: alert["labels"] for alert in alerts}
        assert len(pager.told(alertname="AsyncTaskFailed")) == 1


ENDS = {"1": Status.ERROR, "2": Status.TIMED_OUT, "3": Status.WARNING}


def shown(board: Board) -> str:
    """What the exporter shows of a board whose source has labels of its own."""
    view = SourceView(
        name="epm", api="epmware", board=board, max_task_series=10, labels=ORIGINS["epm"].labels
    )
    totals = Totals(bounds=dict.fromkeys(HISTOGRAMS, (1.0,)))
    now = SystemClock().moment()
    taken = snapshot([view], totals, [], ExporterStats(), released=0, now=now)
    return b"".join(render(families(taken))[0]).decode()


def _scraping(exporter: Exposition, real: AlertmanagerServer) -> str:
    example = (
        (SHIPPED / "prometheus.example.yml").read_text("utf-8").replace("localhost:9926", exporter.address)
    )
    hurried = example.replace("_interval: 15s", "_interval: 500ms").replace("localhost:9093", real.address)
    return hurried.replace("global:\n", "global:\n  external_labels: {cluster: prod}\n")
