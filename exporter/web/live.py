"""Keeps what the web configuration file says up to date with it, and with its certificates."""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from exporter.errors import ConfigError
from exporter.web import tls, validity
from exporter.web.settings import WebSettings

_Stamp = tuple[int, int, int] | None
"""Tells one state of a file from another; None if it cannot be read."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Rules:
    settings: WebSettings
    context: ssl.SSLContext | None
    warning: str = ""
    expires_at: datetime | None = None


class LiveSettings:
    """The settings in force: read again when the file, a certificate or a key has changed.

    What is broken after a change leaves the settings before in force, and is logged once. Whether
    there is TLS at all is decided when the exporter starts.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], WebSettings],
        *,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Read all of it.

        Args:
            path: the web configuration file.
            load: reads it.
            now: what certificates are judged by.

        Raises:
            ConfigError: there are mistakes in it, or a certificate cannot be loaded.
        """
        self._path = path
        self._load = load
        self._now = now
        self._log = structlog.get_logger()
        self._stamps: dict[Path, _Stamp] = {path: None}
        self._rules = self._read()

    def current(self) -> WebSettings:
        """The settings in force."""
        self._refresh()
        return self._rules.settings

    @property
    def warning(self) -> str:
        """What those who connect will object to, though it was loaded; "" for nothing known."""
        return self._rules.warning

    @property
    def expires_at(self) -> datetime | None:
        """When the server's certificate ends; None without one, or if nobody knows."""
        return self._rules.expires_at

    def warn(self) -> None:
        """Log that, if there is anything."""
        if self.warning:
            self._log.warning("The server's certificate is not in force", reason=self.warning)

    def context(self) -> ssl.SSLContext | None:
        """A context that makes each connection with the settings in force; None without TLS."""
        return tls.following(self._context) if self._rules.context else None

    def _context(self) -> ssl.SSLContext:
        self._refresh()
        if self._rules.context is None:
            raise RuntimeError("TLS came or went")  # Not with what _refresh lets through.
        return self._rules.context

    def _refresh(self) -> None:
        if self._stamps == (stamps := _stamps(self._stamps)):
            return
        # Noted before reading: a change meanwhile is seen the next time.
        self._stamps = stamps
        try:
            rules = self._read()
            self._check_tls(rules)
        except ConfigError as error:
            self._log.error(
                "The web configuration has changed and cannot be used; the one before stays in force",
                reason="; ".join(error.mistakes),
            )
        else:
            self._rules = rules
            self._log.info("Loaded web config file", file=str(self._path))
            self.warn()

    def _read(self) -> _Rules:
        stamps = _stamps([self._path])
        settings = self._load(self._path)
        if settings.tls is None:
            self._stamps = stamps
            return _Rules(settings, None)
        self._stamps = stamps | _stamps(settings.tls.files)
        try:
            context = tls.build(settings.tls)
            certificate = validity.of(settings.tls)
            flaw = validity.flaw(certificate, settings.tls, self._now())
        except ConfigError as error:
            raise ConfigError([f"{self._path}: {mistake}" for mistake in error.mistakes]) from None
        return _Rules(settings, context, f"{self._path}: {flaw}" if flaw else "", certificate.end)

    def _check_tls(self, rules: _Rules) -> None:
        if (rules.context is None) != (self._rules.context is None):
            mistake = "tls_server_config came or went, which takes a restart"
            raise ConfigError([f"{self._path}: {mistake}"])


def _stamps(files: Iterable[Path]) -> dict[Path, _Stamp]:
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
