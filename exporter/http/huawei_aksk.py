"""Signs requests with an access key of Huawei Cloud: SDK-HMAC-SHA256.

Source: "API Request Signing Guide", and the vendor's Python SDK (huaweicloudsdkcore), whose signatures these
equal. Signed are the host, the time, and the headers made here: the gateway wants no others.
"""

import asyncio
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from urllib.parse import parse_qsl, quote, unquote

from yarl import URL

from exporter.apis.base import Answer
from exporter.clock import Clock
from exporter.errors import Unauthorized
from exporter.http.credentials import Credentials, given_or_read
from exporter.http.settings import HuaweiAkSk
from exporter.secret import Secret

ALGORITHM = "SDK-HMAC-SHA256"
DATE = "X-Sdk-Date"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_TELLING_SKEW = timedelta(minutes=5)
"""The gateway bears 15 minutes. Less than this does not come from a wrong clock, but from a slow network."""
_GATEWAY_CODE = re.compile(rb"APIGW?\.\d{4}")


class HuaweiSignature(Credentials):
    """Signs each request as it is sent, beside the headers that *others* make, which are not signed."""

    def __init__(self, settings: HuaweiAkSk, others: Credentials, clock: Clock) -> None:
        self._settings = settings
        self._others = others
        self._clock = clock

    async def headers(self, method: str, url: URL, body: bytes | None) -> Sequence[tuple[str, str]]:
        """The signature, and the headers that it covers.

        Raises:
            Unauthorized: a file cannot be read, or holds no single line of text; names the file.
        """
        # Secrets may lie on a network's file system, which must not hold up the other sources.
        key = await asyncio.to_thread(_read_key, self._settings)
        signed = {"Host": url.host_port_subcomponent or "", DATE: self._clock.now().strftime(DATE_FORMAT)}
        if self._settings.project_id:
            signed["X-Project-Id"] = self._settings.project_id
        if key.security_token:
            signed["X-Security-Token"] = key.security_token
        proof = authorization(key, method, url, signed, body or b"")
        return (*await self._others.headers(method, url, body), *signed.items(), ("Authorization", proof))

    async def refused(self, sent: Sequence[tuple[str, str]], answer: Answer) -> bool:  # noqa: ARG002 - the answer says all
        """Tell if the clocks differ, for the gateway says only that the signature is not right.

        Raises:
            Unauthorized: they do.
        """
        skew = timedelta(0) if answer.date is None else self._clock.now() - answer.date
        if abs(skew) <= _TELLING_SKEW:
            return False
        found = _GATEWAY_CODE.search(answer.body)
        code = f" {found[0].decode()}" if found else ""
        minutes, where = (
            round(abs(skew).total_seconds() / 60),
            "ahead of" if skew > timedelta(0) else "behind",
        )
        raise Unauthorized(
            f"huawei_aksk: HTTP 401{code}: the signature is refused, and the clock here is {minutes} minutes "
            f"{where} the server's; a signature holds for 15 minutes, so set the clock"
        )


@dataclass(frozen=True, slots=True, repr=False)
class AccessKey:
    """An access key as it is at the moment."""

    id: str
    secret: str
    security_token: str = ""


def authorization(key: AccessKey, method: str, url: URL, signed: Mapping[str, str], body: bytes) -> str:
    """The ``Authorization`` header of a request.

    Args:
        key: what to sign with.
        method: in capitals.
        url: exactly as it is sent.
        signed: the headers to sign; one of them is `DATE`.
        body: what is sent.
    """
    lowered = {name.lower(): value.strip() for name, value in sorted(signed.items(), key=_lower_name)}
    names = ";".join(lowered)
    request = canonical_request(method, url, lowered, body)
    text = f"{ALGORITHM}\n{lowered[DATE.lower()]}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), text.encode(), sha256).hexdigest()
    return f"{ALGORITHM} Access={key.id}, SignedHeaders={names}, Signature={signature}"


def canonical_request(method: str, url: URL, lowered: Mapping[str, str], body: bytes) -> str:
    """What both sides make of a request; *lowered* are the signed headers in order."""
    path = "/".join(map(_quoted, unquote(url.raw_path).split("/")))
    query = sorted(parse_qsl(url.raw_query_string, keep_blank_values=True))
    return "\n".join(
        (
            method,
            path if path.endswith("/") else f"{path}/",
            "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query),
            *(f"{name}:{value}" for name, value in lowered.items()),
            "",
            ";".join(lowered),
            sha256(body).hexdigest(),
        )
    )


def _read_key(settings: HuaweiAkSk) -> AccessKey:
    return AccessKey(
        given_or_read(Secret(settings.access_key or ""), settings.access_key_file),
        given_or_read(settings.secret_key, settings.secret_key_file),
        given_or_read(settings.security_token, settings.security_token_file),
    )


def _quoted(text: str) -> str:
    return quote(text, safe="~")


def _lower_name(header: tuple[str, str]) -> str:
    return header[0].lower()
