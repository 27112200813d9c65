"""Decides where a redirect leads, and whether to go there."""

import re

from yarl import URL

from exporter.apis.base import Answer
from exporter.errors import Rejected, SourceError, Unauthorized
from exporter.http.address import place
from exporter.http.settings import HttpSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOGIN = re.compile(
    r"(?:^|[/._-])(?:log-?in|sign[-_]?in|sso|saml2?|auth|oauth2?|authorize)(?:[/._-]|$)", re.IGNORECASE
)


def target(method: str, url: URL, answer: Answer, settings: HttpSettings) -> URL | None:
    """Where the answer to *url* redirects to, or None if it is an answer in itself.

    Raises:
        Rejected: it redirects to what is no URL.
    """
    location = answer.headers.get("Location")
    if answer.status not in _REDIRECTS or not location:
        return None
    try:
        found = url.join(URL(location))
        return found.with_user(None).with_fragment(None) if found.host else found
    except ValueError:
        where = place(method, url, settings)
        raise Rejected(f"{where}: redirected to what is no URL; check {settings.names.url}") from None


def refusal(method: str, url: URL, to: URL, settings: HttpSettings) -> SourceError | None:
    """Why not to follow a redirect from *url* to *to*, or None to follow it.

    Only GET is repeated, and only towards the same scheme, host and port: credentials go nowhere else.
    """
    where = place(method, url, settings)
    if _is_login(to) and not _is_login(url):
        return Unauthorized(f"{where}: redirected to a login page at {_site(to)}; check the credentials")
    if _site(to) != _site(url):
        return unfollowed(method, url, to, settings)
    if method != "GET":
        cure = f"check {settings.names.url}"
        return Rejected(f"{where}: redirected, which is followed for GET only; {cure}")
    return None


def unfollowed(method: str, url: URL, to: URL, settings: HttpSettings) -> Rejected:
    """The error for a redirect that is not followed; tells its origin, not what else it holds."""
    where = place(method, url, settings)
    return Rejected(f"{where}: the redirect to {_site(to)} is not followed; check {settings.names.url}")


def _is_login(url: URL) -> bool:
    return _LOGIN.search(url.path) is not None


def _site(url: URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port}"
