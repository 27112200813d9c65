"""The command ``asynctask-exporter watch``: a script hands over the ids of the tasks that it started."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from exporter.errors import ExporterError

_EXPECTED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the exporter may be away, as while it restarts; all in seconds."""

    in_all: float = 10.0
    between: float = 0.5
    per_try: float = 8.0
    """Longer than the exporter itself waits for its storage."""


_PATIENCE = Patience()


class NotWatched(ExporterError):
    """The exporter did not take the ids; the message is one line that says why."""


class _TryAgain(NotWatched):
    """It may take them in a moment: it cannot be reached, or its storage is busy."""


def run(url: str, source: str, ids: Sequence[str], *, operation: str = "", name: str = "") -> int:
    """Hand over the ids, say in one line how it went, and return the exit code: 0 committed, 1 not."""
    try:
        line = asyncio.run(watch(url, source, ids, operation=operation, name=name))
    except NotWatched as error:
        sys.stderr.write(f"asynctask-exporter: error: {error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


async def watch(
    url: str,
    source: str,
    ids: Sequence[str],
    *,
    operation: str = "",
    name: str = "",
    patience: Patience = _PATIENCE,
) -> str:
    """Hand over the ids to the exporter at *url*; return a line that says what was new.

    It tries again while the exporter cannot be reached or asks for it: registering an id twice is
    the same as registering it once.

    Raises:
        NotWatched: it refused them, or could not be reached for as long as patience lasts.
    """
    endpoint = _endpoint(url, source)
    described = {key: text for key, text in (("operation", operation), ("name", name)) if text}
    tasks = [{"task_id": task_id, **described} for task_id in ids]
    deadline = time.monotonic() + patience.in_all
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience.per_try)) as session:
        while True:
            try:
                return _report(source, await _post(session, endpoint, {"tasks": tasks}))
            except _TryAgain:
                if time.monotonic() + patience.between > deadline:
                    raise
            await asyncio.sleep(patience.between)


def _endpoint(url: str, source: str) -> URL:
    try:
        base = URL(url)
    except ValueError:
        base = URL()
    if base.scheme not in {"http", "https"} or not base.host:
        raise NotWatched("--url must be the exporter's address, such as http://localhost:9926")
    if source in {"", ".", ".."}:
        raise NotWatched(f"{source!r} cannot be the name of a source")
    path = f"api/v1/sources/{quote(source, safe='')}/tasks"
    return base.with_query(None).with_fragment(None).joinpath(path, encoded=True)


async def _post(session: aiohttp.ClientSession, endpoint: URL, body: object) -> dict[str, Any]:
    """Post once and return the answer's ``data``."""
    at = endpoint.origin()
    try:
        async with session.post(endpoint, json=body, allow_redirects=False) as response:
            answer = await _read(response)
    except TimeoutError:
        raise _TryAgain(f"no answer from {at} in time") from None
    except aiohttp.ClientConnectorError as error:
        raise _TryAgain(f"cannot reach {at}: {_reason(error)}") from None
    except aiohttp.ClientError as error:
        raise _TryAgain(f"the connection to {at} broke: {type(error).__name__}") from None
    if response.status in _EXPECTED and isinstance(answer.get("data"), dict):
        data: dict[str, Any] = answer["data"]
        return data
    raise _refusal(at, response.status, answer)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """The system's words for it; where several addresses were tried, asyncio's."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error.os_error)


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The answer as an object; an empty one if it is something else."""
    try:
        answer = await response.json(content_type=None)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(at: URL, status: int, answer: dict[str, Any]) -> NotWatched:
    reason = " ".join(str(answer.get("error", "")).split())
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _TryAgain(reason or f"{at} is not available now (503)")
    if reason:
        return NotWatched(reason)
    return NotWatched(f"{at} answered {status}, not as asynctask-exporter would; is --url right?")


def _report(source: str, data: dict[str, Any]) -> str:
    new, known = (len(ids) if isinstance(ids := data.get(key), list) else 0 for key in ("new", "known"))
    before = f", {known} known already" if known else ""
    return f"{source}: {new} new task{'' if new == 1 else 's'} watched{before}"
