"""The time, handed to whoever needs it, so that no test has to wait for it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that tells the date and may jump, one that only runs forward."""

    def now(self) -> datetime:
        """Tell the wall-clock time, aware and in UTC; used for data only."""
        ...

    def monotonic(self) -> float:
        """Tell seconds since an arbitrary moment; used for every interval."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> datetime:
        """Tell the wall-clock time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Tell seconds since an arbitrary moment."""
        return time.monotonic()
