"""The whole exporter with a simulated EPMware: its own notifications, logs, and a person who has seen it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from exporter.model import Status
from tests.alerts.given import Receiver
from tests.e2e.harness import Exporter, configured, exporting, silent_simulation
from tests.real.waiting import until


def alerting(receiver: Receiver) -> dict[str, Any]:
    """An Alertmanager and a webhook, both at one address."""
    return {
        "external_url": "https://asynctask.example.com",
        "alertmanagers": [{"static_configs": [{"targets": [receiver.target]}]}],
        "webhooks": [{"name": "events", "url": f"{receiver.url}/events", "on": ["success", "error"]}],
    }


def alerts(receiver: Receiver) -> list[dict[str, Any]]:
    """What it took as an Alertmanager."""
    return [alert for asked in receiver.taken if asked.path == "/api/v2/alerts" for alert in asked.json]


async def call(exporter: Exporter, method: str, path: str, **more: Any) -> tuple[int, str]:  # noqa: ANN401 - aiohttp's
    """Ask the exporter."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, exporter.url + path, **more) as answer,
    ):
        return answer.status, await answer.text()


async def test_from_a_failed_task_to_a_person_who_has_seen_it(tmp_path: Path) -> None:
    """The page has the log's end, the webhook hears of all it asked for, and an acknowledgement resolves."""
    async with Receiver() as receiver, silent_simulation(speed=10) as simulation:
        world = simulation.worlds["epmware"]
        short = timedelta(seconds=0.3)
        failed = world.add("import", outcome=Status.ERROR, length=short)
        fine = world.add("import", outcome=Status.SUCCESS, length=short)
        await simulation.hand_over()
        told = yaml.safe_load(configured(simulation, only=["epmware"], labels={"team": "finance"}))
        configuration = yaml.safe_dump({**told, "alerting": alerting(receiver)})
        async with exporting(configuration, tmp_path) as exporter:
            task = f"/api/v1/sources/epmware/tasks/{failed.id}"
            none = await call(
                exporter, "POST", f"/api/v1/sources/epmware/tasks/{fine.id}/acknowledge", json={}
            )
            assert none[0] == 404

            async def both_told() -> bool:
                events = [asked for asked in receiver.taken if asked.path == "/events"]
                return bool(alerts(receiver)) and {e.json["subject"] for e in events} == {failed.id, fine.id}

            await until("both are told", both_told)
            (alert,) = alerts(receiver)
            status, log = await call(exporter, "GET", f"{task}/log")
            assert status == 200
            assert alert["labels"]["task_id"] == failed.id
            assert alert["labels"]["team"] == "finance"
            assert log.rstrip().endswith(alert["annotations"]["log"].splitlines()[-1])
            assert alert["generatorURL"] == f"https://asynctask.example.com{task}"

            status, text = await call(exporter, "POST", f"{task}/acknowledge", json={"by": "ada"})
            assert (status, '"by":"ada"' in text) == (200, True)

            async def resolved() -> bool:
                return len(alerts(receiver)) == 2

            await until("it is resolved", resolved)
            _, metrics = await call(exporter, "GET", "/metrics")
            assert 'asynctask_notifications_sent_total{receiver="webhook/events"} 2' in metrics
            name = f"alertmanager/{receiver.target}"
            assert f'asynctask_notifications_queue_length{{receiver="{name}"}} 0' in metrics
        assert alerts(receiver)[1]["endsAt"] < alert["endsAt"]


async def test_nobody_acts_where_registration_is_off(tmp_path: Path) -> None:
    """Who may not register may not acknowledge; a log may be read where the API keeps one."""
    async with (
        silent_simulation() as simulation,
        exporting(configured(simulation, only=["pulp"]), tmp_path) as exporter,
    ):
        acknowledged = await call(exporter, "POST", "/api/v1/sources/pulp/tasks/1/acknowledge", json={})
        assert acknowledged[0] == 403
        unknown = await call(exporter, "POST", "/api/v1/sources/plup/tasks/1/acknowledge", json={})
        assert unknown[0] == 404
        status, text = await call(exporter, "GET", "/api/v1/sources/pulp/tasks/1/log")
        assert (status, "keeps no logs" in text) == (404, True)
        assert "asynctask_notifications_sent_total{" not in (await call(exporter, "GET", "/metrics"))[1]
