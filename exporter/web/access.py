"""Who may do what: everybody who gets in reads; acting takes a switch as well.

Registering ids and acknowledging are switched on by ``registration: true`` of each source, which whoever
handles them looks at; reloading is switched on by ``--web.enable-lifecycle``, here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.web import probes
from exporter.web.login import Passwords, require_certificate_name, require_login
from exporter.web.rate_limit import limit_requests
from exporter.web.settings import WebSettings

RELOAD_PATH = "/-/reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the operator allows; by default everybody may read, and nobody reload."""

    current: Callable[[], WebSettings] = WebSettings
    """Tells what the web configuration file says at this moment."""
    health_without_auth: bool = False
    """Whether the probes are answered without a password."""
    lifecycle: bool = False
    """Whether the exporter may be reloaded over HTTP."""

    def middlewares(self, prefix: str) -> Sequence[Middleware]:
        """What each request passes, the outermost first.

        Args:
            prefix: what all paths begin with.
        """
        free = [prefix + path for path in probes.PATHS] if self.health_without_auth else []
        return [
            limit_requests(self.current),
            require_certificate_name(self.current),
            require_login(self.current, Passwords(), free=free),
            *([] if self.lifecycle else [refuse_lifecycle(prefix)]),
        ]

    async def set_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Set the configured headers; they win over those of a handler."""
        response.headers.update(self.current().headers)


def refuse_lifecycle(prefix: str) -> Middleware:
    """Answer 403 to a reload, in the words of Prometheus."""

    @web.middleware
    async def refused(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == prefix + RELOAD_PATH and request.method in {"POST", "PUT"}:
            raise web.HTTPForbidden(text="Lifecycle API is not enabled; start with --web.enable-lifecycle.")
        return await handler(request)

    return refused
