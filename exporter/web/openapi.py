"""Describes the JSON API: ``GET /api/v1/openapi.json``."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import yaml
from aiohttp import web

import exporter
from exporter.web.settings import WebSettings
from exporter.web.views import Tasks

PATH = "/api/v1/openapi.json"
_OPEN = WebSettings()
_REFUSED = {"$ref": "#/components/responses/Refused"}


def routes(
    tasks: Tasks, base: str = "", current: Callable[[], WebSettings] = WebSettings
) -> Sequence[web.RouteDef]:
    """The one document, for GET and HEAD.

    Args:
        tasks: tells the sources.
        base: where all paths in it are seen from.
        current: tells what the web configuration file says at the moment.
    """
    written = yaml.safe_load((files("exporter.web") / "openapi.yaml").read_text(encoding="utf-8"))

    async def show(_request: web.Request) -> web.Response:
        names = (source.name for source in tasks.sources())
        return web.json_response(describe(written, names, base, current()))

    return [web.get(PATH, show)]


def describe(
    written: dict[str, Any], sources: Iterable[str], base: str = "", settings: WebSettings = _OPEN
) -> dict[str, Any]:
    """Fill in the version, the sources there are, so that tools offer them, and what access takes."""
    document: dict[str, Any] = json.loads(json.dumps(written))
    document["info"]["version"] = exporter.__version__
    document["servers"] = [{"url": base or "/"}]
    names = list(sources)
    if names:
        document["components"]["schemas"]["SourceName"]["enum"] = names
    if settings.users:
        document["components"]["securitySchemes"] = {"password": {"type": "http", "scheme": "basic"}}
        document["security"] = [{"password": []}]
    for operation in _operations(document):
        operation["responses"] |= dict.fromkeys(_refusals(settings), _REFUSED)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document.get("paths", {}).values():
        yield from (item[method] for method in ("get", "post") if method in item)


def _refusals(settings: WebSettings) -> Iterator[str]:
    """The codes with which the web configuration lets any request be refused."""
    if settings.users:
        yield "401"
    if settings.tls and settings.tls.client_allowed_sans:
        yield "403"
    if settings.rate_limit:
        yield "429"
