"""How to speak HTTP to one server: the fields of Prometheus' HTTP client block, and the limits.

Names and meaning are those of Prometheus' ``http_config``. The configuration checks what excludes what; paths
arrive absolute. Files are read on each use, so that a credential is rotated without a reload.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from exporter import __version__
from exporter.secret import Secret

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """User name and password, each given or in a file."""

    username: str | None = None
    username_file: Path | None = None
    password: Secret | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The ``Authorization`` header: a word and the credentials, given or in a file."""

    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderValues:
    """The values of one header, sent in the order values, secrets, files."""

    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS towards the server; certificates and keys are in PEM."""

    ca: str | None = None
    ca_file: Path | None = None
    """The authorities to trust instead of the system's."""
    cert: str | None = None
    cert_file: Path | None = None
    key: Secret | None = None
    key_file: Path | None = None
    server_name: str | None = None
    """The name the certificate must be for, if it is not the host of the URL."""
    insecure_skip_verify: bool = False
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """A token by the client credentials grant of OAuth 2.0 (RFC 6749 4.4)."""

    client_id: str
    client_secret: Secret | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ()
    endpoint_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further parameters of the request for a token."""
    endpoint: "HttpSettings"
    """The token endpoint, and how it is spoken to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuaweiIam:
    """A token of Huawei Cloud's IAM, valid in one project, for a user's password or for an access key."""

    username: str | None = None
    """The user's name; None where an access key proves who we are."""
    password: Secret | None = None
    password_file: Path | None = None
    domain_name: str | None = None
    """The account that the user belongs to."""
    access_key: str | None = None
    access_key_file: Path | None = None
    secret_key: Secret | None = None
    secret_key_file: Path | None = None
    project_name: str | None = None
    project_id: str | None = None
    endpoint: "HttpSettings"
    """The address ``/v3/auth/tokens`` of the IAM, and how it is spoken to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuaweiAkSk:
    """An access key of Huawei Cloud with which requests are signed, each part given or in a file."""

    access_key: str | None = None
    access_key_file: Path | None = None
    secret_key: Secret | None = None
    secret_key_file: Path | None = None
    security_token: Secret | None = None
    """What comes with a temporary access key."""
    security_token_file: Path | None = None
    project_id: str | None = None
    """The project to tell in a header, where the path does not tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the settings are called where they were written, for the cures in errors."""

    url: str = "the url"
    block: str = ""
    """The block that the keys are in, where it is not the server's own."""
    file: str = ""
    """The file that the keys are in, where it is not the configuration."""
    body_size_limit: str = ""
    """The key of the limit, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How one server is spoken to."""

    url: str = field(repr=False)
    """The base that paths are joined to. Its query, which may hold a secret, goes out with every request."""
    path_is_secret: bool = False
    """Whether its path is a password, too, as a webhook's often is."""
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    huawei_iam: HuaweiIam | None = None
    huawei_aksk: HuaweiAkSk | None = None
    http_headers: Mapping[str, HeaderValues] = field(default_factory=dict)
    tls_config: TlsSettings = TlsSettings()
    proxy_url: Secret | None = None
    """The HTTP proxy, maybe with user name and password."""
    no_proxy: str | None = None
    """Hosts, domains and networks that are reached without the proxy, separated by commas."""
    proxy_from_environment: bool = False
    """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY tell the proxy."""
    proxy_connect_header: Mapping[str, tuple[Secret, ...]] = field(default_factory=dict)
    """Headers for the proxy when it is asked for a tunnel to an https server."""
    follow_redirects: bool = True
    timeout: float = 10.0
    """Seconds from connecting to the last byte; waiting for a turn does not count."""
    body_size_limit: int = 16 * 1024 * 1024
    """Bytes, after decompression."""
    max_header: int = 64 * 1024
    """Bytes of the longest header line."""
    requests_per_second: float = 5.0
    """Fractions are allowed; ``math.inf`` is no limit."""
    concurrency: int = 4
    """Requests under way at once."""
    user_agent: str = f"asynctask-exporter/{__version__}"
    names: Names = Names()
