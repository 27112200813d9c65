"""The HTTP client block of Prometheus, as a source and an http_sd_config have it inline."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from exporter.config.connection import Connection, as_settings
from exporter.config.huawei import HuaweiAkSk, HuaweiIam
from exporter.config.oauth2 import OAuth2
from exporter.config.section import Section, mistakes_at
from exporter.config.values import AuthType, FilePath, HeaderName, HeaderValue, Many, SecretText
from exporter.http import settings
from exporter.http.settings import HttpSettings

AUTHENTICATION = ("basic_auth", "authorization", "oauth2", "huawei_iam", "huawei_aksk")
"""The ways to tell a server who we are; they exclude one another."""
_MADE = {
    "huawei_iam": {"x-auth-token"},
    "huawei_aksk": {"x-sdk-date", "x-project-id", "x-security-token"},
}


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
        self.one_of("username", "username_file")
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
        self.one_of("credentials", "credentials_file")
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


class HttpClient(Connection):
    """How to speak HTTP to a server."""

    cures: ClassVar[Mapping[str, str]] = {
        "bearer_token": "write authorization: {credentials: ...}",
        "bearer_token_file": "write authorization: {credentials_file: ...}",
    }

    basic_auth: BasicAuth | None = None
    """User name and password. Of this and the four that follow, one at the most."""
    authorization: Authorization | None = None
    """The `Authorization` header."""
    oauth2: OAuth2 | None = None
    """A token from an OAuth 2.0 server."""
    huawei_iam: HuaweiIam | None = None
    """A token from Huawei Cloud's IAM."""
    huawei_aksk: HuaweiAkSk | None = None
    """Requests signed with an access key of Huawei Cloud."""
    http_headers: dict[HeaderName, Header] = Field(default={})
    """Headers to send with each request, by name."""
    follow_redirects: bool = True
    """Whether to follow redirects. Credentials are never sent to another host."""
    enable_http2: bool = False
    """Accepted, for Prometheus has it; HTTP/2 is not spoken either way."""

    @model_validator(mode="after")
    def _check_client(self) -> Self:
        self.only_one_of(*AUTHENTICATION)
        self._check_headers_differ()
        self._check_headers_are_not_made()
        return self

    def client_settings(self, url: str, **limits: Any) -> HttpSettings:  # noqa: ANN401 - of several types
        """What the HTTP client is set up with.

        Args:
            url: the base that it joins paths to.
            limits: further fields of `HttpSettings`.
        """
        return self.connection_settings(
            url,
            basic_auth=self.basic_auth and as_settings(settings.BasicAuth, self.basic_auth),
            authorization=self.authorization and as_settings(settings.Authorization, self.authorization),
            oauth2=self.oauth2 and self.oauth2.settings,
            huawei_iam=self.huawei_iam and self.huawei_iam.settings,
            huawei_aksk=self.huawei_aksk and self.huawei_aksk.settings,
            http_headers={
                name: as_settings(settings.HeaderValues, header) for name, header in self.http_headers.items()
            },
            follow_redirects=self.follow_redirects,
            **limits,
        )

    def _check_headers_differ(self) -> None:
        seen: dict[str, str] = {}
        for name in self.http_headers:
            if other := seen.get(name.lower()):
                raise mistakes_at({("http_headers", name): f"is the same header as {other!r}"})
            seen[name.lower()] = name

    def _check_headers_are_not_made(self) -> None:
        for block, made in _MADE.items():
            for name in self.http_headers:
                if getattr(self, block) is not None and name.lower() in made:
                    raise mistakes_at({("http_headers", name): f"is a header that {block} makes; keep one"})
