"""What the tests of discovery share: a clock by hand, a counter of failures, a loop that ends."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from exporter.clock import Moment
from exporter.model import WatchedId


@dataclass
class HandClock:
    """A clock that stands still until a test, or a sleep, moves it."""

    seconds: float = 0.0

    def now(self) -> datetime:
        """The date that belongs to the seconds."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        """The seconds."""
        return self.seconds

    def moment(self) -> Moment:
        """Both."""
        return Moment(self.now(), self.seconds)


@dataclass
class Failures:
    """Counts what failed."""

    mechanisms: list[str] = field(default_factory=list)

    def discovery_failed(self, mechanism: str) -> None:
        """Note the failure."""
        self.mechanisms.append(mechanism)


@dataclass
class Loop:
    """Runs a discovery's loop for as many rounds as a test has steps, one step before each further round."""

    clock: HandClock = field(default_factory=HandClock)
    published: list[list[str]] = field(default_factory=list)
    steps: list[Callable[[], object]] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Move the clock, take the next step, or end the loop where there is none."""
        self.clock.seconds += seconds
        if not self.steps:
            raise asyncio.CancelledError
        self.steps.pop(0)()

    async def publish(self, ids: Sequence[WatchedId]) -> None:
        """Note what was published."""
        self.published.append([watched.id for watched in ids])

    async def run(self, loop: Awaitable[None], *steps: Callable[[], object]) -> list[list[str]]:
        """Run to the end of the steps, and tell what was published."""
        self.steps = list(steps)
        with pytest.raises(asyncio.CancelledError):
            await loop
        return self.published
