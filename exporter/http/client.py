"""Asks one server over HTTP: everything of the network is here, and nothing of tasks."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from ssl import SSLContext
from types import TracebackType
from typing import Self

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from multidict import CIMultiDict
from yarl import URL

from exporter.apis.base import Answer
from exporter.clock import Clock
from exporter.errors import Rejected
from exporter.http import authentication, proxy, redirects
from exporter.http.address import Address, place
from exporter.http.body import BadBody, read_body
from exporter.http.credentials import Credentials
from exporter.http.dates import parse_date, retry_after
from exporter.http.echo import Confidence
from exporter.http.failures import explain
from exporter.http.observer import NO_ANSWER, Observer, Unobserved
from exporter.http.pace import Pacer
from exporter.http.settings import HttpSettings
from exporter.http.tls import TlsContext
from exporter.http.tokens import LOGINS_PER_SECOND, Post, is_success

MAX_REDIRECTS = 5
MAX_RENEWALS = 2
"""How often one request is made again with new credentials: what replaces a dead token may die while the
request waits for its turn."""
_ASKS_FOR_A_PAUSE = frozenset({429, 503})
# Longer than tasks are usually left alone, so that most polls find an open connection.
_KEEPALIVE_SECONDS = 75.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked; nothing of how."""

    endpoint: str
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


