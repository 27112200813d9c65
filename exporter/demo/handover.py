"""Hands the ids of new tasks to the exporter, through a file or by registration.

EPMware and DataArts do not list their tasks: whoever launches one has to tell its id.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from pathlib import Path

from exporter.demo.tasks import SimTask
from exporter.demo.world import World

Register = Callable[[str, str, str], Awaitable[bool]]
"""Registers source, id and operation with the exporter. Tells whether it was accepted; never raises."""
_EVERY = 3


class Handover:
    """Keeps a file of ids up to date, in the format of Prometheus' file_sd.

    Args:
        world: whose tasks.
        path: the file; replaced as a whole on every change.
        listed_for: how long an id stays in the file after its task ended.
        labels: the labels that the launcher of a task would know.
    """

    def __init__(
        self,
        world: World,
        path: Path,
        *,
        listed_for: timedelta,
        labels: Callable[[SimTask], dict[str, str]],
    ) -> None:
        self.path = path
        self._world = world
        self._listed_for = listed_for
        self._labels = labels
        self._is_listed: dict[str, bool] = {}
        self._new = 0
        self._text = ""

    async def update(self, register: Register | None) -> None:
        """Hand over what is new: every third id by *register*, all others by the file."""
        tasks = self._world.tasks()
        for task in tasks:
            if task.id not in self._is_listed:
                self._is_listed[task.id] = not await self._register(task, register)
        known = {task.id for task in tasks}
        self._is_listed = {task_id: by for task_id, by in self._is_listed.items() if task_id in known}
        horizon = self._world.clock.now() - self._listed_for
        self._write(task for task in tasks if self._is_listed[task.id] and not task.has_ended(horizon))

    async def _register(self, task: SimTask, register: Register | None) -> bool:
        self._new += 1
        if register is None or self._new % _EVERY:
            return False
        return await register(self._world.source, task.id, task.operation)

    def _write(self, tasks: Iterable[SimTask]) -> None:
        groups = [{"targets": [task.id], "labels": self._labels(task)} for task in tasks]
        text = json.dumps(groups, indent=1)
        if text != self._text:
            draft = self.path.with_suffix(".tmp")
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.path)
            self._text = text
