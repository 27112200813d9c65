"""Takes the ids of tasks to watch: ``POST /api/v1/sources/{source}/tasks``.

The body is ``{"task_id": "244592", "operation": "deploy", "name": "..."}``, a list of these, or
``{"tasks": [...]}``; ``operation`` and ``name`` may be left out. A list is taken as a whole or not at
all. The answer comes when the ids are committed, so that after it no crash can lose them: 201 if any
of them was new, otherwise 200. Posting the same again is harmless.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from aiohttp import web

from exporter.discovery.ids import label_value, task_id, unique
from exporter.errors import StorageError
from exporter.model import WatchedId
from exporter.web import answers
from exporter.web.views import Registered, Registrar, RegistrationOff, TooManyTasks, UnknownSource

MAX_BODY = 1024 * 1024
"""Bytes; some ten thousand ids."""
COMMIT_SECONDS = 5.0
READ_SECONDS = 10.0
_KEYS = ("task_id", "operation", "name")


class BadBody(ValueError):
    """The body is not what was agreed on; the message names the place."""


def routes(registrar: Registrar, *, commit_seconds: float, read_seconds: float) -> Sequence[web.RouteDef]:
    """The one path, for POST.

    Args:
        registrar: takes the ids.
        commit_seconds: how long to wait for the ids to be committed before answering 503.
        read_seconds: how long to wait for the body before answering 408.
    """

    async def register(request: web.Request) -> web.Response:
        _require_json(request)
        watched = await _receive(request, read_seconds)
        source = request.match_info["source"]
        registered = await _commit(registrar, source, watched, commit_seconds)
        return _accept(source, registered)

    return [web.post("/api/v1/sources/{source}/tasks", register)]


def read(body: bytes) -> tuple[WatchedId, ...]:
    """Read the ids from a body, in order; of an id that comes twice the first mention wins.

    Raises:
        BadBody: names the place and what is wrong there.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBody("the body is not JSON") from None
    return unique(_read_task(place, item) for place, item in _items(content))


def _require_json(request: web.Request) -> None:
    """Keep out the forms of foreign web pages: a browser sends no JSON across sites without asking first."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="the body must be sent with Content-Type: application/json")


async def _receive(request: web.Request, seconds: float) -> tuple[WatchedId, ...]:
    try:
        async with asyncio.timeout(seconds):
            return read(await request.read())
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {seconds:g} seconds") from None
    except web.HTTPRequestEntityTooLarge:
        text = f"the body is larger than {MAX_BODY} bytes; post the ids in several batches"
        raise web.HTTPRequestEntityTooLarge(MAX_BODY, text=text) from None
    except (ConnectionError, web.RequestPayloadError):
        raise web.HTTPBadRequest(text="the body broke off") from None
    except BadBody as error:
        raise web.HTTPBadRequest(text=str(error)) from None


async def _commit(
    registrar: Registrar, source: str, watched: Sequence[WatchedId], seconds: float
) -> Registered:
    try:
        async with asyncio.timeout(seconds):
            return await registrar.register(source, watched)
    except UnknownSource as refusal:
        raise web.HTTPNotFound(text=str(refusal)) from None
    except RegistrationOff as refusal:
        raise web.HTTPForbidden(text=str(refusal)) from None
    except TooManyTasks as refusal:
        raise web.HTTPTooManyRequests(text=str(refusal)) from None
    except (StorageError, TimeoutError):
        text = "the ids could not be committed yet; it is safe to try again"
        raise web.HTTPServiceUnavailable(text=text) from None


def _accept(source: str, registered: Registered) -> web.Response:
    data = {"source": source, "new": list(registered.new), "known": list(registered.known)}
    return answers.success(data, status=201 if registered.new else 200)


def _items(content: object) -> Iterator[tuple[str, object]]:
    """The things in a body that should be tasks, each with its place."""
    place, items = "", content
    if isinstance(content, dict) and "tasks" in content:
        if len(content) > 1:
            raise BadBody("tasks: must be the only key of its object")
        place, items = "tasks", content["tasks"]
        if not isinstance(items, list):
            raise BadBody("tasks: must be a list")
    if not isinstance(items, list):
        yield "", items
        return
    for index, item in enumerate(items):
        yield f"{place}[{index}]", item


def _read_task(place: str, item: object) -> WatchedId:
    if not isinstance(item, dict):
        raise BadBody(f'{place or "the body"}: must be an object such as {{"task_id": "244592"}}')
    _refuse_unknown(place, item)
    if "task_id" not in item:
        raise BadBody(f"{_at(place, 'task_id')}: is required")
    try:
        identifier = task_id(item["task_id"])
    except ValueError as error:
        raise BadBody(f"{_at(place, 'task_id')}: {error}") from None
    return WatchedId(
        id=identifier, operation=_text(place, item, "operation"), name=_text(place, item, "name")
    )


def _text(place: str, item: dict[str, object], key: str) -> str:
    """A text that may be left out or null."""
    value = item.get(key)
    if value is None:
        return ""
    try:
        return label_value(value)
    except ValueError as error:
        raise BadBody(f"{_at(place, key)}: {error}") from None


def _refuse_unknown(place: str, item: dict[str, object]) -> None:
    for key in item:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}"
            raise BadBody(f"{_at(place, key)}: unknown key; {hint}")


def _at(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
