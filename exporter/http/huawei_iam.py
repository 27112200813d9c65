"""Logs in to Huawei Cloud's IAM for tokens that are valid in one project.

Source: IAM API reference, "Obtaining a User Token Through Password Authentication": the token comes in the
header X-Subject-Token and may have 20,000 characters. It lives for 24 hours, but may die within half an hour
of a change of password or permissions. The reference has no login by access key. The IAM is known to take the
method ``hw_ak_sk``, which is sent here as public clients of Huawei's services send it, such as OpenCompass
for the Pangu models.
"""

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

from exporter.apis import reading
from exporter.apis.base import Answer
from exporter.clock import Clock
from exporter.http.credentials import given_or_read
from exporter.http.settings import HuaweiIam, Names
from exporter.http.tokens import Issued, PostTo, TokenEndpoint, is_header_value, is_success
from exporter.secret import Secret

TOKENS_PATH = "/v3/auth/tokens"
_NAMES = Names(url="auth_url", block="huawei_iam")


class HuaweiIamTokens:
    """Issues tokens of one user or access key for one project."""

    def __init__(self, settings: HuaweiIam, post_to: PostTo, clock: Clock) -> None:
        self._settings = settings
        self._endpoint = TokenEndpoint(replace(settings.endpoint, names=_NAMES), post_to)
        self._clock = clock

    async def issue(self) -> Issued:
        """Log in.

        Raises:
            Unreachable: the IAM did not answer.
            Unauthorized: it refused, sent no token, or a file cannot be read.
            RateLimited, ServerFailed: it said so.
        """
        settings = self._settings
        identity, secret = await asyncio.to_thread(_by_password if settings.username else _by_key, settings)
        headers = {"Content-Type": "application/json;charset=utf8", "Accept": "application/json"}
        answer = await self._endpoint.post(headers, _login(settings, identity))
        if not is_success(answer):
            raise self._endpoint.refusal(answer, _told(answer), (secret, json.dumps(secret)[1:-1]))
        token = answer.headers.get("X-Subject-Token", "")
        if not is_header_value(token):
            raise self._endpoint.without_token("X-Subject-Token")
        return Issued("X-Auth-Token", Secret(token), self._lifetime(answer))

    def _lifetime(self, answer: Answer) -> float:
        """Seconds by the IAM's own clock, for ours may differ."""
        document = reading.mapping(reading.json_or_none(answer))
        ends = reading.iso8601(reading.mapping(document.get("token")).get("expires_at"))
        if ends is None:
            return math.inf
        seconds = (ends - (answer.date or self._clock.now())).total_seconds()
        return seconds if seconds > 0 else math.inf


def _by_password(settings: HuaweiIam) -> tuple[dict[str, Any], str]:
    """What tells a user, and the secret in it."""
    password = given_or_read(settings.password, settings.password_file)
    user = {"name": settings.username, "password": password, "domain": {"name": settings.domain_name}}
    return {"methods": ["password"], "password": {"user": user}}, password


def _by_key(settings: HuaweiIam) -> tuple[dict[str, Any], str]:
    """What tells an access key, and the secret in it."""
    key = given_or_read(Secret(settings.access_key or ""), settings.access_key_file)
    secret = given_or_read(settings.secret_key, settings.secret_key_file)
    return {"methods": ["hw_ak_sk"], "hw_ak_sk": {"access": {"key": key}, "secret": {"key": secret}}}, secret


def _login(settings: HuaweiIam, identity: dict[str, Any]) -> bytes:
    project = {"id": settings.project_id} if settings.project_id else {"name": settings.project_name}
    return json.dumps({"auth": {"identity": identity, "scope": {"project": project}}}).encode()


def _told(answer: Answer) -> str:
    """The error in either of the IAM's spellings."""
    document = reading.mapping(reading.json_or_none(answer))
    error = reading.mapping(document.get("error"))
    words = (document.get("error_code"), document.get("error_msg") or error.get("message"))
    return ": ".join(word for word in words if isinstance(word, str) and word)
