"""A stranger's API module that repeats in its errors whatever was answered."""

from dataclasses import dataclass
from typing import ClassVar

from exporter.apis.base import Http, Pace
from exporter.errors import NoLog, Rejected, TaskNotFound
from exporter.model import Task


@dataclass(frozen=True)
class CarelessOptions:
    """Which error it raises."""

    kind: str


class Careless:
    """Asks, and does not understand."""

    Options: ClassVar[type] = CarelessOptions
    pace: ClassVar[Pace] = Pace(requests_per_second=10_000.0)

    def __init__(self, http: Http, options: CarelessOptions) -> None:
        self._http = http
        self._kind = options.kind

    async def fetch(self, task_id: str) -> Task:
        """Raise what was ordered."""
        answer = await self._http.get("get", f"tasks/{task_id}")
        errors = {
            "Rejected": Rejected(answer.text(), retry_after=3.0),
            "TaskNotFound": TaskNotFound(task_id, answer.text()),
            "NoLog": NoLog(repr(answer.body)),
            "KeyError": KeyError(answer.text()),
        }
        raise errors[self._kind] from ValueError(answer.text())

    async def fetch_log(self, task_id: str) -> str:
        """As `fetch`."""
        await self.fetch(task_id)
        return ""
