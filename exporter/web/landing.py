"""The page at ``/``: what this is, how its sources are, and where the rest is."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from aiohttp import web

import exporter
from exporter.model import Status
from exporter.web.middleware import CONTENT_SECURITY_POLICY
from exporter.web.views import SourceInfo, Tasks

_NAME = "asynctask-exporter"
_DESCRIPTION = "Prometheus exporter for the asynchronous tasks of other systems"
_STYLE = """
body { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0; color: #212529; }
header { background: #e6522c; color: #fff; padding: 0.5rem 1rem; }
header h1 { font-size: 1.5rem; margin: 0; }
main { padding: 1rem; max-width: 75rem; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; }
th, td { border-bottom: 1px solid #dee2e6; }
td { overflow-wrap: anywhere; }
.down { color: #b02a37; }
@media (prefers-color-scheme: dark) {
  body { background: #16191d; color: #e9ecef; }
  a { color: #8ab4f8; }
  th, td { border-color: #495057; }
  .down { color: #ff8787; }
}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{name}</h1></header>
<main>
<p>{description}</p>
<p>Version: {version}</p>
<ul>
{links}
</ul>
<h2>Sources</h2>
<table>
<thead><tr><th>Source</th><th>API</th><th>Address</th><th>State</th><th>Last success</th><th>Watched</th>
<th>Running</th><th>Failed</th></tr></thead>
<tbody>
{sources}
</tbody>
</table>
</main>
</body>
</html>
"""


def routes(telemetry_path: str, tasks: Tasks) -> Sequence[web.RouteDef]:
    """The page itself; every other path is not found."""

    async def landing(_request: web.Request) -> web.Response:
        page = render(telemetry_path, tasks.sources())
        headers = {"Content-Security-Policy": _content_security_policy()}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return [web.get("/", landing)]


def render(telemetry_path: str, sources: Iterable[SourceInfo]) -> str:
    """Write the page; every text that comes from elsewhere is escaped."""
    links = {
        telemetry_path: "Metrics",
        "/api/v1/tasks": "Tasks (JSON)",
        "/api/v1/sources": "Sources (JSON)",
        "/-/healthy": "Health",
        "/-/ready": "Readiness",
    }
    return _PAGE.format(
        name=_NAME,
        style=_STYLE,
        description=_DESCRIPTION,
        version=escape(exporter.__version__),
        links="\n".join(f'<li><a href="{escape(path)}">{text}</a></li>' for path, text in links.items()),
        sources="\n".join(_row(source) for source in sources),
    )


def _row(source: SourceInfo) -> str:
    """One source as a row; the page has no scripts, so a reload brings it up to date."""
    last_success = source.last_success.isoformat(" ", "seconds") if source.last_success else "never"
    failed = sum(count for status, count in source.tasks.items() if status.is_failed)
    texts = (
        source.name,
        source.api,
        source.url,
        _state(source),
        last_success,
        f"{source.watched} of {source.limit}",
        str(source.tasks.get(Status.RUNNING, 0)),
        str(failed),
    )
    row = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f'<tr class="down">{row}</tr>' if source.up is False else f"<tr>{row}</tr>"


def _state(source: SourceInfo) -> str:
    if source.up is None:
        return "not asked yet"
    if source.up:
        return "up"
    return f"down: {source.last_error}" if source.last_error else "down"


def _content_security_policy() -> str:
    """Allow this very style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"{CONTENT_SECURITY_POLICY}; style-src 'sha256-{digest}'"
