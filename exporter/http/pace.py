"""Lets requests go one after another, no faster than a source wants to be asked."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import TracebackType

from exporter.clock import Clock

MAX_PAUSE = 15 * 60.0
"""Seconds; a server that asks for a longer pause is asked again after this one."""


class Spacing:
    """When the next request may start: evenly spaced, never two at once. Moments are monotonic seconds."""

    def __init__(self, requests_per_second: float) -> None:
        self._interval = 1 / requests_per_second
        self._next = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until a request may start; zero if it may now."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """Start a request now."""
        self._next = now + self._interval

    def pause_until(self, moment: float) -> None:
        """Start none before *moment*; a pause is never made shorter."""
        self._next = max(self._next, moment)


class Pacer:
    """Keeps the spacing and the concurrency of all that asks a source, first come first served.

    Entering it with ``async with`` takes a turn.
    """

    def __init__(
        self,
        requests_per_second: float,
        concurrency: int,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        throttled: Callable[[float], None],
    ) -> None:
        self._spacing = Spacing(requests_per_second)
        self._places = asyncio.Semaphore(concurrency)
        # Only the first in line watches the time: a pause then holds for all behind it, and whoever is
        # cancelled takes no turn.
        self._line = asyncio.Lock()
        self._clock = clock
        self._sleep = sleep
        self._throttled = throttled

    async def __aenter__(self) -> None:
        """Wait for a place and a turn; the place is held until the block ends."""
        came = self._clock.monotonic()
        await self._places.acquire()
        try:
            await self._wait_in_line(came)
        except BaseException:
            self._places.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the place to the next."""
        self._places.release()

    async def another_turn(self) -> None:
        """Wait for one more turn, in the place that is held."""
        await self._wait_in_line(self._clock.monotonic())

    def pause_until(self, moment: float) -> None:
        """Start no request before *moment* (monotonic seconds), nor for longer than `MAX_PAUSE`."""
        self._spacing.pause_until(min(moment, self._clock.monotonic() + MAX_PAUSE))

    async def _wait_in_line(self, came: float) -> None:
        try:
            async with self._line:
                while (seconds := self._spacing.wait(now := self._clock.monotonic())) > 0:
                    await self._sleep(seconds)
                self._spacing.take(now)
        finally:
            if (waited := self._clock.monotonic() - came) > 0:
                self._throttled(waited)
