"""The time, handed to whoever needs it, so that no test has to wait for it."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on two clocks: the date to show, and the seconds to reckon with.

    The date may jump when somebody sets the machine's clock; the seconds only run forward,
    but mean nothing to another process.
    """

    wall: datetime
    mono: float

    def until(self, later: "Moment") -> timedelta:
        """How long it was from here to *later*, whatever the date did meanwhile; never negative."""
        return timedelta(seconds=max(0.0, later.mono - self.mono))

    def recalled(self, now: "Moment") -> "Moment":
        """This moment of an earlier process, in the seconds of this one."""
        ago = max(0.0, (now.wall - self.wall).total_seconds())
        return Moment(self.wall, now.mono - ago)


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Tell the wall-clock time, aware and in UTC; used for data only."""
        ...

    def monotonic(self) -> float:
        """Tell seconds since an arbitrary moment; used for every interval."""
        ...

    def moment(self) -> Moment:
        """Tell both."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> datetime:
        """Tell the wall-clock time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Tell seconds since an arbitrary moment."""
        return time.monotonic()

    def moment(self) -> Moment:
        """Tell both."""
        return Moment(self.now(), self.monotonic())
