"""Makes the TLS context of the server from its certificate, its key and what it asks of clients."""

import platform
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporter.errors import ConfigError
from exporter.http.settings import TlsVersion
from exporter.web.settings import ClientAuth, TlsServerSettings

_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFY: dict[ClientAuth, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


_NO_PEM = "it must be PEM, and a key without a password"
_WORDS = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "EE_KEY_TOO_SMALL": "the key is too short",
    "CA_MD_TOO_WEAK": "the signature is too weak",
}
"""OpenSSL's reasons in words."""


class CurrentContext(ssl.SSLContext):
    """Makes each connection with the context that is in force when it begins."""

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:  # noqa: ANN401 - passed on untouched
        """As documented for the base class; asyncio and uvloop call it for each connection."""
        return self.current().wrap_bio(*arguments, **more)


def following(current: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """A context for a server that uses whatever *current* returns, for each connection anew."""
    context = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
    context.current = current
    return context


def build(settings: TlsServerSettings) -> ssl.SSLContext:
    """Build a context for a server.

    Raises:
        ConfigError: a certificate or key cannot be loaded, or OpenSSL refuses a choice.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    identify(context, settings)
    _ask_clients(context, settings)
    try:
        _choose(context, settings)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError([f"tls_server_config: OpenSSL refuses the versions or suites: {error}"]) from None
    if settings.curve:
        _choose_curve(context, settings.curve)
    return context


def _choose(context: ssl.SSLContext, settings: TlsServerSettings) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = _VERSIONS[settings.min_version]
        context.maximum_version = _VERSIONS[settings.max_version]
    # OpenSSL 3 speaks what is older than TLS 1.2 at its lowest level of security only.
    level = ["@SECLEVEL=0"] if settings.min_version < "TLS12" else []
    if settings.ciphers or level:
        context.set_ciphers(":".join([*(settings.ciphers or ["DEFAULT"]), *level]))
    if settings.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _choose_curve(context: ssl.SSLContext, curve: str) -> None:
    try:
        context.set_ecdh_curve(curve)
    except (ssl.SSLError, ValueError):  # Python 3.11.2, which Debian 12 has, knows no X25519.
        python, place = platform.python_version(), "tls_server_config.curve_preferences"
        raise ConfigError(
            [f"{place}: Python {python} cannot choose {curve}; choose another, or leave it to OpenSSL"]
        ) from None


def _ask_clients(context: ssl.SSLContext, settings: TlsServerSettings) -> None:
    context.verify_mode = _VERIFY[settings.client_auth_type]
    if settings.client_ca is None and settings.client_ca_file is None:
        return
    try:
        context.load_verify_locations(cafile=settings.client_ca_file, cadata=settings.client_ca)
    except (OSError, ValueError) as error:
        raise _unusable("client_ca", settings.client_ca_file, settings.client_ca_file, error) from None


def identify(context: ssl.SSLContext, settings: TlsServerSettings) -> None:
    """Load the certificate and its key.

    Raises:
        ConfigError: they cannot be loaded, or do not belong together.
    """
    # OpenSSL takes a certificate and its key from files only.
    with TemporaryDirectory(prefix="asynctask-exporter-") as folder:
        cert, key = settings.cert_file, settings.key_file
        if settings.cert is not None:
            cert = _written(Path(folder, "cert"), settings.cert)
        if settings.key is not None:
            key = _written(Path(folder, "key"), settings.key.reveal())
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(cert or "", key, password="")
        except (OSError, ValueError) as error:
            raise _unusable("cert and key", settings.cert_file, settings.key_file, error) from None


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def _unusable(what: str, file: Path | None, other: Path | None, error: Exception) -> ConfigError:
    """The one line about what cannot be loaded, from one file or the other."""
    unread = next(filter(None, (_unread(one) for one in (file, other) if one)), None)
    if unread is None:
        where = f" in {file or other}" if file or other else ""
        cause = str(getattr(error, "reason", ""))
        unread = f"cannot load {what}{where}: {_WORDS.get(cause, _NO_PEM)}"
    return ConfigError([f"tls_server_config: {unread}"])


def _unread(file: Path) -> str | None:
    """Why a file cannot be read, if that is it."""
    try:
        file.read_bytes()
    except OSError as error:
        return f"cannot read {file}: {error.strerror}"
    return None
