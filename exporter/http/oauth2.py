"""Fetches tokens by the client credentials grant of OAuth 2.0 (RFC 6749), as Prometheus does."""

import asyncio
import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import quote_plus, urlencode

from exporter.apis import reading
from exporter.apis.base import Answer
from exporter.http.credentials import given_or_read
from exporter.http.settings import Names, OAuth2
from exporter.http.tokens import Issued, PostTo, TokenEndpoint, is_header_value, is_success
from exporter.secret import Secret

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_NAMES = Names(url="token_url", block="oauth2")
_TRY_THE_OTHER_WAY = frozenset({400, 401})


class OAuth2Tokens:
    """Issues tokens of one OAuth 2.0 server.

    The client is told in the Authorization header, as RFC 6749 2.3.1 prefers it; a server that refuses that
    is told in the form. The way that worked is kept. A client without a secret has a certificate.
    """

    def __init__(self, settings: OAuth2, post_to: PostTo) -> None:
        self._settings = settings
        self._endpoint = TokenEndpoint(replace(settings.endpoint, names=_NAMES), post_to)
        has_secret = settings.client_secret or settings.client_secret_file
        self._ways: Sequence[_Way] = (_in_header, _in_form) if has_secret else (_by_certificate,)

    async def issue(self) -> Issued:
        """Fetch a new token.

        Raises:
            Unreachable: the token endpoint did not answer.
            Unauthorized: it refused, sent no token, or the secret's file cannot be read.
            RateLimited, ServerFailed: it said so.
        """
        settings = self._settings
        secret = await asyncio.to_thread(given_or_read, settings.client_secret, settings.client_secret_file)
        way, *others = self._ways
        answer = await self._ask(way, secret)
        if others and answer.status in _TRY_THE_OTHER_WAY:
            way = others[0]
            answer = await self._ask(way, secret)
        if not is_success(answer):
            forms = (secret, quote_plus(secret), _basic(settings.client_id, secret))
            raise self._endpoint.refusal(answer, _told(answer), forms)
        self._ways = (way,)
        return self._read(answer)

    async def _ask(self, way: "_Way", secret: str) -> Answer:
        headers, form = way(self._settings.client_id, secret)
        form |= {"grant_type": "client_credentials"}
        if self._settings.scopes:
            form["scope"] = " ".join(self._settings.scopes)
        form |= self._settings.endpoint_params
        return await self._endpoint.post(_FORM | headers, urlencode(form).encode())

    def _read(self, answer: Answer) -> Issued:
        document = reading.mapping(reading.json_or_none(answer))
        token = document.get("access_token")
        if not is_header_value(token):
            raise self._endpoint.without_token("access_token")
        # "bearer" in any case, says RFC 6749 5.1; some servers want it as RFC 6750 writes it.
        kind = str(document.get("token_type") or "Bearer")
        word = "Bearer" if kind.lower() == "bearer" or not is_header_value(kind) else kind
        return Issued("Authorization", Secret(f"{word} {token}"), _lifetime(document.get("expires_in")))


_Way = Callable[[str, str], tuple[dict[str, str], dict[str, str]]]
"""How the client's id and secret are told: headers and form."""


def _in_header(client_id: str, secret: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"Authorization": f"Basic {_basic(client_id, secret)}"}, {}


def _in_form(client_id: str, secret: str) -> tuple[dict[str, str], dict[str, str]]:
    return {}, {"client_id": client_id, "client_secret": secret}


def _by_certificate(client_id: str, _secret: str) -> tuple[dict[str, str], dict[str, str]]:
    """RFC 8705 2: the connection proves who we are."""
    return {}, {"client_id": client_id}


def _basic(client_id: str, secret: str) -> str:
    return b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode("ascii")


def _told(answer: Answer) -> str:
    """The error as RFC 6749 5.2 has it."""
    document = reading.mapping(reading.json_or_none(answer))
    words = (document.get("error"), document.get("error_description"))
    return ": ".join(word for word in words if isinstance(word, str))


def _lifetime(seconds: object) -> float:
    """``expires_in``, which some servers send as text; without an end if it is left out or nonsense."""
    return float(reading.count(seconds) or math.inf)
