"""What all receivers do alike: work when there is news, and come back later when something fails."""

import asyncio
from contextlib import suppress
from random import Random

import structlog

from exporter.alerts.delivery import Backoff, Undelivered
from exporter.alerts.settings import Observer
from exporter.errors import StorageError
from exporter.log import Changes


class Receiver:
    """Works in rounds, each as soon as there is news, and until nothing is left to do.

    A round that fails is repeated after an ever longer time; news does not make that shorter. What is wrong
    is logged when it changes, not at each attempt.
    """

    def __init__(self, name: str, observer: Observer, backoff: tuple[float, float], dice: Random) -> None:
        self.name = name
        self.observer = observer
        self.log = structlog.get_logger().bind(receiver=name)
        self._news = asyncio.Event()
        self._retired = asyncio.Event()
        self._backoff = Backoff(backoff, dice)
        self._changes = Changes()

    def wake(self) -> None:
        """There may be news."""
        self._news.set()

    @property
    def retired(self) -> bool:
        """Whether to stop after what is being done."""
        return self._retired.is_set()

    def retire(self) -> None:
        """Stop, but get the answer to what was sent."""
        self._retired.set()
        self._news.set()

    async def run(self) -> None:
        """Work until retired or cancelled."""
        try:
            while not self.retired:
                self._news.clear()
                await self._attempt()
        finally:
            await self.close()

    async def work(self) -> float | None:
        """Do what is to be done now; return in how many seconds to do more without news, or None for never.

        Raises:
            Undelivered: try again later.
            StorageError: as well.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what is held."""

    async def _attempt(self) -> None:
        try:
            rest = await self.work()
        except (Undelivered, StorageError) as error:
            await self._rest(self._retired, self._failed(error))
        except Exception as error:  # The edge of a delivery: a defect of ours stops no other receiver.
            self.log.exception("Notifications cannot be delivered because of a defect")
            await self._rest(self._retired, self._failed(error))
        else:
            self._succeeded()
            if not self.retired:
                await self._rest(self._news, rest)

    @staticmethod
    async def _rest(until: asyncio.Event, seconds: float | None) -> None:
        # Not wait_for, which may swallow a cancellation that comes together with the event (before 3.12).
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await until.wait()

    def _failed(self, error: Exception) -> float:
        self.observer.failed()
        if self._changes.is_new(self.name, str(error)):
            self.log.warning("Notifications cannot be delivered, will retry", err=str(error))
        return self._backoff.failed()

    def _succeeded(self) -> None:
        self._backoff.succeeded()
        if self._changes.is_over(self.name):
            self.log.info("Notifications are delivered again")
