"""A real Alertmanager, for tests."""

from typing import Any

from tests.real.program import Program


class AlertmanagerServer(Program):
    """An Alertmanager with its own data, alone: ``async with AlertmanagerServer(config) as alertmanager``."""

    def command(self) -> list[str]:
        """Debian's Alertmanager on a port and a directory of its own."""
        return [
            "prometheus-alertmanager",
            f"--config.file={self.directory / 'config.yml'}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]

    async def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows now, as its API v2 tells them."""
        answer: list[dict[str, Any]] = await self.get("/api/v2/alerts")
        return answer
