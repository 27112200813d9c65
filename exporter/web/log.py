"""Shows the log of a task, as its API keeps it: ``GET /api/v1/sources/{source}/tasks/{task_id}/log``.

The text is the watched system's, and nobody knows what is in it. So it is plain text, to be saved and not
shown, and of what is too long the end.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web

from exporter.errors import NoLog, SourceError, TaskNotFound
from exporter.web.views import Logs, UnknownSource

MAX_LOG = 1024 * 1024
"""Bytes."""
SECONDS = 30.0


def routes(logs: Logs, *, seconds: float) -> Sequence[web.RouteDef]:
    """The one path, for GET and HEAD.

    Args:
        logs: fetches them.
        seconds: how long to wait for the watched system before answering 503.
    """

    async def show(request: web.Request) -> web.Response:
        source, task_id = request.match_info["source"], request.match_info["task_id"]
        log = await _fetch(logs, source, task_id, seconds)
        return web.Response(body=end_of(log), headers=_headers(source, task_id))

    return [web.get("/api/v1/sources/{source}/tasks/{task_id:.+}/log", show)]


def end_of(log: str) -> bytes:
    """The log in UTF-8: of a long one the end, from the beginning of a line where it has lines."""
    body = log.encode("utf-8", "replace")
    if len(body) <= MAX_LOG:
        return body
    end = body[-MAX_LOG:]
    _, newline, lines = end.partition(b"\n")
    return lines if newline else end.decode("utf-8", "ignore").encode()


async def _fetch(logs: Logs, source: str, task_id: str, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await logs.fetch_log(source, task_id)
    except (UnknownSource, NoLog, TaskNotFound) as none:
        raise web.HTTPNotFound(text=str(none)) from None
    except SourceError as error:
        raise web.HTTPServiceUnavailable(text=f"the source did not give the log: {error}") from None
    except TimeoutError:
        text = f"the source did not give the log within {seconds:g} seconds"
        raise web.HTTPServiceUnavailable(text=text) from None


def _headers(source: str, task_id: str) -> dict[str, str]:
    """What keeps browsers from running it: a type, no guessing (nosniff is on every answer), a download."""
    name = quote(f"{source}-{task_id}.log", safe="", errors="replace")
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
