"""Loads the configuration file again: ``POST /-/reload``, worded as by Prometheus' exporters."""

from collections.abc import Sequence

from aiohttp import web

from exporter.web.access import RELOAD_PATH
from exporter.web.views import Reloads


def routes(reloads: Reloads) -> Sequence[web.RouteDef]:
    """The one path, for POST; whether it may be used is for ``access`` to say."""

    async def reload(request: web.Request) -> web.Response:
        if request.method != "POST":
            text = "This endpoint requires a POST request."
            raise web.HTTPMethodNotAllowed(request.method, ["POST"], text=text)
        if mistakes := await reloads.reload():
            reason = "\n".join(mistakes)
            return web.Response(status=500, text=f"failed to reload config: {reason}\n")
        return web.Response()

    return [web.route("*", RELOAD_PATH, reload)]
