"""Reads task ids from an address in the format of Prometheus' http_sd."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from exporter.apis.base import Http
from exporter.discovery.ids import read_groups
from exporter.discovery.report import Observer, Publish, Report
from exporter.errors import DiscoveryError, SourceError
from exporter.model import WatchedId

_OK = 200


class HttpDiscovery:
    """The ids that an address answers with; while it fails, the last ones."""

    mechanism = "http"

    def __init__(
        self,
        http: Http,
        *,
        place: str,
        refresh_interval: float = 60.0,
        observer: Observer | None = None,
        log: FilteringBoundLogger | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Set up; asks nothing yet.

        Args:
            http: a client of its own, whose URL is the address.
            place: the address as it may be shown in the log, without its query.
            refresh_interval: seconds between two requests.
            observer: counts failures.
            log: a logger that knows the source.
            sleep: waits between two requests.
        """
        self._http = http
        self._place = place
        self._refresh_interval = refresh_interval
        self._report = Report(self.mechanism, observer, log)
        self._sleep = sleep
        self._ids: tuple[WatchedId, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it has answered at least once, so that no id is missing."""
        return self._ids is not None

    async def run(self, publish: Publish) -> None:
        """Publish the ids after the first success and whenever they change; ends by cancellation only."""
        published = None
        while True:
            ids = await self.refresh()
            if ids != published and ids is not None:
                await publish(ids)
                published = ids
            await self._sleep(self._refresh_interval)

    async def refresh(self) -> tuple[WatchedId, ...] | None:
        """Ask once; return the ids, or the last ones where that failed, or None before the first success."""
        try:
            self._ids = await self._ask()
        except (SourceError, DiscoveryError) as error:
            self._report.failed(self._place, error)
        return self._ids

    async def _ask(self) -> tuple[WatchedId, ...]:
        answer = await self._http.get(
            "http_sd",
            "",
            headers={
                "Accept": "application/json",
                "X-Prometheus-Refresh-Interval-Seconds": f"{self._refresh_interval:.15g}",
            },
        )
        if answer.status != _OK:
            raise DiscoveryError(f"HTTP {answer.status} instead of {_OK}")
        # Prometheus insists on application/json; we read what is JSON.
        data = answer.json()
        try:
            ids = read_groups(data)
        except DiscoveryError as error:  # Its words may be the server's, which may repeat what it was told.
            raise DiscoveryError(answer.hide(str(error))) from None
        self._report.succeeded(self._place, data)
        return ids
