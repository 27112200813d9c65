"""What is wrong with a source, told when it changes and not at every poll. Pure."""

from dataclasses import dataclass, field

from exporter.clock import Clock
from exporter.errors import SourceError
from exporter.polling.schedule import Bounds, backoff

_FOREVER = 3600.0
_LONGEST_RETRY_AFTER = 3600.0
ONE_TASK_ONLY = ("malformed", "client")
"""Reasons that speak of one task's answer, not of the source."""


@dataclass(slots=True)
class Troubles:
    """Which requests fail, by reason. A reason is news when its first request fails and its last recovers."""

    _by_reason: dict[str, set[str]] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)

    def failed(self, subject: str, error: SourceError) -> bool:
        """Note a failed request; return whether its reason is news."""
        self._tries[subject] = self._tries.get(subject, 0) + 1
        for reason, subjects in self._by_reason.items():
            if reason != error.reason:
                subjects.discard(subject)
        subjects = self._by_reason.setdefault(error.reason, set())
        subjects.add(subject)
        return len(subjects) == 1 and self._tries[subject] == 1

    def over(self, subject: str) -> list[str]:
        """Note that a request is fine, or is not made any more; return the reasons that are over now."""
        if self._tries.pop(subject, None) is None:
            return []
        ended = [reason for reason, subjects in self._by_reason.items() if subjects == {subject}]
        for subjects in self._by_reason.values():
            subjects.discard(subject)
        return ended

    def tries(self, subject: str) -> int:
        """How often in a row a request has failed."""
        return self._tries.get(subject, 0)


@dataclass(slots=True)
class Rest:
    """How long a failing source is left alone: ever longer, with one request at a time to try it."""

    clock: Clock
    bounds: Bounds
    failures: int = 0
    until: float = 0.0
    probing: bool = False

    def left(self) -> float:
        """Seconds until the next request may be made; 0 or less means now."""
        if self.failures == 0:
            return 0.0
        return _FOREVER if self.probing else self.until - self.clock.monotonic()

    def begin(self) -> None:
        """A request begins."""
        self.probing = self.failures > 0

    def end(self) -> None:
        """A request has ended, one way or the other."""
        self.probing = False

    def answered(self) -> None:
        """The source is well."""
        self.failures = 0

    def failed(self, error: SourceError) -> None:
        """The source is not well, unless it is only about one task."""
        if error.reason in ONE_TASK_ONLY:
            return
        self.failures += 1
        wait = max(backoff(self.failures, self.bounds), asked_to_wait(error))
        self.until = self.clock.monotonic() + wait


def asked_to_wait(error: SourceError) -> float:
    """The seconds that an API asked us to wait, within reason."""
    return min(error.retry_after or 0.0, _LONGEST_RETRY_AFTER)
