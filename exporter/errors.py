"""Everything that can go wrong, as one tree.

* ExporterError
  + ConfigError            the configuration has mistakes; one line each
  + StorageError           the ledger cannot be opened or written
  + DiscoveryError         a file or an address with task ids cannot be read
  + SourceError            a watched API let us down; ``reason`` is a metric label
    - Unreachable          nothing came back; worth another try
      . TimedOut           reason ``timeout``
      . ConnectFailed      reason ``connect``
      . TlsFailed          reason ``tls``
    - Unauthorized         reason ``auth``: 401, 403, a login page
    - RateLimited          reason ``rate_limited``: 429 or the API's own word for it
    - ServerFailed         reason ``server``: 5xx
    - Rejected             reason ``client``: any other 4xx, or a redirect not followed
    - Malformed            reason ``malformed``: it answered in words we do not understand
  + TaskNotFound           the API does not know the task (any more); never a failed task
  + NoLog                  the API keeps no log of this task, or not yet

Messages are shown to operators and must never contain a credential.
"""

from collections.abc import Sequence
from typing import ClassVar


class ExporterError(Exception):
    """The root of this package's errors."""


class ConfigError(ExporterError):
    """The configuration has mistakes, each told as ``place: what, and the cure``."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class StorageError(ExporterError):
    """The ledger cannot be opened or written; the message names file and cure."""


class DiscoveryError(ExporterError):
    """A list of task ids cannot be read; the last good one stays in use."""


class SourceError(ExporterError):
    """A watched API let us down."""

    reason: ClassVar[str]
    retry_after: float | None = None
    """Seconds the API asked us to wait, where it did."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(SourceError):
    """Nothing came back; worth another try."""


class TimedOut(Unreachable):
    """No whole answer came within the time-out."""

    reason = "timeout"


class ConnectFailed(Unreachable):
    """The connection was refused, reset, or cut off half way."""

    reason = "connect"


class TlsFailed(Unreachable):
    """The TLS handshake failed: expired, wrong host, unknown authority."""

    reason = "tls"


class Unauthorized(SourceError):
    """The API refuses our credentials, or showed a login page instead of an answer."""

    reason = "auth"


class RateLimited(SourceError):
    """The API asks us to slow down."""

    reason = "rate_limited"


class ServerFailed(SourceError):
    """The API failed on its side (5xx)."""

    reason = "server"


class Rejected(SourceError):
    """The API refuses the request itself."""

    reason = "client"


class Malformed(SourceError):
    """The API answered in words we do not understand."""

    reason = "malformed"


SOURCE_ERROR_REASONS = (
    "timeout",
    "connect",
    "tls",
    "auth",
    "rate_limited",
    "client",
    "server",
    "malformed",
)


class TaskNotFound(ExporterError):
    """The API does not know this task (any more). This is never a failed task."""

    def __init__(self, task_id: str, message: str = "") -> None:
        self.task_id = task_id
        super().__init__(f"task {task_id!r} is not known to the API" + (f": {message}" if message else ""))


class NoLog(ExporterError):
    """The API keeps no log of this task, or not yet."""
