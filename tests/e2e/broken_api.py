"""A stranger's API module with a defect, for ``api: "tests.e2e.broken_api:Broken"``."""

from typing import ClassVar

from exporter.apis.base import Http, NoOptions, Pace
from exporter.model import Task


class Broken:
    """Asks, and stumbles over whatever is answered, with all of it in its words."""

    Options: ClassVar[type] = NoOptions
    pace: ClassVar[Pace] = Pace()

    def __init__(self, http: Http, _options: NoOptions) -> None:
        self._http = http

    async def fetch(self, task_id: str) -> Task:
        """Raise what no API module should."""
        answer = await self._http.get("get", f"tasks/{task_id}")
        raise RuntimeError(f"{answer.status} of {self._http!r} was not foreseen: {answer.text()}")

    async def fetch_log(self, task_id: str) -> str:
        """As `fetch`; whoever asks for the log gets status 500, and the exporter's log a traceback."""
        await self.fetch(task_id)
        return ""
