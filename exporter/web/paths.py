"""Where the exporter is for those who reach it: ``--web.external-url`` and ``--web.route-prefix``."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from exporter.errors import ConfigError

_PLAIN = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Paths:
    """Prefixes without a slash at the end; "" for none."""

    routes: str = ""
    """What every path that is served begins with."""
    links: str = ""
    """What links begin with; differs from it behind a proxy that takes a part of the path away."""

    def serve(self, routes: Iterable[web.RouteDef]) -> Sequence[web.RouteDef]:
        """The routes below the prefix."""
        return [
            web.RouteDef(route.method, self.routes + route.path, route.handler, route.kwargs)
            for route in routes
        ]

    def redirects(self) -> Sequence[web.RouteDef]:
        """The ways to the first page for who leaves out the prefix, or the slash at its end."""
        if not self.routes:
            return []
        return [_redirect("/", f"{self.routes}/"), _redirect(self.routes, f"{self.links}/")]


def paths(external_url: str = "", route_prefix: str | None = None) -> Paths:
    """The prefixes as Prometheus derives them: routes begin with the external URL's path unless told.

    Raises:
        ConfigError: one of them is not what it should be.
    """
    external = _plain("--web.external-url", urlsplit(read_external_url(external_url)).path)
    if route_prefix is None:
        return Paths(external, external)
    prefix = _plain("--web.route-prefix", route_prefix)
    return Paths(prefix, external if external_url else prefix)


def read_external_url(text: str) -> str:
    """The URL without a slash at its end; "" stands for none.

    Raises:
        ConfigError: it is not an absolute URL of HTTP, or holds a password or a query.
    """
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        parts, known = urlsplit(""), False
    if not known or "@" in parts.netloc or "?" in text or "#" in text or not text.isprintable():
        raise ConfigError(
            ["--web.external-url: must be a URL such as https://example.com/tasks, without query or password"]
        )
    return text.rstrip("/")


def _plain(flag: str, path: str) -> str:
    trimmed = path.strip("/")
    prefix = f"/{trimmed}" if trimmed else ""
    if not _PLAIN.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise ConfigError([f"{flag}: {path!r} must be a plain path, as in /tasks"])
    return prefix


def _redirect(path: str, to: str) -> web.RouteDef:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": to})

    return web.get(path, redirect)
