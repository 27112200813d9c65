"""Where the pager would be: takes Alertmanager's webhooks and remembers them."""

from http import HTTPStatus
from typing import Any, NamedTuple, Self

from aiohttp import web


class Told(NamedTuple):
    """One alert of one notification."""

    receiver: str
    status: str
    """``firing`` or ``resolved``."""
    labels: dict[str, str]
    annotations: dict[str, str]


class WebhookReceiver:
    """A server on loopback: ``async with WebhookReceiver() as webhook``, then ``webhook.url`` + any path."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        """Every notification that was accepted, as JSON, in the order of arrival."""
        self.answer = HTTPStatus.OK
        """What it answers; anything but a success refuses the notification."""
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def told(self, **labels: str) -> list[Told]:
        """What was told of the alerts with these *labels*; one entry for each time."""
        return [
            Told(body["receiver"], alert["status"], alert["labels"], alert["annotations"])
            for body in self.bodies
            for alert in body["alerts"]
            if labels.items() <= alert["labels"].items()
        ]

    async def _take(self, request: web.Request) -> web.Response:
        if self.answer == HTTPStatus.OK:
            self.bodies.append(await request.json())
        return web.Response(status=self.answer)
