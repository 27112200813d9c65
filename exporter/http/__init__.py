"""The HTTP client of a source: paced, authenticated, capped in time and size; its errors are typed."""

from exporter.http.client import MAX_REDIRECTS, HttpClient
from exporter.http.credentials import Credentials
from exporter.http.observer import NO_ANSWER, Observer, Unobserved
from exporter.http.pace import MAX_PAUSE
from exporter.http.settings import (
    Authorization,
    BasicAuth,
    HeaderValues,
    HttpSettings,
    HuaweiAkSk,
    HuaweiIam,
    Names,
    OAuth2,
    TlsSettings,
    TlsVersion,
)

__all__ = [
    "MAX_PAUSE",
    "MAX_REDIRECTS",
    "NO_ANSWER",
    "Authorization",
    "BasicAuth",
    "Credentials",
    "HeaderValues",
    "HttpClient",
    "HttpSettings",
    "HuaweiAkSk",
    "HuaweiIam",
    "Names",
    "OAuth2",
    "Observer",
    "TlsSettings",
    "TlsVersion",
    "Unobserved",
]
