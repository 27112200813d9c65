"""Keeps the TLS context of a source up to date with its files."""

import asyncio
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.errors import TlsFailed
from exporter.http.settings import TlsSettings, TlsVersion

_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

_Stamp = tuple[tuple[int, int, int], ...]


class TlsContext:
    """The context for new connections; built again when one of its files has changed."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._files = tuple(filter(None, (settings.ca_file, settings.cert_file, settings.key_file)))
        self._context: ssl.SSLContext | None = None
        self._stamp: _Stamp = ()
        self._lock = asyncio.Lock()

    async def current(self) -> ssl.SSLContext:
        """The context that fits the files as they are now.

        Raises:
            TlsFailed: a certificate or key cannot be loaded; names the file.
        """
        if self._context is not None and not self._files:
            return self._context
        async with self._lock:
            return await asyncio.to_thread(self._refresh)

    def _refresh(self) -> ssl.SSLContext:
        stamp = tuple(map(_stamp, self._files))
        if self._context is None or stamp != self._stamp:
            self._context, self._stamp = build(self._settings), stamp
        return self._context


def build(settings: TlsSettings) -> ssl.SSLContext:
    """Build a context for a client.

    Raises:
        TlsFailed: a certificate or key cannot be loaded; names the file.
    """
    context = _trusting(settings)
    # Since Python 3.13 the default also refuses authorities for formal flaws that many private ones have,
    # and that other clients do not look at. Who is trusted stays the same.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = _VERSIONS[settings.min_version]
    if settings.max_version is not None:
        context.maximum_version = _VERSIONS[settings.max_version]
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _identify(context, settings)
    return context


def _trusting(settings: TlsSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file, cadata=settings.ca)
    except (OSError, ValueError) as error:
        raise _unusable("ca", settings.ca_file, error) from None


def _identify(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if settings.cert is None and settings.cert_file is None:
        return
    # OpenSSL takes a client's certificate and key from files only.
    with TemporaryDirectory(prefix="asynctask-exporter-") as folder:
        cert, key = settings.cert_file, settings.key_file
        if settings.cert is not None:
            cert = _written(Path(folder, "cert"), settings.cert)
        if settings.key is not None:
            key = _written(Path(folder, "key"), settings.key.reveal())
        _load(context, settings, cert, key)


def _load(context: ssl.SSLContext, settings: TlsSettings, cert: Path | None, key: Path | None) -> None:
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(cert or "", key, password="")
    except (OSError, ValueError) as error:
        raise _unusable("cert and key", settings.cert_file or settings.key_file, error) from None


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="ascii")
    return file


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise TlsFailed(f"tls_config: cannot read {file}: {error.strerror}") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unusable(what: str, file: Path | None, error: Exception) -> TlsFailed:
    where = f" in {file}" if file else ""
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return TlsFailed(f"tls_config: cannot load {what}{where}: {why}; it must be PEM, a key without password")
