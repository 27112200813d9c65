"""A token from an OAuth 2.0 server, by the client credentials grant."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from exporter.config.connection import Connection, as_settings
from exporter.config.section import mistakes_at
from exporter.config.values import FilePath, Many, SecretText, TokenUrl
from exporter.http import settings

_JWT_BEARER = (
    *("client_certificate_key", "client_certificate_key_file", "client_certificate_key_id"),
    *("signature_algorithm", "iss", "claims"),
)
_OURS = {"scope": "scopes", "client_id": "client_id", "client_secret": "client_secret"}


class OAuth2(Connection):
    """A token from an OAuth 2.0 server, by the client credentials grant.

    It is fetched when it is first needed, and again before it ends and when it is refused.
    """

    cures: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(_JWT_BEARER, "there is no grant but client_credentials"),
        "audience": "write endpoint_params: {audience: ...}",
    }

    client_id: str = Field(min_length=1)
    """The client's id."""
    client_secret: SecretText | None = None
    """The client's secret. It may be left out where a client certificate proves who we are."""
    client_secret_file: FilePath | None = None
    """A file with the client's secret; read for each token."""
    scopes: Many[str] = ()
    """What the token is to be good for."""
    token_url: TokenUrl = Field(repr=False)
    """Where tokens are issued."""
    grant_type: Literal["client_credentials"] = "client_credentials"
    """How tokens are asked for: there is no other way."""
    endpoint_params: dict[str, str] = Field(default={})
    """Further parameters of the request for a token, such as `audience`. They are shown as they are."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.only_one_of("client_secret", "client_secret_file")
        certificate = self.tls_config.cert or self.tls_config.cert_file
        if not (self.client_secret or self.client_secret_file or certificate):
            raise ValueError("needs client_secret or client_secret_file, or a certificate in tls_config")
        for name, key in _OURS.items():
            if name in self.endpoint_params:
                raise mistakes_at({("endpoint_params", name): f"is not set here, but by {key}"})
        return self

    @property
    def settings(self) -> settings.OAuth2:
        """What fetches the tokens is set up with."""
        return as_settings(settings.OAuth2, self, endpoint=self.connection_settings(self.token_url))
