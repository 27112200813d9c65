"""Posts to one receiver, and tells a receiver in trouble from a message that it will never take."""

from collections.abc import Mapping
from random import Random

from exporter.apis.base import Answer
from exporter.apis.reading import text
from exporter.clock import Clock
from exporter.errors import ExporterError, SourceError
from exporter.http import HttpClient, HttpSettings
from exporter.http.address import Address, place

_SUCCESS = range(200, 300)
_CLIENT_ERRORS = range(400, 500)
_NOT_ABOUT_THE_MESSAGE = frozenset({401, 402, 403, 404, 405, 407, 408, 410, 421, 423, 425, 426, 429})
"""Credentials, an address that is wrong or not there yet, the pace: another try, or a better configuration,
helps. To drop every page for a mistake in a path would be the worst answer to it."""
_JITTER = 0.2


class Undelivered(ExporterError):
    """The receiver did not take it now; tells why, without a secret."""


class Refused(ExporterError):
    """The receiver will never take this message; tells why."""


class Post:
    """A way to one receiver."""

    def __init__(self, settings: HttpSettings, clock: Clock, path: str = "") -> None:
        self._client = HttpClient(settings, clock=clock)
        self._path = path
        self._place = place("POST", Address(settings.url).url(path), settings)

    async def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a message.

        Raises:
            Undelivered: it may be taken later.
            Refused: it will never be taken.
        """
        try:
            answer = await self._client.request("POST", "notify", self._path, headers=headers, body=body)
        except SourceError as error:
            raise Undelivered(str(error)) from None
        if answer.status not in _SUCCESS:
            raise _failure(answer)(f"{self._place}: HTTP {answer.status}: {text(answer.excerpt(160))!r}")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


class Backoff:
    """How long to leave a receiver alone: twice as long after each failure in a row."""

    def __init__(self, bounds: tuple[float, float], dice: Random) -> None:
        self._first, self._longest = bounds
        self._dice = dice
        self._failures = 0

    def failed(self) -> float:
        """Note a failure; return how many seconds to wait, a fifth more or less."""
        wait = min(self._first * 2.0 ** min(self._failures, 30), self._longest)
        self._failures += 1
        return wait * self._dice.uniform(1 - _JITTER, 1 + _JITTER)

    def succeeded(self) -> None:
        """Begin anew at the next failure."""
        self._failures = 0


def _failure(answer: Answer) -> type[Undelivered | Refused]:
    about_the_message = answer.status in _CLIENT_ERRORS and answer.status not in _NOT_ABOUT_THE_MESSAGE
    return Refused if about_the_message else Undelivered
