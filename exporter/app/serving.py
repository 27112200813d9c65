"""Puts the web server together as the command line and the web configuration file want it."""

import socket
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

import structlog

from exporter.app.flags import Flags
from exporter.config import Config
from exporter.config.web import load_web
from exporter.web.access import Access
from exporter.web.application import build, check_telemetry_path
from exporter.web.live import LiveSettings
from exporter.web.paths import Paths, paths, read_external_url
from exporter.web.server import Address, Server
from exporter.web.settings import WebSettings
from exporter.web.systemd import take_sockets
from exporter.web.views import Exporter


class Front:
    """All that is needed to serve, before anything is served."""

    def __init__(
        self,
        flags: Flags,
        prefixes: Paths,
        live: LiveSettings | None,
        sockets: Sequence[socket.socket],
    ) -> None:
        self._flags = flags
        self._paths = prefixes
        self._live = live
        self._sockets = sockets
        self._log = structlog.get_logger()

    @classmethod
    def open(cls, flags: Flags) -> Self:
        """Read the web configuration file, and take over what systemd hands over.

        Raises:
            ConfigError: a flag or the file has mistakes.
        """
        check_telemetry_path(flags.telemetry_path)
        prefixes = paths(flags.external_url, flags.route_prefix)
        live = LiveSettings(flags.web_config, load_web) if flags.web_config else None
        return cls(flags, prefixes, live, take_sockets() if flags.systemd_socket else ())

    def server(self, exporter: Exporter) -> Server:
        """The server of an exporter."""
        access = Access(
            current=self._live.current if self._live else WebSettings,
            health_without_auth=self._flags.health_without_auth,
            lifecycle=self._flags.lifecycle,
        )
        return Server(
            build(exporter, telemetry_path=self._flags.telemetry_path, paths=self._paths, access=access),
            () if self._flags.systemd_socket else self._flags.addresses,
            sockets=self._sockets,
            context=self._live.context() if self._live else None,
        )

    @property
    def warning(self) -> str:
        """What is no mistake in the web configuration, and will trouble those who connect; "" for nothing."""
        return self._live.warning if self._live else ""

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When the certificate that is served ends; None without one."""
        return self._live.expires_at if self._live else None

    def announce(self, bound: Iterable[Address]) -> None:
        """Log where it listens and what holds there, in the words of Prometheus' exporter-toolkit."""
        settings = self._live.current() if self._live else WebSettings()
        for address in bound:
            self._log.info("Listening on", address=str(address))
            state = "enabled" if settings.tls else "disabled"
            self._log.info(f"TLS is {state}.", http2=False, address=str(address))
        if limit := settings.rate_limit:
            self._log.info("Rate Limiter is enabled.", burst=limit.burst, interval=limit.interval)
        if self._live:
            self._live.warn()


def located(configuration: Config, external_url: str) -> Config:
    """The configuration with the flag's URL in notifications, where it names none itself."""
    if not external_url or configuration.alerting.external_url is not None:
        return configuration
    url = read_external_url(external_url)
    alerting = configuration.alerting.model_copy(update={"external_url": url})
    return configuration.model_copy(update={"alerting": alerting})
