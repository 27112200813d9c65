"""What the web configuration file decides: TLS, who may come in, headers, how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from exporter.http.settings import TlsVersion
from exporter.secret import Secret

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServerSettings:
    """How connections are encrypted; certificates and keys are files or texts in PEM."""

    cert: str | None = None
    cert_file: Path | None = None
    key: Secret | None = None
    key_file: Path | None = None
    client_ca: str | None = None
    client_ca_file: Path | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: frozenset[str] = frozenset()
    """Names of which a client's certificate needs one; any will do when empty."""
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    ciphers: tuple[str, ...] = ()
    """OpenSSL's names of the suites up to TLS 1.2; its default when empty."""
    prefer_server_cipher_suites: bool = True
    curve: str | None = None
    """OpenSSL's name of the only curve for key exchange."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it is read from."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request for each *interval*, and up to *burst* of them at once."""

    interval: float
    """Seconds."""
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """All of it; by default everybody may read and act, without TLS."""

    tls: TlsServerSettings | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Set on every answer."""
    users: Mapping[str, Secret] = field(default_factory=dict)
    """The bcrypt hash of each user's password; nobody has to log in when empty."""
    rate_limit: RateLimit | None = None
