"""Tells when a certificate is in force, by shaking hands with it in memory, as whoever connects will do."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.web import tls
from exporter.web.settings import TlsServerSettings

_NO_CHECK_TIME = 0x200000
"""``X509_V_FLAG_NO_CHECK_TIME`` of OpenSSL, X509_VERIFY_PARAM_set_flags(3); Python has no name for it."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate is in force; None for what cannot be found out."""

    begin: datetime | None = None
    end: datetime | None = None


def flaw(validity: Validity, settings: TlsServerSettings, now: datetime) -> str:
    """What is wrong with the certificate's time, with the file, the date and the cure; "" if nothing.

    What cannot be found out is not told: only who connects can judge the rest.
    """
    begin, end = validity.begin, validity.end
    if end is not None and end < now:
        fault, cure = f"expired on {end:%Y-%m-%d %H:%M:%S} UTC", "renew it"
    elif begin is not None and begin > now:
        fault, cure = f"is not valid before {begin:%Y-%m-%d %H:%M:%S} UTC", "compare the clocks"
    else:
        return ""
    where = f"the certificate in {settings.cert_file}" if settings.cert_file else "the certificate in cert"
    return f"tls_server_config: {where} {fault}, so that clients refuse it; {cure}"


def of(settings: TlsServerSettings) -> Validity:
    """When the server's certificate is in force.

    Raises:
        ConfigError: it cannot be loaded.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.identify(server, settings)
    try:
        shown = _shown(server, _trusting(settings)) or {}
    except ssl.SSLError:
        return Validity()
    return Validity(_time(shown.get("notBefore")), _time(shown.get("notAfter")))


def _trusting(settings: TlsServerSettings) -> ssl.SSLContext:
    """A client that takes this very certificate, whoever signed it, whatever it is for and how old it is."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    client.load_verify_locations(cafile=settings.cert_file, cadata=settings.cert)
    return client


def _shown(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, object] | None:
    """The certificate that the server shows."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server)
    for side in (asking, serving, asking):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return asking.getpeercert()


def _time(told: object) -> datetime | None:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(told), UTC) if isinstance(told, str) else None
