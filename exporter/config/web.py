"""The web configuration file of ``--web.config.file``, with the keys of Prometheus' exporter-toolkit.

Its documentation is the source of the names, values and defaults:
https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from exporter.config.connection import as_settings
from exporter.config.mistakes import hint
from exporter.config.section import Section, mistakes_at
from exporter.config.section_file import read_section
from exporter.config.values import FilePath, HeaderValue, Interval, Many, SecretLines
from exporter.http.settings import TlsVersion
from exporter.secret import Secret
from exporter.web.settings import RateLimit, TlsServerSettings, WebSettings

CIPHERS: Mapping[str, str] = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Go's names of the suites up to TLS 1.2 that it holds for secure or once did, and OpenSSL's."""
_OF_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
CURVES: Mapping[str, str] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and the values they may have; any when empty."""
# The last digit of a salt holds two bits only. No more than four digits can stand there.
_BCRYPT = re.compile(
    r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII
)
_UNVERIFIED = {
    "RequestClientCert": "NoClientCert or VerifyClientCertIfGiven",
    "RequireAnyClientCert": "RequireAndVerifyClientCert",
    "RequireClientCert": "RequireAndVerifyClientCert",
}
"""Kinds of client authentication that verify nothing, and what comes next to them."""

ClientAuthType = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]


def _check_cipher(name: str) -> str:
    if name in _OF_TLS13:
        raise ValueError(
            f"{name} is of TLS 1.3, whose suites cannot be chosen: all are offered; leave it out"
        )
    if name not in CIPHERS:
        raise ValueError(f"unknown cipher suite{hint(name, CIPHERS)}")
    return name


def _check_curves(curves: tuple[str, ...]) -> tuple[str, ...]:
    if len(curves) > 1:
        raise ValueError("Python's ssl can be told one curve only; keep one, or leave the key out for all")
    return curves


def _check_client_auth(kind: ClientAuthType) -> ClientAuthType:
    if kind in _UNVERIFIED:
        raise ValueError(
            f"{kind} asks for certificates without verifying them, which Python's ssl cannot; "
            f"use {_UNVERIFIED[kind]}"
        )
    return kind


def _read_hash(value: object) -> Secret:
    if not isinstance(value, str) or not _BCRYPT.fullmatch(value):
        raise ValueError("must be a bcrypt hash, as 'htpasswd -nBC 10 \"\"' prints it after the colon")
    return Secret(value)


def _check_user(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError("a user's name must be printable text without a colon")
    return name


class TlsServerConfig(Section):
    """How connections are encrypted. Without it, or empty, they are not."""

    cert: str | None = None
    """The certificate in PEM, with those of the authorities between it and the root."""
    cert_file: FilePath | None = None
    """A file with it."""
    key: SecretLines | None = None
    """The key in PEM, without a password."""
    key_file: FilePath | None = None
    """A file with it."""
    client_ca: str | None = None
    """The certificates in PEM of the authorities of clients."""
    client_ca_file: FilePath | None = None
    """A file with them."""
    client_auth_type: Annotated[ClientAuthType, AfterValidator(_check_client_auth)] = "NoClientCert"
    """Whether clients need a certificate."""
    client_allowed_sans: Many[str] = ()
    """Names (DNS, e-mail, IP, URI) of which a client's certificate must have one. Any will do by default."""
    min_version: TlsVersion = "TLS12"
    """The oldest TLS version to accept."""
    max_version: TlsVersion = "TLS13"
    """The newest one."""
    cipher_suites: Many[Annotated[str, AfterValidator(_check_cipher)]] = ()
    """The cipher suites for versions up to TLS 1.2, by Go's names. By default OpenSSL's choice."""
    prefer_server_cipher_suites: bool = True
    """Whether our order of cipher suites counts, and not the client's."""
    curve_preferences: Annotated[
        Many[Literal["CurveP256", "CurveP384", "CurveP521", "X25519"]], AfterValidator(_check_curves)
    ] = ()
    """The curve for key exchange; one at most. By default OpenSSL's choice."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            return self
        for name in ("cert", "key", "client_ca"):
            self.only_one_of(name, f"{name}_file")
        for name in ("cert", "key"):
            if getattr(self, name) is None and getattr(self, f"{name}_file") is None:
                raise ValueError(f"needs {name}_file (or {name})")
        if self.max_version < self.min_version:
            raise ValueError(f"min_version {self.min_version} is newer than max_version {self.max_version}")
        self._check_clients()
        return self

    def _check_clients(self) -> None:
        has_authority = self.client_ca is not None or self.client_ca_file is not None
        verifies = self.client_auth_type != "NoClientCert"
        if has_authority and not verifies:
            raise ValueError("client_ca_file needs client_auth_type, as in RequireAndVerifyClientCert")
        if verifies and not has_authority:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file (or client_ca)")
        if self.client_allowed_sans and not verifies:
            raise ValueError("client_allowed_sans needs client_auth_type, as in RequireAndVerifyClientCert")

    @property
    def settings(self) -> TlsServerSettings | None:
        """What connections are set up with; None for no TLS."""
        if not self.model_fields_set:
            return None
        return as_settings(
            TlsServerSettings,
            self,
            client_allowed_sans=frozenset(self.client_allowed_sans),
            ciphers=tuple(CIPHERS[name] for name in self.cipher_suites),
            curve=next((CURVES[name] for name in self.curve_preferences), None),
        )


class HttpServerConfig(Section):
    """What is particular to HTTP."""

    http2: bool = True
    """Accepted for the sake of files that several exporters share: HTTP/2 is not spoken in either case."""
    headers: dict[str, HeaderValue] = Field(default={})
    """Headers for every answer; they win over the exporter's own."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, value in self.headers.items():
            if name not in HEADERS:
                raise mistakes_at({("headers", name): f"cannot be set here{hint(name, HEADERS)}"})
            if HEADERS[name] and value not in HEADERS[name]:
                raise mistakes_at({("headers", name): f"must be {' or '.join(HEADERS[name])}"})
        return self


class RateLimitConfig(Section):
    """How many requests are answered, whoever sends them; the rest get 429."""

    interval: Interval
    """The time after which one more request is answered."""
    burst: Annotated[int, Field(ge=1)]
    """How many are answered at once after a silence."""


class WebConfig(Section):
    """The web configuration file."""

    tls_server_config: TlsServerConfig = TlsServerConfig()
    """How connections are encrypted."""
    http_server_config: HttpServerConfig = HttpServerConfig()
    """What is particular to HTTP."""
    basic_auth_users: dict[
        Annotated[str, AfterValidator(_check_user)], Annotated[Secret, PlainValidator(_read_hash)]
    ] = Field(default={})
    """The bcrypt hash of the password of every user. Without users nobody has to log in."""
    rate_limit: RateLimitConfig | None = None
    """How many requests are answered. By default all."""

    @property
    def settings(self) -> WebSettings:
        """What the server is set up with."""
        limit = self.rate_limit
        return WebSettings(
            tls=self.tls_server_config.settings,
            headers=self.http_server_config.headers,
            users=self.basic_auth_users,
            rate_limit=RateLimit(limit.interval, limit.burst) if limit else None,
        )


def load_web(path: Path) -> WebSettings:
    """Read the web configuration file at *path*; relative paths in it are seen from its folder.

    Raises:
        ConfigError: it cannot be read, or has mistakes; one line each, with the file's name.
    """
    return read_section(path, WebConfig, "tls_server_config: ...").settings
