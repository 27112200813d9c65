"""The command ``asynctask-exporter watch``: a script hands over the ids of the tasks that it started."""

import asyncio
import json
import math
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from yarl import URL

from exporter.apis import reading
from exporter.apis.base import Answer
from exporter.clock import SystemClock
from exporter.errors import ExporterError, Malformed, RateLimited, ServerFailed, SourceError, Unreachable
from exporter.http import BasicAuth, HttpClient, HttpSettings, Names
from exporter.http.tls import TlsContext
from exporter.secret import Secret

NO_LOGIN = HttpSettings(url="")
"""How to speak to an exporter that asks for no password."""
_EXPECTED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""What the exporter says while it is busy, and a proxy before it while it restarts."""
_JSON = {"Content-Type": "application/json"}
_NAMES = Names(url="--url", file="--http.config.file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the exporter may be away, as while it restarts; all in seconds."""

    in_all: float = 10.0
    between: float = 0.5
    per_try: float = 8.0
    """Longer than the exporter itself waits for its storage."""


_PATIENCE = Patience()


class NotWatched(ExporterError):
    """The exporter did not take the ids; the message is one line that says why."""


class _TryAgain(NotWatched):
    """It may take them in a moment: it cannot be reached, or its storage is busy."""


def run(watching: Coroutine[Any, Any, str]) -> int:
    """Let `watch` do it, say in one line how it went, and return the exit code: 0 committed, 1 not."""
    try:
        line = asyncio.run(watching)
    except NotWatched as error:
        sys.stderr.write(f"asynctask-exporter: error: {error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


async def watch(
    url: str,
    source: str,
    ids: Sequence[str],
    *,
    operation: str = "",
    name: str = "",
    http: HttpSettings = NO_LOGIN,
    patience: Patience = _PATIENCE,
) -> str:
    """Hand over the ids to the exporter at *url*; return a line that says what was new.

    It tries again while the exporter cannot be reached or asks for it: registering an id twice is
    the same as registering it once.

    Args:
        url: where the exporter is.
        source: the source's name.
        ids: the tasks'.
        operation: the kind of work of them all.
        name: what a person calls them.
        http: login, TLS and proxy; its URL and time-out do not count.
        patience: how long to try.

    Raises:
        NotWatched: it refused them, or could not be reached for as long as patience lasts.
        ConfigError: the address of the proxy is none.
    """
    settings = replace(_at(url, http), timeout=patience.per_try, requests_per_second=math.inf)
    path = _path(source)
    described = {key: text for key, text in (("operation", operation), ("name", name)) if text}
    body = json.dumps({"tasks": [{"task_id": task_id, **described} for task_id in ids]}).encode()
    await _check_files(settings)
    return _report(source, await _post_patiently(settings, path, body, patience))


async def _post_patiently(
    http: HttpSettings, path: str, body: bytes, patience: Patience
) -> Mapping[str, Any]:
    """Post until it is taken or refused, or patience ends; return the answer's ``data``."""
    deadline = time.monotonic() + patience.in_all
    while True:
        try:
            return await _post(http, path, body)
        except _TryAgain:
            if time.monotonic() + patience.between > deadline:
                raise
        await asyncio.sleep(patience.between)


def _at(url: str, http: HttpSettings) -> HttpSettings:
    """The settings for this address, and for the user and the password in it."""
    try:
        base = URL(url)
    except ValueError:
        base = URL()
    if base.scheme not in {"http", "https"} or not base.host:
        raise NotWatched("--url must be the exporter's address, such as http://localhost:9926")
    if base.user is not None or base.password is not None:
        if _has_login(http):
            raise NotWatched("--url and --http.config.file both tell a login; keep one")
        http = replace(http, basic_auth=BasicAuth(username=base.user, password=Secret(base.password or "")))
    address = str(base.with_user(None).with_query(None).with_fragment(None))
    return replace(http, url=address, names=_NAMES)


def _has_login(http: HttpSettings) -> bool:
    return any((http.basic_auth, http.authorization, http.oauth2, http.huawei_iam, http.huawei_aksk))


def _path(source: str) -> str:
    if source in {"", ".", ".."}:
        raise NotWatched(f"{source!r} cannot be the name of a source")
    return f"api/v1/sources/{quote(source, safe='')}/tasks"


async def _check_files(http: HttpSettings) -> None:
    """Certificates and keys that cannot be loaded are no reason to try again."""
    try:
        await TlsContext(http.tls_config).current()
    except SourceError as error:
        raise NotWatched(str(error)) from None


async def _post(http: HttpSettings, path: str, body: bytes) -> Mapping[str, Any]:
    """Post once and return the answer's ``data``; a pause that the server asks for is not waited for."""
    async with HttpClient(http, clock=SystemClock()) as client:
        try:
            answer = await client.request("POST", "watch", path, headers=_JSON, body=body)
        except (Unreachable, RateLimited, ServerFailed) as error:
            raise _TryAgain(str(error)) from None
        except Malformed as error:
            raise NotWatched(f"{error}; is --url right?") from None
        except SourceError as error:
            raise NotWatched(str(error)) from None
    document = reading.mapping(reading.json_or_none(answer))
    if answer.status in _EXPECTED and isinstance(document.get("data"), dict):
        return reading.mapping(document["data"])
    raise _refusal(http, answer, document)


def _refusal(http: HttpSettings, answer: Answer, document: Mapping[str, Any]) -> NotWatched:
    at = URL(http.url).origin()
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return NotWatched(
            f"{at} refuses the login (401); check user and password"
            if _has_login(http)
            else f"{at} wants a login (401); tell it in --http.config.file"
        )
    reason = " ".join(str(document.get("error", "")).split())
    if answer.status in _AWAY or "Retry-After" in answer.headers:
        return _TryAgain(reason or f"{at} is not available now ({answer.status})")
    if reason:
        return NotWatched(reason)
    return NotWatched(f"{at} answered {answer.status}, not as asynctask-exporter would; is --url right?")


def _report(source: str, data: Mapping[str, Any]) -> str:
    new, known = (len(ids) if isinstance(ids := data.get(key), list) else 0 for key in ("new", "known"))
    before = f", {known} known already" if known else ""
    return f"{source}: {new} new task{'' if new == 1 else 's'} watched{before}"
