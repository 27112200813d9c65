"""Lets a person say that they have seen a failed task: ``POST .../tasks/{task_id}/acknowledge``.

The body is empty or ``{"by": "...", "comment": "..."}``, both of which may be left out. The task's alert is
then resolved. Saying it again changes nothing: the answer tells who was first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from exporter.discovery.ids import label_value
from exporter.errors import StorageError
from exporter.web import answers
from exporter.web.views import Acknowledged, NoAlert, Pager, RegistrationOff, UnknownSource

MAX_BODY = 16 * 1024
_KEYS = ("by", "comment")


@dataclass(frozen=True, slots=True)
class Note:
    """Who has seen it, and what they say."""

    by: str = ""
    comment: str = ""


def routes(pager: Pager) -> Sequence[web.RouteDef]:
    """The one path, for POST."""

    async def acknowledge(request: web.Request) -> web.Response:
        # As with registration: a browser sends no JSON across sites without asking first.
        if request.content_type != "application/json":
            text = "the request must be sent with Content-Type: application/json"
            raise web.HTTPUnsupportedMediaType(text=text)
        note = read(await request.read())
        source, task_id = request.match_info["source"], request.match_info["task_id"]
        return _answer(source, task_id, await _acknowledge(pager, source, task_id, note))

    return [web.post("/api/v1/sources/{source}/tasks/{task_id:.+}/acknowledge", acknowledge)]


def read(body: bytes) -> Note:
    """Read who acknowledges.

    Raises:
        web.HTTPBadRequest: names the place and what is wrong there.
    """
    if not body.strip():
        return Note()
    try:
        content = json.loads(body) if len(body) <= MAX_BODY else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text='the body must be an object such as {"by": "ada"}, or empty')
    if unknown := [key for key in content if key not in _KEYS]:
        raise web.HTTPBadRequest(text=f"{unknown[0]}: unknown key; known: {', '.join(_KEYS)}")
    return Note(by=_text(content, "by"), comment=_text(content, "comment"))


def _text(content: Mapping[str, object], key: str) -> str:
    try:
        return label_value(content.get(key) or "")
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{key}: {error}") from None


async def _acknowledge(pager: Pager, source: str, task_id: str, note: Note) -> Acknowledged:
    try:
        return await pager.acknowledge(source, task_id, by=note.by, comment=note.comment)
    except (UnknownSource, NoAlert) as refusal:
        raise web.HTTPNotFound(text=str(refusal)) from None
    except RegistrationOff as refusal:
        raise web.HTTPForbidden(text=str(refusal)) from None
    except StorageError:
        text = "it could not be noted yet; it is safe to try again"
        raise web.HTTPServiceUnavailable(text=text) from None


def _answer(source: str, task_id: str, done: Acknowledged) -> web.Response:
    return answers.success(
        {
            "source": source,
            "task_id": task_id,
            "acknowledged_at": done.at.isoformat().replace("+00:00", "Z"),
            "by": done.by,
            "comment": done.comment,
        }
    )
