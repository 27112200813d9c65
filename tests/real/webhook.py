"""Where the pager would be: takes Alertmanager's webhooks and remembers them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from tests.real.local import LocalServer


class Told(NamedTuple):
    """One alert of one notification."""

    receiver: str
    status: str
    """``firing`` or ``resolved``."""
    labels: dict[str, str]
    annotations: dict[str, str]


class WebhookReceiver(LocalServer):
    """A server on loopback: ``async with WebhookReceiver() as webhook``, then ``webhook.url`` + any path."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        """Every notification that was accepted, as JSON, in the order of arrival."""
        self.answer = HTTPStatus.OK
        """What it answers; anything but a success refuses the notification."""
        super().__init__()

    def routes(self) -> Sequence[web.RouteDef]:
        """Any path."""
        return [web.post("/{path:.*}", self._take)]

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
