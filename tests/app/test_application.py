"""What the whole exporter knows of its sources, and no source by itself."""

from pathlib import Path

import pytest

from exporter import config
from exporter.app import App, Flags
from exporter.web.server import parse_address
from tests.app.conftest import source, text

TOLD = "alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}]}\n"


@pytest.mark.parametrize(
    ("alerting", "registration", "offered"), [(TOLD, True, True), (TOLD, False, False), ("", True, False)]
)
async def test_acknowledging_is_offered_where_it_can_resolve_an_alert(
    *, alerting: str, registration: bool, offered: bool
) -> None:
    """It takes an Alertmanager that the exporter tells, and the source's leave."""
    written = text(source("a", registration=registration)) + alerting
    app = App.open(config.parse(written, Path()), Flags(addresses=[parse_address("127.0.0.1:0")]))
    assert [info.acknowledgement for info in app.sources()] == [offered]