class HttpClient:
    """The HTTP client of one source; satisfies `exporter.apis.base.Http`.

    Whatever asks the source asks through this one, so that pace and pauses hold for all together. Each hop of
    a redirect waits for its turn, has the time-out for itself, and is observed as one request. When a
    connection breaks before the answer begins, aiohttp repeats a GET once; that waits for its turn as well,
    and is observed together with the first. A request whose credentials are refused is made again if they can
    be renewed, in a turn of its own. Tokens are fetched from their issuer at a pace of its own.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        clock: Clock,
        observer: Observer | None = None,
        credentials: Credentials | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Set up a client; connects nowhere yet.

        Raises:
            ConfigError: the URL or the proxy's is none.
        """
        self._settings = settings
        self._clock = clock
        self._observer = observer or Unobserved()
        self._address = Address(settings.url)
        self._environ = environ
        self._proxy = proxy.choose(settings, self._address.origin, environ)
        self._tunnel_headers = proxy.tunnel_headers(settings) if self._proxy else None
        self._confidence = Confidence(settings, self._proxy)
        self._tls = TlsContext(settings.tls_config) if self._address.origin.scheme == "https" else None
        self._pacer = Pacer(
            settings.requests_per_second,
            settings.concurrency,
            clock=clock,
            sleep=sleep,
            throttled=self._observer.throttled,
        )
        self._sleep = sleep
        self._session: ClientSession | None = None
        self._credentials = credentials or authentication.choose(settings, clock, self._post_to)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. The client can be used again."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def pause_until(self, moment: float) -> None:
        """Start no request before *moment* (monotonic seconds), nor for longer than `MAX_PAUSE`."""
        self._pacer.pause_until(moment)

    def hide(self, words: str) -> str:
        """Blot out of an error what the server was told in confidence, should it have repeated it."""
        return self._confidence.hide(words)

    async def get(
        self,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for *path* below the URL and return the answer whatever its status; see `request`."""
        return await self.request("GET", endpoint, path, query=query, headers=headers)

    async def request(
        self,
        method: str,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request and return the answer whatever its status.

        Args:
            method: in capitals.
            endpoint: the name of the call, a label value of a small closed set.
            path: already percent-encoded; empty for the URL itself.
            query: sent in this order.
            headers: beyond those of the configuration, which they replace by name.
            body: what to send; tell its ``Content-Type`` in *headers*.

        Raises:
            Unreachable: no whole answer came, or none from the issuer of tokens.
            Unauthorized: a secret's file cannot be read, no token is issued, or the answer was a redirect to
                a login page.
            RateLimited, ServerFailed: the issuer of tokens said so.
            Rejected: the answer was a redirect that is not followed.
            Malformed: the answer was larger than the limits, or not compressed as it said.
        """
        asked = _Request(endpoint, method, self._address.url(path, query), _checked(headers or {}), body)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._exchange(asked)
            if (to := redirects.target(method, asked.url, answer, self._settings)) is None:
                return answer
            if error := redirects.refusal(method, asked.url, to, self._settings):
                raise error
            if not self._settings.follow_redirects:
                raise redirects.unfollowed(method, asked.url, to, self._settings)
            asked = replace(asked, url=to)
        where = place(method, asked.url, self._settings)
        raise Rejected(
            f"{where}: redirected more than {MAX_REDIRECTS} times; check {self._settings.names.url}"
        )

    async def _exchange(self, asked: _Request) -> Answer:
        answer, sent = await self._exchange_once(asked)
        for _ in range(MAX_RENEWALS):
            if answer.status != HTTPStatus.UNAUTHORIZED or not await self._credentials.refused(sent, answer):
                break
            answer, sent = await self._exchange_once(asked)
        if is_success(answer):
            self._credentials.accepted(sent)
        return answer

    async def _exchange_once(self, asked: _Request) -> tuple[Answer, Sequence[tuple[str, str]]]:
        """Ask, and return the answer with the credentials that it answers."""
        await self._credentials.prepare()
        async with self._pacer:
            credentials = await self._credentials.headers(asked.method, asked.url, asked.body)
            headers = CIMultiDict(credentials)
            headers.update(asked.headers)
            context = True if self._tls is None else await self._tls.current()
            began, code = self._clock.monotonic(), NO_ANSWER
            try:
                hidden = self._confidence.tell(_proof(credentials, asked))
                answer = await self._send(asked, headers, context=context, hidden=hidden)
                code = str(answer.status)
            finally:
                self._observer.requested(asked.endpoint, code, self._clock.monotonic() - began)
        return answer, credentials

    async def _send(
        self,
        asked: _Request,
        headers: CIMultiDict[str],
        *,
        context: SSLContext | bool,
        hidden: Callable[[str], str],
    ) -> Answer:
        where = partial(place, asked.method, asked.url, self._settings)
        try:
            async with self._open_session().request(
                asked.method,
                asked.url,
                headers=headers,
                data=asked.body,
                allow_redirects=False,
                ssl=context,
                server_hostname=self._settings.tls_config.server_name if self._tls else None,
                proxy=self._proxy,
                proxy_headers=self._tunnel_headers,
                middlewares=(self._pacing_repetitions(),),
            ) as response:
                return await self._read(response, hidden, where)
        # UnicodeError: what Python raises for a host name that cannot be a name in DNS.
        except (ClientError, OSError, UnicodeError, BadBody) as error:
            # Theirs may hold the request with its headers: it must not appear in a traceback.
            raise explain(error, where(), self._settings) from None

    async def _read(
        self, response: ClientResponse, hidden: Callable[[str], str], where: Callable[[], str]
    ) -> Answer:
        if response.status in _ASKS_FOR_A_PAUSE:
            seconds = retry_after(response.headers, self._clock.now())
            self.pause_until(self._clock.monotonic() + (seconds or 0.0))
        body = await read_body(response, self._settings.body_size_limit)
        date = parse_date(response.headers.get("Date", ""))
        return Answer(response.status, response.headers, body, date, hidden, where)

    def _open_session(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
                headers={"User-Agent": self._settings.user_agent, "Accept-Encoding": "gzip, deflate"},
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=self._settings.timeout),
                auto_decompress=False,
                max_line_size=self._settings.max_header,
                max_field_size=self._settings.max_header,
            )
        return self._session

    def _post_to(self, issuer: HttpSettings) -> Post:
        """The way to an issuer of tokens: a client of its own, whose connection is not kept for so long."""
        client = HttpClient(
            replace(issuer, requests_per_second=LOGINS_PER_SECOND),
            clock=self._clock,
            observer=self._observer,
            sleep=self._sleep,
            environ=self._environ,
        )

        async def post(headers: Mapping[str, str], body: bytes) -> Answer:
            async with client:
                return await client.request("POST", "token", "", headers=headers, body=body)

        return post

    def _pacing_repetitions(self) -> ClientMiddlewareType:
        repeated = False

        async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            nonlocal repeated
            if repeated:
                await self._pacer.another_turn()
            repeated = True
            return await handler(request)

        return pass_on


def _proof(credentials: Sequence[tuple[str, str]], asked: _Request) -> Sequence[tuple[str, str]]:
    """The headers that prove who we are: what a token is asked for with comes with the request."""
    if "Authorization" not in asked.headers:
        return credentials
    return (*credentials, ("Authorization", asked.headers["Authorization"]))


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not value.isprintable():
            raise Rejected(f"the value of the header {name} is not one line of text")
    return headers
