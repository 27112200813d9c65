"""Describes the JSON API: ``GET /api/v1/openapi.json``."""

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import yaml
from aiohttp import web

import exporter
from exporter.web.views import Tasks

PATH = "/api/v1/openapi.json"


def routes(tasks: Tasks, base: str = "") -> Sequence[web.RouteDef]:
    """The one document, for GET and HEAD; all paths in it are seen from *base*."""
    written = yaml.safe_load((files("exporter.web") / "openapi.yaml").read_text(encoding="utf-8"))

    async def show(_request: web.Request) -> web.Response:
        names = (source.name for source in tasks.sources())
        return web.json_response(describe(written, names, base))

    return [web.get(PATH, show)]


def describe(written: dict[str, Any], sources: Iterable[str], base: str = "") -> dict[str, Any]:
    """Fill in the version, and the sources there are, so that tools offer them."""
    document: dict[str, Any] = json.loads(json.dumps(written))
    document["info"]["version"] = exporter.__version__
    document["servers"] = [{"url": base or "/"}]
    names = list(sources)
    if names:
        document["components"]["schemas"]["SourceName"]["enum"] = names
    return document
