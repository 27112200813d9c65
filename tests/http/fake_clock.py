"""A clock that a test moves, and a sleep that moves it."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from exporter.clock import Moment


@dataclass
class FakeClock:
    """Time passes only when somebody sleeps."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Tell the wall-clock time."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Tell the monotonic seconds."""
        return self.seconds

    def moment(self) -> Moment:
        """Tell both."""
        return Moment(self.now(), self.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once; whoever is to begin at the same moment begins before."""
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.seconds += seconds
