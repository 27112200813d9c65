"""Puts everything that is served together."""

from collections.abc import Iterator

from aiohttp import web

from exporter.errors import ConfigError
from exporter.web import (
    acknowledge,
    config_page,
    events,
    log,
    metrics,
    middleware,
    openapi,
    origin,
    page,
    probes,
    registration,
    reload,
    status_page,
    tasks,
)
from exporter.web.access import Access
from exporter.web.paths import Paths
from exporter.web.views import Exporter

_OWN_FOLDERS = ("/-/", "/api/", "/static/", "/tasks/")
_OWN_PAGES = frozenset({config_page.PATH, status_page.PATH})
_AT_THE_ROOT = Paths()
_FOR_ALL = Access()


def build(
    exporter: Exporter,
    *,
    telemetry_path: str = "/metrics",
    paths: Paths = _AT_THE_ROOT,
    access: Access = _FOR_ALL,
) -> web.Application:
    """The web application; with the telemetry path ``/`` there is no page of all tasks.

    Raises:
        ConfigError: the telemetry path cannot be served.
    """
    check_telemetry_path(telemetry_path)
    application = web.Application(
        middlewares=[
            middleware.log_requests,
            middleware.guard(exporter.request_failed, paths.routes),
            *access.middlewares(paths.routes),
            origin.refuse_foreign,
        ],
        client_max_size=registration.MAX_BODY,
    )
    application.on_response_prepare.append(middleware.secure)
    application.on_response_prepare.append(access.set_headers)
    stream = events.Events(exporter)
    application.on_shutdown.append(stream.close)
    described = openapi.routes(exporter, paths.links, access.current)
    application.add_routes(paths.serve([*described, *_routes(exporter, telemetry_path), *stream.routes()]))
    site = page.load(telemetry_path, paths.links)
    pages = [
        *site.routes(),
        *config_page.routes(site, exporter),
        *status_page.routes(site, exporter, exporter),
    ]
    application.add_routes(paths.serve(pages))
    application.add_routes(paths.redirects())
    return application


def _routes(exporter: Exporter, telemetry_path: str) -> Iterator[web.RouteDef]:
    """What programs ask for."""
    yield from probes.routes(exporter)
    yield from reload.routes(exporter)
    yield from metrics.routes(telemetry_path, exporter)
    # Before the routes of tasks, whose ids may hold a slash and would take these for a part of an id.
    yield from log.routes(exporter, seconds=log.SECONDS)
    yield from acknowledge.routes(exporter)
    yield from tasks.routes(exporter)
    yield from registration.routes(
        exporter, commit_seconds=registration.COMMIT_SECONDS, read_seconds=registration.READ_SECONDS
    )


def check_telemetry_path(path: str) -> None:
    """Refuse a ``--web.telemetry-path`` that is no plain path, or that is in use.

    Raises:
        ConfigError: tells why.
    """
    if not path.startswith("/"):
        raise ConfigError([f"--web.telemetry-path: {path!r} must begin with a slash, as in /metrics"])
    if any(
        character in "{}?#%\\" or not character.isprintable() or character.isspace() for character in path
    ):
        raise ConfigError([f"--web.telemetry-path: {path!r} must be a plain path, as in /metrics"])
    if path in _OWN_PAGES or f"{path}/".startswith(_OWN_FOLDERS):
        raise ConfigError([f"--web.telemetry-path: {path!r} is in use; choose another one"])
