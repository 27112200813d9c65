"""Keeps the live page up to date, by server-sent events: ``GET /api/v1/events``.

A reader is first told everything, then once a second what changed; a reader that reconnects begins
anew. With ``?source=...&task_id=...`` it is told of this one task in full.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from exporter.web.changes import AllTasks, OneTask, Reader
from exporter.web.views import Tasks

TICK_SECONDS = 1.0
MAX_READERS = 64
"""More than as many pages at a time would take the machine from what the exporter is for."""
_SILENT_TICKS = 5
"""After so many ticks without news a reader is told that the connection lives."""
_SHARE = 20
"""Finding the news for one reader takes at most this part of the time, however many tasks there are."""
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
"""The latter tells nginx to pass on each event at once."""
_PARAMETERS = {"source", "task_id"}


class Events:
    """The open streams of one application."""

    def __init__(
        self, tasks: Tasks, *, tick_seconds: float = TICK_SECONDS, max_readers: int = MAX_READERS
    ) -> None:
        self._tasks = tasks
        self._tick = tick_seconds
        self._max_readers = max_readers
        self._readers = 0
        self._closing = asyncio.Event()

    def routes(self) -> Sequence[web.RouteDef]:
        """The one path, for GET."""
        return [web.get("/api/v1/events", self._serve, allow_head=False)]

    async def close(self, _application: web.Application) -> None:
        """End all streams, so that nobody has to wait for them."""
        self._closing.set()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        reader = self._reader(request)
        if self._readers >= self._max_readers:
            raise web.HTTPServiceUnavailable(text=f"{self._max_readers} pages are open already")
        response = web.StreamResponse(headers=_HEADERS)
        self._readers += 1
        try:
            with suppress(ConnectionError):
                await response.prepare(request)
                await self._tell(response, reader)
        finally:
            self._readers -= 1
        return response

    def _reader(self, request: web.Request) -> Reader:
        """Choose what is told.

        Raises:
            web.HTTPBadRequest: the parameters are neither none nor both.
        """
        if set(request.query) == _PARAMETERS:
            return OneTask(self._tasks, request.query["source"], request.query["task_id"])
        if request.query:
            raise web.HTTPBadRequest(text="parameters: either none, or both source and task_id")
        return AllTasks(self._tasks)

    async def _tell(self, response: web.StreamResponse, reader: Reader) -> None:
        silent = 0
        while not self._closing.is_set():
            began = time.thread_time()
            news = reader.news()
            event = b"" if news is None else _event("change", news)
            pause = max(self._tick, _SHARE * (time.thread_time() - began))
            silent = 0 if event else silent + 1
            if event or silent % _SILENT_TICKS == 0:
                await response.write(event or _event("alive", {}))
            with suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation that comes with the end (before 3.12).
                async with asyncio.timeout(pause):
                    await self._closing.wait()


def _event(name: str, content: object) -> bytes:
    """One event; JSON has no line breaks outside of its strings, where they are escaped."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "backslashreplace")
