"""The page of how the exporter and its sources do: ``/status``. It needs no scripts."""

import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from aiohttp import web

import exporter
from exporter.model import Status
from exporter.revision import revision
from exporter.web.page import Site
from exporter.web.views import ExporterInfo, ReceiverInfo, Setup, SourceInfo, Tasks

PATH = "/status"


def routes(site: Site, setup: Setup, tasks: Tasks) -> Sequence[web.RouteDef]:
    """The one page."""

    async def show(_request: web.Request) -> web.Response:
        main = render(setup.info(), tasks.sources(), tasks.now().wall)
        return site.page(PATH, "Status", main)

    return [web.get(PATH, show)]


def render(info: ExporterInfo, sources: Iterable[SourceInfo], now: datetime) -> str:
    """Write the page; every text that comes from elsewhere is escaped."""
    facts = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _facts(info, now))
    parts = [
        "<h1>Status</h1>",
        f'<section class="panel"><h2>Exporter</h2><dl>{facts}</dl></section>',
        _table("Sources", _SOURCE_COLUMNS, map(_source_row, sources)),
    ]
    if info.receivers:
        parts.append(_table("Notifications", _RECEIVER_COLUMNS, map(_receiver_row, info.receivers)))
    return "\n".join(parts)


_SOURCE_COLUMNS = (
    "Source",
    "API",
    "Address",
    "State",
    "Last answer",
    "Watched",
    "Running",
    "Failed",
    "Ids over HTTP",
)
_RECEIVER_COLUMNS = ("Receiver", "Sent", "Waiting", "Errors", "Dropped")


def _facts(info: ExporterInfo, now: datetime) -> Iterable[tuple[str, str]]:
    yield "Version", exporter.__version__
    yield "Revision", revision()
    yield "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "Started", f"{_time(info.started_at)} ({_days(info.started_at, now)})"
    yield "Configuration loaded", _time(info.config_loaded_at)
    yield "Ledger", info.storage or "in memory only: counters start anew with each process"
    yield "Changes not stored yet", str(info.pending_changes)
    yield "Errors of the ledger", str(info.storage_errors)
    yield "Requests answered with 500", str(info.requests_failed)


def _source_row(source: SourceInfo) -> tuple[str, ...]:
    failed = sum(count for status, count in source.tasks.items() if status.is_failed)
    return (
        source.name,
        source.api,
        source.url,
        _state(source),
        _time(source.last_success) if source.last_success else "never",
        f"{source.watched} of {source.limit}",
        str(source.tasks.get(Status.RUNNING, 0)),
        str(failed),
        "yes" if source.registration else "no",
    )


def _receiver_row(receiver: ReceiverInfo) -> tuple[str, ...]:
    numbers = (receiver.sent, receiver.waiting, receiver.errors, receiver.dropped)
    return (receiver.name, *map(str, numbers))


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    heading = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return (
        f'<section class="panel"><h2>{title}</h2>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table class="plain">'
        f"<thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _state(source: SourceInfo) -> str:
    if source.up is None:
        return "not asked yet"
    if source.up:
        return "up"
    return f"down: {source.last_error}" if source.last_error else "down"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _days(since: datetime, now: datetime) -> str:
    """How long ago, without the parts of a second."""
    return f"{now.replace(microsecond=0) - since.replace(microsecond=0)} ago"
