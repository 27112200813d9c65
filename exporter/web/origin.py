"""Keeps other web sites from using a visitor's browser to change something here."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
"""What ``Sec-Fetch-Site`` says of a page of ours, and of a user who typed the address."""


@web.middleware
async def refuse_foreign(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that change something if a page of another origin sent them."""
    if request.method not in _SAFE_METHODS and is_foreign(request):
        raise web.HTTPForbidden(text="a page of another web site sent this")
    return await handler(request)


def is_foreign(request: web.Request) -> bool:
    """Whether a page of another origin sent this; programs that are no browsers tell no origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in _OWN_SITES
    origin = request.headers.get("Origin")
    return origin is not None and _host(origin) != request.host.lower()


def _host(origin: str) -> str:
    """The host and port of an origin; "" for ``null``, which is what sandboxed pages send."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
