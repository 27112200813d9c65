"""The example configurations that the project ships, with a test's addresses and in a hurry."""

from pathlib import Path

from tests.real.alertmanager import AlertmanagerServer
from tests.real.webhook import WebhookReceiver

SHIPPED = Path(__file__).parents[2] / "prometheus"


def alertmanager_config(webhook: WebhookReceiver) -> str:
    """The example with our receiver, in a hurry: what would resolve or repeat does so in the test."""
    example = (SHIPPED / "alertmanager.example.yml").read_text(encoding="utf-8")
    hurried = example.replace("group_wait: 10s", "group_wait: 1s").replace(
        "group_interval: 5m", "group_interval: 1s"
    )
    return hurried.replace("http://localhost:8080", webhook.url)


def prometheus_config(target: str, alertmanager: AlertmanagerServer, interval: str = "500ms") -> str:
    """The example with our addresses, in a hurry."""
    example = (SHIPPED / "prometheus.example.yml").read_text(encoding="utf-8")
    hurried = example.replace("_interval: 15s", f"_interval: {interval}")
    return hurried.replace("localhost:9926", target).replace("localhost:9093", alertmanager.address)
