"""Writes the dashboards' JSON: ``python -m grafana.build [directory]``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.exporter import exporter
from grafana.one import one
from grafana.tasks import tasks

COMMITTED = Path(__file__).parent / "dashboards"


def dashboards() -> list[Dashboard]:
    """All of them."""
    return [tasks(), one(), exporter()]


def files() -> Mapping[str, str]:
    """Each dashboard's JSON by the name of its file."""
    return {f"{dashboard.uid}.json": text(dashboard) for dashboard in dashboards()}


def text(dashboard: Dashboard) -> str:
    """The JSON of a dashboard, as it is committed."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write the files."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    for name, content in files().items():
        (directory / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
