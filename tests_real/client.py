"""What somebody does with a Pulp: syncs, cancels, deletes, looks at its tasks."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from uuid import uuid4

import aiohttp

from tests_real.server import PASSWORD, USER
from tests_real.waiting import until

_API = "/pulp/api/v3"
_QUIET = timedelta(seconds=2)
_MANY = 10_000
_FIELDS = "pulp_href,name,state,pulp_created,unblocked_at,started_at,finished_at,error"
PulpTask = dict[str, Any]
"""A task as Pulp tells it."""


class PulpClient:
    """A user of a Pulp: ``async with PulpClient(url) as pulp``."""

    def __init__(self, url: str) -> None:
        self.url = url
        words = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._session = aiohttp.ClientSession(
            base_url=url, headers={"Authorization": f"Basic {words}"}, raise_for_status=True
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def repository(self) -> str:
        """Make a repository of files."""
        return await self._make("repositories")

    async def remote(self, url: str) -> str:
        """Make a remote; a download that fails is tried once again."""
        return await self._make("remotes", url=url, policy="immediate", max_retries=1)

    async def sync(self, repository: str, remote: str) -> str:
        """Begin to sync a repository; return the task."""
        return await self._begin("POST", f"{repository}sync/", json={"remote": remote})

    async def sync_new(self, manifest: str) -> str:
        """Begin to sync a new repository from a new remote; return the task."""
        return await self.sync(await self.repository(), await self.remote(manifest))

    async def delete(self, thing: str) -> str:
        """Begin to delete something; return the task."""
        return await self._begin("DELETE", thing)

    async def clean_orphans(self) -> str:
        """Begin to clean up what belongs to nothing; return the task."""
        return await self._begin("POST", f"{_API}/orphans/cleanup/", json={"orphan_protection_time": 0})

    async def cancel(self, task: str) -> None:
        """Ask for a task to be cancelled."""
        async with self._session.patch(task, json={"state": "canceled"}):
            pass

    async def task(self, task: str) -> PulpTask:
        """One task."""
        async with self._session.get(task) as answer:
            told: PulpTask = await answer.json()
        return told

    async def tasks(self) -> list[PulpTask]:
        """All tasks that it knows, in one page, without their progress."""
        return (await self._tasks())[0]

    async def ended(self, *tasks: str) -> list[PulpTask]:
        """Wait until these tasks have ended; return them."""

        async def all_ended() -> bool:
            return all([(await self.task(task))["finished_at"] for task in tasks])

        await until("the tasks end", all_ended)
        return [await self.task(task) for task in tasks]

    async def quiet(self) -> None:
        """Wait until all tasks have ended some seconds ago, by Pulp's own clock."""

        async def is_quiet() -> bool:
            tasks, now = await self._tasks()
            ends = [task["finished_at"] for task in tasks]
            return all(end and datetime.fromisoformat(end) + _QUIET <= now for end in ends)

        await until("Pulp is quiet", is_quiet)

    async def _tasks(self) -> tuple[list[PulpTask], datetime]:
        query = {"limit": str(_MANY), "fields": _FIELDS}
        async with self._session.get(f"{_API}/tasks/", params=query) as answer:
            told = await answer.json()
            date = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
        assert told["next"] is None
        return told["results"], date

    async def _make(self, kind: str, **fields: object) -> str:
        things = f"{_API}/{kind}/file/file/"
        async with self._session.post(things, json={"name": str(uuid4()), **fields}) as answer:
            made: dict[str, str] = await answer.json()
        return made["pulp_href"]

    async def _begin(self, method: str, path: str, json: dict[str, object] | None = None) -> str:
        async with self._session.request(method, path, json=json) as answer:
            begun: dict[str, str] = await answer.json()
        return begun["task"]


def task_id(task: str) -> str:
    """The id in a task's address."""
    return task.rstrip("/").rpartition("/")[2]
