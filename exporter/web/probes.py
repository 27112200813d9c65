"""Tells a supervisor whether the exporter lives, and whether it is of use yet."""

from collections.abc import Sequence

from aiohttp import web

from exporter.web.views import Health

PATHS = ("/-/healthy", "/-/ready")


def routes(health: Health) -> Sequence[web.RouteDef]:
    """``/-/healthy`` and ``/-/ready``, for GET and HEAD, worded as by Prometheus' exporters."""

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="Healthy\n")

    async def ready(_request: web.Request) -> web.Response:
        waits_for = health.not_ready()
        if waits_for:
            return web.Response(status=503, text=f"Not ready: {waits_for}\n")
        return web.Response(text="Ready\n")

    return [web.get(path, probe) for path, probe in zip(PATHS, (healthy, ready), strict=True)]
