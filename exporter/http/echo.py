"""Blots out of a server's words what it was told in confidence: some repeat it when they refuse it."""

import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from html import escape
from urllib.parse import quote, quote_plus

from yarl import URL

from exporter.http.settings import HttpSettings

BLOT = "<secret>"
_SHORTEST_SEGMENT = 4
"""Characters; what is shorter in a path is a word such as ``v1``, and no password."""
_OPEN = frozenset({"host", "x-sdk-date", "x-project-id"})
"""Headers that are made together with a signature, and tell no secret."""
_REMEMBERED = 64
"""How many credentials that differ are known afterwards: a token and those before it, or signatures."""


class Confidence:
    """What a server is told in confidence by one client.

    Each answer is cleared of what its own request told, before it is cut to what an error shows. An error
    that somebody made of an answer by other means is cleared as a whole, of what was told lately.
    """

    def __init__(self, settings: HttpSettings, proxy: URL | None) -> None:
        self._settings = settings
        self._proxy = proxy
        self._lately: deque[Sequence[tuple[str, str]]] = deque(maxlen=_REMEMBERED)

    def tell(self, sent: Sequence[tuple[str, str]]) -> Callable[[str], str]:
        """Remember the headers that prove who we are; return what blots them out of the answer."""
        if not self._lately or self._lately[-1] != sent:
            self._lately.append(sent)
        return partial(hide, sent=sent, proxy=self._proxy, settings=self._settings)

    def hide(self, words: str) -> str:
        """Blot out what was told lately."""
        sent = [header for headers in self._lately for header in headers]
        return hide(words, sent, self._proxy, self._settings)


def hide(words: str, sent: Sequence[tuple[str, str]], proxy: URL | None, settings: HttpSettings) -> str:
    """Blot out the credentials of one request, as they are and as servers encode them.

    Args:
        words: what the server said.
        sent: the headers that prove who we are.
        proxy: what was gone through, maybe with a password.
        settings: the rest: what is in the URL, and which headers may be shown.
    """
    shown = {value for header in settings.http_headers.values() for value in header.values}
    told = {*_in_headers(sent), *_in_proxy(proxy), *_in_url(settings)} - shown
    forms = {form for secret in told if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        words = words.replace(form, BLOT)
    return words


def _in_headers(sent: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, value in sent:
        if name.lower() in _OPEN:
            continue
        yield value
        if name == "Authorization":
            scheme, _, credentials = value.partition(" ")
            yield credentials
            if scheme == "Basic":
                with suppress(ValueError):  # A word of the operator's own, before what is no base64.
                    yield b64decode(credentials).decode().partition(":")[2]


def _in_proxy(proxy: URL | None) -> Iterator[str]:
    if proxy is not None and proxy.password:
        yield proxy.password
        yield b64encode(f"{proxy.user or ''}:{proxy.password}".encode()).decode()


def _in_url(settings: HttpSettings) -> Iterator[str]:
    url = URL(settings.url)
    yield from url.query.values()
    if settings.path_is_secret:
        yield from (part for part in (*url.parts, *url.raw_parts) if len(part) >= _SHORTEST_SEGMENT)


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, and in the encodings of addresses, pages, JSON and Python."""
    in_json = json.dumps(secret)[1:-1]
    # Which characters are percent-encoded in a query differs from one program to the next.
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), escape(secret))
    yield from (in_json, in_json.replace("/", "\\/"))
    yield from (repr(secret)[1:-1], repr(secret.encode("utf-8", "replace"))[2:-1])
