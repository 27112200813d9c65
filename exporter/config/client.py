"""The HTTP client block of Prometheus, as a source and an http_sd_config have it inline."""

from dataclasses import fields
from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from exporter.config.section import Section, mistakes_at
from exporter.config.values import (
    AuthType,
    FilePath,
    HeaderName,
    HeaderValue,
    Many,
    ProxyUrl,
    SecretLines,
    SecretText,
)
from exporter.http import settings
from exporter.http.settings import HttpSettings, TlsVersion

T = TypeVar("T")


class BasicAuth(Section):
    """User name and password, sent with HTTP basic authentication."""

    username: str | None = None
    """The user name."""
    username_file: FilePath | None = None
    """A file with the user name; read on each use."""
    password: SecretText | None = None
    """The password."""
    password_file: FilePath | None = None
    """A file with the password; read on each use, so that it can be replaced without a reload."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.only_one_of("username", "username_file")
        self.only_one_of("password", "password_file")
        if self.username is None and self.username_file is None:
            raise ValueError("needs username or username_file")
        return self


class Authorization(Section):
    """The `Authorization` header, sent as type and credentials."""

    type: AuthType = "Bearer"
    """The word before the credentials, such as `Bearer` or `Token`."""
    credentials: SecretText | None = None
    """The credentials."""
    credentials_file: FilePath | None = None
    """A file with the credentials; read on each use, so that it can be replaced without a reload."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.only_one_of("credentials", "credentials_file")
        if self.credentials is None and self.credentials_file is None:
            raise ValueError("needs credentials or credentials_file")
        return self


class Header(Section):
    """The values of one header, sent in the order values, secrets, files."""

    values: Many[HeaderValue] = ()
    """Values that may be shown."""
    secrets: Many[SecretText] = ()
    """Values that are never shown."""
    files: Many[FilePath] = ()
    """Files with one value each; read on each use."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.values or self.secrets or self.files):
            raise ValueError("needs values, secrets or files")
        return self


class TlsConfig(Section):
    """TLS towards the server."""

    ca: str | None = None
    """Certificates in PEM of the authorities to trust instead of the system's."""
    ca_file: FilePath | None = None
    """A file with the certificates of the authorities to trust instead of the system's."""
    cert: str | None = None
    """The client's certificate in PEM."""
    cert_file: FilePath | None = None
    """A file with the client's certificate."""
    key: SecretLines | None = None
    """The client's key in PEM."""
    key_file: FilePath | None = None
    """A file with the client's key."""
    server_name: str | None = None
    """The name that the server's certificate must be for, if not the host of the URL."""
    insecure_skip_verify: bool = False
    """Whether to accept any certificate. Anybody on the way can then read the credentials."""
    min_version: TlsVersion = "TLS12"
    """The oldest TLS version to accept."""
    max_version: TlsVersion | None = None
    """The newest TLS version to offer; by default the newest there is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("ca", "cert", "key"):
            self.only_one_of(name, f"{name}_file")
        if (self.cert is None and self.cert_file is None) != (self.key is None and self.key_file is None):
            raise ValueError("a client certificate needs both cert (or cert_file) and key (or key_file)")
        if self.max_version is not None and self.max_version < self.min_version:
            raise ValueError(f"min_version {self.min_version} is newer than max_version {self.max_version}")
        return self


class HttpClient(Section):
    """How to speak HTTP to a server."""

    basic_auth: BasicAuth | None = None
    """User name and password. Excludes `authorization`."""
    authorization: Authorization | None = None
    """The `Authorization` header. Excludes `basic_auth`."""
    http_headers: dict[HeaderName, Header] = Field(default={})
    """Headers to send with each request, by name."""
    tls_config: TlsConfig = TlsConfig()
    """TLS towards the server."""
    proxy_url: ProxyUrl | None = None
    """The HTTP proxy to go through."""
    no_proxy: str | None = None
    """Hosts, domains and networks to reach without the proxy, separated by commas. Needs `proxy_url`."""
    proxy_from_environment: bool = False
    """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY tell the proxy. Excludes `proxy_url` and `no_proxy`."""
    follow_redirects: bool = True
    """Whether to follow redirects. Credentials are never sent to another host."""

    @model_validator(mode="after")
    def _check_client(self) -> Self:
        self.only_one_of("basic_auth", "authorization")
        if self.proxy_from_environment and (self.proxy_url or self.no_proxy):
            raise ValueError("proxy_from_environment excludes proxy_url and no_proxy; keep one way")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy needs proxy_url")
        self._check_headers_differ()
        return self

    def client_settings(self, url: str, **limits: Any) -> HttpSettings:  # noqa: ANN401 - of several types
        """What the HTTP client is set up with.

        Args:
            url: the base that it joins paths to.
            limits: further fields of `HttpSettings`.
        """
        return HttpSettings(
            url=url,
            basic_auth=_same(settings.BasicAuth, self.basic_auth) if self.basic_auth else None,
            authorization=_same(settings.Authorization, self.authorization) if self.authorization else None,
            http_headers={
                name: _same(settings.HeaderValues, header) for name, header in self.http_headers.items()
            },
            tls_config=_same(settings.TlsSettings, self.tls_config),
            proxy_url=self.proxy_url,
            no_proxy=self.no_proxy,
            proxy_from_environment=self.proxy_from_environment,
            follow_redirects=self.follow_redirects,
            **limits,
        )

    def _check_headers_differ(self) -> None:
        seen: dict[str, str] = {}
        for name in self.http_headers:
            if other := seen.get(name.lower()):
                raise mistakes_at({("http_headers", name): f"is the same header as {other!r}"})
            seen[name.lower()] = name


def _same(kind: type[T], section: Section) -> T:
    """The client's own dataclass, whose fields have the names of the section's."""
    return kind(**{field.name: getattr(section, field.name) for field in fields(kind)})  # type: ignore[arg-type]
