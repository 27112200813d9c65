"""Who is told about each request, so that it can be counted elsewhere."""

from typing import Protocol

NO_ANSWER = "error"
"""The ``code`` of a request that got no whole answer."""


class Observer(Protocol):
    """Is told what the client does, at once and in the event loop; must be quick."""

    def requested(self, endpoint: str, code: str, seconds: float) -> None:
        """Hear of one HTTP exchange; each hop of a redirect is one.

        Args:
            endpoint: the name of the call.
            code: the status code in digits, or ``error`` where no whole answer came.
            seconds: from sending to the last byte, without waiting for a turn.
        """
        ...

    def throttled(self, seconds: float) -> None:
        """Hear how long a request waited for its turn: for the pace, a pause, or those before it."""
        ...


class Unobserved:
    """Nobody counts."""

    def requested(self, endpoint: str, code: str, seconds: float) -> None:
        """Forget it."""

    def throttled(self, seconds: float) -> None:
        """Forget it."""
