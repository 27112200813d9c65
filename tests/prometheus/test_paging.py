"""The shipped rules and examples in a real Prometheus and a real Alertmanager: a failed task pages once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from prometheus import rules
from tests.real.alertmanager import AlertmanagerServer
from tests.real.exposition import Exposition
from tests.real.prometheus import PrometheusServer
from tests.real.shipped import alertmanager_config, prometheus_config
from tests.real.waiting import until
from tests.real.webhook import WebhookReceiver


class Chain(NamedTuple):
    """From the exporter to the pager."""

    exporter: Exposition
    prometheus: PrometheusServer
    webhook: WebhookReceiver


@asynccontextmanager
async def chain(*changes: str) -> AsyncIterator[Chain]:
    """Start everything with the shipped rules, or with thresholds changed."""
    async with (
        Exposition() as exporter,
        WebhookReceiver() as webhook,
        AlertmanagerServer(alertmanager_config(webhook)) as alertmanager,
        PrometheusServer(
            prometheus_config(exporter.address, alertmanager), rules.rule_files(changes)
        ) as prometheus,
    ):
        yield Chain(exporter, prometheus, webhook)


def board(**status_of: str) -> str:
    """What the exporter shows of tasks of a finance team's source."""
    lines = []
    for task, status in status_of.items():
        labels = f'source="epm-prod",team="finance",operation="import",task_id="{task}"'
        lines.append(f'asynctask_task_status{{{labels},status="{status}"}} 1')
        lines.append(f'asynctask_task_info{{{labels},name="Load {task}",parent_id=""}} 1')
    failed = list(status_of.values()).count("error")
    counted = 'asynctask_finished_total{source="epm-prod",team="finance",operation="import",status="error"}'
    return "".join(f"{line}\n" for line in [*lines, f"{counted} {failed}"])


async def fail_through_a_gap(parts: Chain, *, told_in_gap: int) -> list[str]:
    """Let a task fail, the exporter be gone for some scrapes, and a second task fail.

    Returns what was told of the first task. *told_in_gap* is how many notifications about it to wait for
    before the gap ends.
    """
    exporter, prometheus, webhook = parts

    async def shown(task: str, status: str = "error") -> bool:
        return bool(await prometheus.query(f'asynctask_task_status{{task_id="{task}",status="{status}"}}'))

    async def page(task: str) -> bool:
        return bool(webhook.told(task_id=task, status="error"))

    async def gap() -> bool:
        told = len(webhook.told(task_id="one"))
        return exporter.refused >= 6 and told >= told_in_gap and not await shown("one")

    exporter.text = board(one="running", two="running")
    await until("the running tasks are shown", lambda: shown("one", "running"))
    exporter.text = board(one="error", two="running")
    await until("the first task pages", lambda: page("one"))
    exporter.down = True
    await until("the gap is seen", gap)
    exporter.down = False
    await until("the first task is shown again", lambda: shown("one"))
    # What the gap has done to the first task's alert is told before the page for the second one.
    exporter.text = board(one="error", two="error")
    await until("the second task pages", lambda: page("two"))
    return [told.status for told in webhook.told(task_id="one")]


async def test_a_failed_task_pages_once_through_a_gap_in_the_scrapes() -> None:
    """The page for the source's team names the task, and neither the gap nor the counters add another."""
    async with chain() as parts:
        assert await fail_through_a_gap(parts, told_in_gap=1) == ["firing"]
        (page,) = parts.webhook.told(task_id="one")
        assert page.receiver == "finance-pager"
        assert page.annotations["description"].startswith(
            'Task one "Load one" of source epm-prod, operation import,'
        )
        assert (
            len(await parts.prometheus.query('ALERTS{alertname="AsyncTaskFailures",alertstate="firing"}'))
            == 1
        )
        assert {told.labels["alertname"] for told in parts.webhook.told()} == {"AsyncTaskFailed"}
        assert not await failing_rules(parts.prometheus)


async def failing_rules(prometheus: PrometheusServer) -> list[str]:
    """The rules that Prometheus could not evaluate, as one whose two sides match more than once."""
    groups = (await prometheus.get("/api/v1/rules"))["data"]["groups"]
    return [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]


async def test_without_keep_firing_the_gap_would_page_twice() -> None:
    """The test above can fail: where rules do not keep firing, the same gap resolves and repeats."""
    async with chain("keep_firing=0s") as parts:
        told = await fail_through_a_gap(parts, told_in_gap=2)
        assert told[:2] == ["firing", "resolved"]
        await until("it pages again", lambda: _told(parts, ["firing", "resolved", "firing"]))


async def _told(parts: Chain, statuses: list[str]) -> bool:
    return [told.status for told in parts.webhook.told(task_id="one")] == statuses
