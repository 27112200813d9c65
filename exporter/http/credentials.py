"""Makes the headers that prove who we are."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from yarl import URL

from exporter.apis.base import Answer
from exporter.errors import Unauthorized
from exporter.http.settings import Authorization, BasicAuth, HeaderValues, HttpSettings
from exporter.secret import Secret

_LONGEST = 64 * 1024


class Credentials(Protocol):
    """Makes the headers of one request that depend on who asks.

    Whoever signs requests or fetches tokens implements this; it is asked before each exchange, and again for
    each hop of a redirect. What only sends the same headers inherits the rest.
    """

    async def prepare(self) -> None:
        """Do what takes long, such as to fetch a token, before the request waits for its turn.

        So requests that waited for one token still keep the pace of the source.

        Raises:
            SourceError: there are no credentials to be had, so that the request is not made.
        """
        return

    async def headers(self, method: str, url: URL, body: bytes | None) -> Sequence[tuple[str, str]]:
        """The headers to send with this request.

        Raises:
            SourceError: there are none, so that the request is not made.
        """
        ...

    async def refused(self, sent: Sequence[tuple[str, str]], answer: Answer) -> bool:  # noqa: ARG002 - for those who can renew
        """Hear that the server answered 401, and tell whether to ask once more, with new headers.

        Args:
            sent: what `headers` made; a token in it may have been replaced meanwhile.
            answer: what the server said.

        Raises:
            Unauthorized: the reason is known better than the answer tells it.
        """
        return False

    def accepted(self, sent: Sequence[tuple[str, str]]) -> None:  # noqa: ARG002 - for those who can renew
        """Hear that the server granted the request.

        Args:
            sent: what `headers` made.
        """
        return


class ConfiguredHeaders(Credentials):
    """``basic_auth``, ``authorization`` and ``http_headers`` as configured."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._constant = None if any(_files(settings)) else tuple(_headers(settings))

    async def headers(self, method: str, url: URL, body: bytes | None) -> Sequence[tuple[str, str]]:  # noqa: ARG002 - for those who sign
        """The same headers for every request, except for what changes in their files.

        Raises:
            Unauthorized: a file cannot be read, or holds no single line of text; names the file.
        """
        if self._constant is not None:
            return self._constant
        # Secrets may lie on a network's file system, which must not hold up the other sources.
        return await asyncio.to_thread(lambda: tuple(_headers(self._settings)))


def read_secret(file: Path) -> str:
    """Read a secret from a file, without the blanks around it.

    Raises:
        Unauthorized: it cannot be read, or holds no single line of text; names the file.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_LONGEST).strip()
    except OSError as error:
        raise Unauthorized(f"cannot read the secret in {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unauthorized(f"the secret in {file} is not UTF-8 text") from None
    if not text:
        raise Unauthorized(f"the secret in {file} is empty")
    if not text.isprintable():
        raise Unauthorized(f"the secret in {file} is not one line of text")
    return text


def given_or_read(secret: Secret | None, file: Path | None) -> str:
    """The secret that is given or in the file; "" if neither is.

    Raises:
        Unauthorized: the file cannot be read, or holds no single line of text; names the file.
    """
    if file is not None:
        return read_secret(file)
    return "" if secret is None else secret.reveal()


def _headers(settings: HttpSettings) -> Iterator[tuple[str, str]]:
    if settings.basic_auth is not None:
        yield "Authorization", _basic(settings.basic_auth)
    if settings.authorization is not None:
        yield "Authorization", _authorization(settings.authorization)
    for name, values in settings.http_headers.items():
        yield from ((name, value) for value in _values(values))


def _basic(auth: BasicAuth) -> str:
    username = given_or_read(Secret(auth.username or ""), auth.username_file)
    password = given_or_read(auth.password, auth.password_file)
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _authorization(auth: Authorization) -> str:
    return f"{auth.type} {given_or_read(auth.credentials, auth.credentials_file)}"


def _values(header: HeaderValues) -> Iterator[str]:
    yield from header.values
    yield from (secret.reveal() for secret in header.secrets)
    yield from map(read_secret, header.files)


def _files(settings: HttpSettings) -> Iterator[Path]:
    named: list[Path | None] = []
    if settings.basic_auth is not None:
        named += [settings.basic_auth.username_file, settings.basic_auth.password_file]
    if settings.authorization is not None:
        named.append(settings.authorization.credentials_file)
    for header in settings.http_headers.values():
        named += header.files
    yield from filter(None, named)
