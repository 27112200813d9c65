"""Decides where a redirect leads, and whether to go there."""

import re

from yarl import URL

from exporter.apis.base import Answer
from exporter.errors import Rejected, SourceError, Unauthorized
from exporter.http.address import place

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOGIN = re.compile(
    r"(?:^|[/._-])(?:log-?in|sign[-_]?in|sso|saml2?|auth|oauth2?|authorize)(?:[/._-]|$)", re.IGNORECASE
)


def target(url: URL, answer: Answer) -> URL | None:
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
        raise Rejected(f"{place('GET', url)}: redirected to what is no URL") from None


def refusal(method: str, url: URL, to: URL) -> SourceError | None:
    """Why not to follow a redirect from *url* to *to*, or None to follow it.

    Only GET is repeated, and only towards the same scheme, host and port: credentials go nowhere else.
    """
    if _is_login(to) and not _is_login(url):
        return Unauthorized(
            f"{place(method, url)}: redirected to a login page at {_site(to)}; check the credentials"
        )
    if _site(to) != _site(url):
        return unfollowed(method, url, to)
    if method != "GET":
        return Rejected(f"{place(method, url)}: redirected, which is followed for GET only")
    return None


def unfollowed(method: str, url: URL, to: URL) -> Rejected:
    """The error for a redirect that is not followed; tells its origin, not what else it holds."""
    return Rejected(f"{place(method, url)}: the redirect to {_site(to)} is not followed; check the url")


def _is_login(url: URL) -> bool:
    return _LOGIN.search(url.path) is not None


def _site(url: URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port}"
