"""Puts everything that is served together."""

from aiohttp import web

from exporter.errors import ConfigError
from exporter.web import acknowledge, landing, log, metrics, middleware, probes, registration, tasks
from exporter.web.views import Exporter

_OWN_PREFIXES = ("/-/", "/api/")


def build(exporter: Exporter, *, telemetry_path: str = "/metrics") -> web.Application:
    """The web application; with the telemetry path ``/`` there is no landing page.

    Raises:
        ConfigError: the telemetry path cannot be served.
    """
    check_telemetry_path(telemetry_path)
    application = web.Application(
        middlewares=[middleware.log_requests, middleware.guard(exporter.request_failed)],
        client_max_size=registration.MAX_BODY,
    )
    application.on_response_prepare.append(middleware.secure)
    application.add_routes(probes.routes(exporter))
    application.add_routes(metrics.routes(telemetry_path, exporter))
    # Before the routes of tasks, whose ids may hold a slash and would take these for a part of an id.
    application.add_routes(log.routes(exporter, seconds=log.SECONDS))
    application.add_routes(acknowledge.routes(exporter))
    application.add_routes(tasks.routes(exporter))
    application.add_routes(
        registration.routes(
            exporter,
            commit_seconds=registration.COMMIT_SECONDS,
            read_seconds=registration.READ_SECONDS,
        )
    )
    if telemetry_path != "/":
        application.add_routes(landing.routes(telemetry_path, exporter))
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
        raise ConfigError([f"--web.telemetry-path: {path!r} is in use; choose a path outside /-/ and /api/"])
