"""The way to a server: TLS, and the proxy, with Prometheus' names."""

from dataclasses import fields
from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from exporter.config.section import Section
from exporter.config.values import ConnectHeaderName, FilePath, ProxyUrl, SecretLines, SecretText, Some
from exporter.http.settings import HttpSettings, TlsSettings, TlsVersion

T = TypeVar("T")


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


class Connection(Section):
    """The way to a server."""

    tls_config: TlsConfig = TlsConfig()
    """TLS towards the server."""
    proxy_url: ProxyUrl | None = None
    """The HTTP proxy to go through."""
    no_proxy: str | None = None
    """Hosts, domains and networks to reach without the proxy, separated by commas. Needs `proxy_url`."""
    proxy_from_environment: bool = False
    """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY tell the proxy. Excludes `proxy_url` and `no_proxy`."""
    proxy_connect_header: dict[ConnectHeaderName, Some[SecretText]] = Field(default={})
    """Headers for the proxy, sent with CONNECT when the server speaks https. Needs a proxy."""

    @model_validator(mode="after")
    def _check_proxy(self) -> Self:
        if self.proxy_from_environment and (self.proxy_url or self.no_proxy):
            raise ValueError("proxy_from_environment excludes proxy_url and no_proxy; keep one way")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy needs proxy_url")
        if self.proxy_connect_header and not (self.proxy_url or self.proxy_from_environment):
            raise ValueError("proxy_connect_header needs proxy_url or proxy_from_environment")
        return self

    def connection_settings(self, url: str, **more: Any) -> HttpSettings:  # noqa: ANN401 - of several types
        """What an HTTP client for *url* is set up with.

        Args:
            url: the base that it joins paths to.
            more: further fields of `HttpSettings`.
        """
        return HttpSettings(
            url=url,
            tls_config=as_settings(TlsSettings, self.tls_config),
            proxy_url=self.proxy_url,
            no_proxy=self.no_proxy,
            proxy_from_environment=self.proxy_from_environment,
            proxy_connect_header=self.proxy_connect_header,
            **more,
        )


def as_settings(kind: type[T], section: Section, **more: Any) -> T:  # noqa: ANN401 - of several types
    """The client's own dataclass: its fields have the names of the section's, but for those in *more*."""
    names = {field.name for field in fields(kind)} - more.keys()  # type: ignore[arg-type]
    return kind(**{name: getattr(section, name) for name in names}, **more)
