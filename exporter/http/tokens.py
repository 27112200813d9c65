"""Keeps a token that another server issues: fetched when needed, renewed in time, once for all who ask."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from yarl import URL

from exporter.apis import reading
from exporter.apis.base import Answer
from exporter.clock import Clock
from exporter.errors import Malformed, Rejected, SourceError, Unauthorized
from exporter.http.address import place
from exporter.http.credentials import Credentials
from exporter.http.pace import MAX_PAUSE
from exporter.http.settings import HttpSettings
from exporter.secret import Secret

RENEWED_BEFORE = 300.0
"""Seconds before its end at which a token is renewed; a short-lived one has a tenth of its life left."""
HOLD_AFTER_REFUSAL = 300.0
"""Seconds in which a login that the issuer refused is not tried again. Huawei locks a user after five wrong
passwords in a quarter of an hour; see "Login Authentication Policy" in the IAM user guide."""
HOLD_AFTER_FAILURE = 5.0
"""Seconds in which no token is asked for again if there was none for another reason, or longer if the issuer
says so."""
SPARED = 15.0
"""Seconds after a token that was never taken was replaced, in which no other such token is: it would be
refused as well. One that has been taken died early, and is replaced at once, however often that happens."""

LOGINS_PER_SECOND = 1.0
"""The pace at which an issuer is asked, however fast its tokens die."""

Post = Callable[[Mapping[str, str], bytes], Awaitable[Answer]]
"""Sends headers and a body to the issuer."""

PostTo = Callable[[HttpSettings], Post]
"""Opens the way to an issuer."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, as the header that carries it."""

    name: str
    value: Secret
    lifetime: float = math.inf
    """Seconds; without an end where the issuer tells none, and then used until it is refused."""


_NONE = Issued("", Secret(""))


class LoginRefused(Unauthorized):
    """The issuer knows us not, or gives us nothing."""


class Issuer(Protocol):
    """Whoever issues tokens."""

    async def issue(self) -> Issued:
        """Fetch a new token.

        Raises:
            SourceError: there is none; `Unauthorized` where the issuer refuses us.
        """
        ...


class TokenHeader(Credentials):
    """A token in a header, beside the headers that *others* make."""

    def __init__(self, issuer: Issuer, others: Credentials, clock: Clock) -> None:
        self._issuer = issuer
        self._others = others
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = _NONE
        self._was_taken = False
        self._failure: SourceError | None = None
        self._renew_at = self._dies_at = self._spared_until = -math.inf

    async def prepare(self) -> None:
        """Have a token that lives, so that it need not be waited for in turn."""
        await self._current()

    async def headers(self, method: str, url: URL, body: bytes | None) -> Sequence[tuple[str, str]]:
        """The token's header after those of the others."""
        token = await self._current()
        return (*await self._others.headers(method, url, body), (token.name, token.value.reveal()))

    async def refused(self, sent: Sequence[tuple[str, str]], answer: Answer) -> bool:  # noqa: ARG002 - 401 says all
        """Drop the token if it is the one that was refused; another is worth a try, but not all the time."""
        if not self._is_in(sent):
            return True
        if not self._was_taken:
            now = self._clock.monotonic()
            if now < self._spared_until:
                return False
            self._spared_until = now + SPARED
        self._token, self._dies_at = _NONE, -math.inf
        if self._failure is None:
            self._renew_at = -math.inf
        return True

    def accepted(self, sent: Sequence[tuple[str, str]]) -> None:
        """Remember that the token is good for something, and that tokens are."""
        if self._is_in(sent):
            self._was_taken, self._spared_until = True, -math.inf

    def _is_in(self, sent: Sequence[tuple[str, str]]) -> bool:
        return (self._token.name, self._token.value.reveal()) in sent

    async def _current(self) -> Issued:
        """The token; whoever finds another waiting for a new one shares what comes of it."""
        async with self._lock:
            if self._clock.monotonic() >= self._renew_at:
                await self._renew()
        if self._failure is not None and self._clock.monotonic() >= self._dies_at:
            raise self._failure.with_traceback(None)
        return self._token

    async def _renew(self) -> None:
        """Fetch a token; if there is none, the old one is used for as long as it lives."""
        asked = self._clock.monotonic()
        try:
            self._token, self._failure, self._was_taken = await self._issuer.issue(), None, False
        except SourceError as error:
            self._failure = error
            self._renew_at = self._clock.monotonic() + _hold(error)
        else:
            lifetime = self._token.lifetime
            self._renew_at = asked + lifetime - min(lifetime / 10, RENEWED_BEFORE)
            self._dies_at = self._clock.monotonic() + lifetime


def _hold(error: SourceError) -> float:
    least = HOLD_AFTER_REFUSAL if isinstance(error, LoginRefused) else HOLD_AFTER_FAILURE
    return max(least, min(error.retry_after or 0.0, MAX_PAUSE))


class TokenEndpoint:
    """Where tokens are issued: whatever keeps us from one is told as an error, without the secrets.

    Args:
        settings: the endpoint's; their names begin errors, and are in the cures.
        post_to: opens the way there.
    """

    def __init__(self, settings: HttpSettings, post_to: PostTo) -> None:
        self._names = settings.names
        self._place = f"{settings.names.block}: {place('POST', URL(settings.url), settings)}"
        self._post = post_to(settings)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask for a token.

        Raises:
            Unreachable: no whole answer came.
            LoginRefused: the answer was a redirect, or not to be read.
        """
        try:
            return await self._post(headers, body)
        except (Rejected, Malformed) as error:
            # Theirs speak of one request; without a token no request can be made.
            raise LoginRefused(f"{self._names.block}: {error}") from None
        except SourceError as error:
            raise type(error)(f"{self._names.block}: {error}", retry_after=error.retry_after) from None

    def refusal(self, answer: Answer, told: str, secrets: Sequence[str]) -> SourceError:
        """The error for an answer that is no success.

        Args:
            answer: what came.
            told: the error in it, if that was found.
            secrets: what was sent and must not be repeated.
        """
        words = told or answer.text()
        for secret in filter(None, secrets):
            words = words.replace(secret, "<secret>")
        error = reading.refusal(replace(answer, asked=str), " ".join(words.split()) or "nothing said")
        is_refusal = isinstance(error, Unauthorized | Rejected | Malformed)
        kind = LoginRefused if is_refusal else type(error)
        return kind(f"{self._place}: {error}", retry_after=error.retry_after)

    def without_token(self, expected: str) -> LoginRefused:
        """The error for a success that holds no token; never repeats it, for it may hold one elsewhere."""
        return LoginRefused(f"{self._place}: the answer holds no {expected}; check {self._names.url}")


def is_success(answer: Answer) -> bool:
    """Whether a token may be expected in the answer."""
    return answer.status // 100 == 2  # noqa: PLR2004 - RFC 9110 15.3


def is_header_value(token: object) -> bool:
    """Whether a token can be sent in a header."""
    return isinstance(token, str) and token != "" and token.isascii() and token.isprintable()
