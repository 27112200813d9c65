"""Translates what aiohttp and the system raise into our own errors, in words for an operator."""

import os
import ssl

import aiohttp

from exporter.errors import ConnectFailed, Malformed, SourceError, TimedOut, TlsFailed
from exporter.http.body import BadBody, TooLarge
from exporter.http.settings import HttpSettings, Names

# Numbers and meaning: openssl-verify(1), "Diagnostics".
_UNKNOWN_AUTHORITY = "is not from an authority that is trusted; set {block}tls_config.ca_file{file}"
_CERTIFICATE_FLAWS = {
    9: "is not valid yet; compare the clocks",
    10: "has expired",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    62: "is for another host; check {url} or set {block}tls_config.server_name{file}",
    64: "is for another address; check {url} or set {block}tls_config.server_name{file}",
}
# The first that fits: some are kinds of others.
_CONNECTION_FLAWS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientHttpProxyError, "the proxy answered {}"),
    (aiohttp.ClientProxyConnectionError, "cannot connect to the proxy: {}"),
    (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved"),
    (UnicodeError, "the host name cannot be resolved"),
    (aiohttp.ClientConnectorError, "cannot connect: {}"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection instead of answering"),
    (aiohttp.ClientPayloadError, "the connection was cut off half way through the answer"),
)


def explain(error: Exception, place: str, settings: HttpSettings) -> SourceError:
    """The error of ours for one of theirs; *place* tells what was asked, and the settings what to change."""
    if isinstance(error, BadBody):
        return Malformed(f"{place}: {error}{_size_cure(error, settings.names)}")
    if isinstance(error, TimeoutError):
        return TimedOut(f"{place}: no whole answer within {settings.timeout:g}s")
    if (flaw := _tls_flaw(error, settings.names)) is not None:
        return TlsFailed(f"{place}: {flaw}")
    # The message of aiohttp would repeat the line.
    if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
        limit = settings.max_header
        return Malformed(
            f"{place}: the answer's header is no HTTP or a line of it is longer than {limit} bytes"
        )
    return ConnectFailed(f"{place}: {_connection_flaw(error)}")


def _size_cure(error: BadBody, names: Names) -> str:
    known = isinstance(error, TooLarge) and names.body_size_limit
    return f"; raise {names.body_size_limit} if it should be" if known else ""


def _tls_flaw(error: Exception, names: Names) -> str | None:
    cause = _tls_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate {_certificate_flaw(cause, names)}"
    if isinstance(cause, ssl.SSLError):
        if cause.reason == "WRONG_VERSION_NUMBER":  # OpenSSL's word for whatever is no TLS at all.
            return "TLS handshake failed: the server speaks no TLS there; is it http instead of https?"
        reason = (cause.reason or "no reason given").replace("_", " ").lower()
        return f"TLS handshake failed: {reason}"
    # asyncio has no number for a connection that is closed in the handshake.
    if isinstance(cause, ConnectionResetError) and cause.errno is None:
        return "TLS handshake failed: the server hung up; check that it speaks TLS, and which versions"
    return None


def _certificate_flaw(error: ssl.SSLCertVerificationError, names: Names) -> str:
    if (flaw := _CERTIFICATE_FLAWS.get(error.verify_code)) is None:
        return f"is refused: {error.verify_message}"
    block = f"{names.block}." if names.block else ""
    return flaw.format(url=names.url, block=block, file=names.file and f" in {names.file}")


def _tls_cause(error: Exception) -> BaseException | None:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    return error.__cause__


def _connection_flaw(error: Exception) -> str:
    words = next(
        (words for kind, words in _CONNECTION_FLAWS if isinstance(error, kind)), "the connection broke: {}"
    )
    return words.format(_why(error))


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return str(error.status)
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else type(error).__name__
