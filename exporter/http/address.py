"""Joins paths to a base URL, and sends what is percent-encoded exactly as it is."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from yarl import URL

from exporter.errors import ConfigError, Rejected
from exporter.http.settings import HttpSettings

_SHOWN = 200


class Address:
    """The base URL of a server."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.origin = parsed.origin()
        self._base, _, self._query = str(parsed.with_fragment(None)).partition("?")

    def url(self, path: str, query: Sequence[tuple[str, str]] = ()) -> URL:
        """The URL of *path* below the base; the base itself, to the letter, if it is empty.

        Args:
            path: already percent-encoded.
            query: sent in this order, after the base's own.

        Raises:
            Rejected: the path is not percent-encoded.
        """
        if not path.isascii() or not path.isprintable() or " " in path:
            raise Rejected(f"the path {path[:_SHOWN]!r} is not percent-encoded; quote task ids")
        joined = self._base.rstrip("/") + "/" + path.removeprefix("/") if path else self._base
        queries = [text for text in (self._query, urlencode(query, quote_via=quote)) if text]
        if queries:
            joined += ("&" if "?" in joined else "?") + "&".join(queries)
        return URL(joined, encoded=True)


def _parse(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        raise ConfigError(["url: is not a URL such as https://example.com"]) from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigError(["url: must be a URL such as https://example.com"])
    if parsed.user is not None or parsed.password is not None:
        raise ConfigError(["url: must not hold a user name or password; use basic_auth"])
    return parsed


def place(method: str, url: URL, settings: HttpSettings) -> str:
    """What was asked, for an error message: never the query or the user, nor a path that is a secret."""
    return f"{method} {url.origin()}{'' if settings.path_is_secret else url.raw_path[:_SHOWN]}"
