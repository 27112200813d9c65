"""Puts everything that is served together."""

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
    status_page,
    tasks,
)
from exporter.web.views import Exporter

_OWN_PREFIXES = ("/-/", "/api/", "/static/", "/tasks/")


def build(exporter: Exporter, *, telemetry_path: str = "/metrics") -> web.Application:
    """The web application; with the telemetry path ``/`` there is no page of all tasks.

    Raises:
        ConfigError: the telemetry path cannot be served.
    """
    check_telemetry_path(telemetry_path)
    application = web.Application(
        middlewares=[
            middleware.log_requests,
            middleware.guard(exporter.request_failed),
            origin.refuse_foreign,
        ],
        client_max_size=registration.MAX_BODY,
    )
    application.on_response_prepare.append(middleware.secure)
    application.add_routes(probes.routes(exporter))
    application.add_routes(metrics.routes(telemetry_path, exporter))
    # Before the routes of tasks, whose ids may hold a slash and would take these for a part of an id.
    application.add_routes(log.routes(exporter, seconds=log.SECONDS))
    application.add_routes(acknowledge.routes(exporter))
    application.add_routes(tasks.routes(exporter))
    application.add_routes(openapi.routes(exporter))
    application.add_routes(
        registration.routes(
            exporter,
            commit_seconds=registration.COMMIT_SECONDS,
            read_seconds=registration.READ_SECONDS,
        )
    )
    stream = events.Events(exporter)
    application.on_shutdown.append(stream.close)
    application.add_routes(stream.routes())
    site = page.load(telemetry_path)
    application.add_routes(site.routes())
    application.add_routes(config_page.routes(site, exporter))
    application.add_routes(status_page.routes(site, exporter, exporter))
    return application


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
    if path.startswith(_OWN_PREFIXES):
        raise ConfigError([f"--web.telemetry-path: {path!r} is in use; choose another one"])
