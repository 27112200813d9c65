"""A task API in memory, for configurations that say ``api: "tests.app.fake_api:Fake"``."""

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

from exporter.apis.base import Http, Pace
from exporter.errors import TaskNotFound
from exporter.model import Status, Task


@dataclass
class System:
    """What one system does, and what it has been asked."""

    tasks: dict[str, Task] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, requests hang."""

    def put(self, task_id: str, status: Status) -> None:
        """Let a task be in this status."""
        self.tasks[task_id] = Task(id=task_id, status=status, operation="work")


SYSTEMS: dict[str, System] = {}
"""By the option ``system``."""


@dataclass(frozen=True)
class FakeOptions:
    """Which system it is."""

    system: str
    broken: bool = False


class Fake:
    """The API of a system."""

    Options: ClassVar[type] = FakeOptions
    pace: ClassVar[Pace] = Pace(requests_per_second=10_000.0, concurrency=4)

    def __init__(self, _http: Http, options: FakeOptions) -> None:
        if options.broken:
            raise RuntimeError("the licence has expired")
        self._system = SYSTEMS[options.system]

    async def fetch(self, task_id: str) -> Task:
        """Answer at once, or when the test lets it."""
        self._system.asked.append(task_id)
        await self._system.answers.wait()
        if task_id not in self._system.tasks:
            raise TaskNotFound(task_id)
        return self._system.tasks[task_id]

    async def fetch_log(self, task_id: str) -> str:
        """As `fetch`."""
        self._system.asked.append(f"log of {task_id}")
        await self._system.answers.wait()
        return "all went well"
