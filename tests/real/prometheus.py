"""A real Prometheus, for tests."""

from typing import NamedTuple

from tests.real.program import Program


class Sample(NamedTuple):
    """One series of an answer and its value."""

    labels: dict[str, str]
    value: float


class PrometheusServer(Program):
    """A Prometheus with its own data: ``async with PrometheusServer(config) as prometheus``.

    Rule files go into *files* and are named in the configuration without a directory.
    """

    def command(self) -> list[str]:
        """Debian's Prometheus on a port and a directory of its own."""
        return [
            "prometheus",
            f"--config.file={self.directory / 'config.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--web.enable-lifecycle",
        ]

    async def query(self, promql: str) -> list[Sample]:
        """Evaluate an expression now; each series of the answer with its value."""
        answer = await self.get("/api/v1/query", query=promql)
        return [Sample(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]
