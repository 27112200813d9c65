"""What a task API module must offer, and what it gets to work with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable

from exporter.errors import Malformed
from exporter.model import Task

decode_json: Callable[[bytes], Any]
try:
    from orjson import loads as decode_json
except ImportError:  # orjson comes with the `fast` extra; the standard decoder does the same, slower.
    decode_json = json.loads

_LOOKED_AT = 256 * 1024
"""Bytes of a body that are searched for what is to be hidden."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer, whatever its status code; nothing in it is trusted."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    date: datetime | None = None
    """The server's clock, from its ``Date`` header."""
    hide: Callable[[str], str] = field(default=str, repr=False, compare=False)
    """Blots out of a text what the server was told in confidence, for some repeat it when they refuse it."""
    asked: Callable[[], str] = field(default=str, repr=False, compare=False)
    """Tells what this answers, for an error message."""

    def json(self) -> Any:  # noqa: ANN401 - whatever an API may send
        """Read the body as JSON by its content, whatever Content-Type claims.

        Raises:
            Malformed: it is not JSON; tells the beginning of what it is.
        """
        try:
            return decode_json(self.body)
        except (ValueError, RecursionError):
            raise Malformed(f"expected JSON, got {self.excerpt()!r}") from None

    def text(self) -> str:
        """Read the body as text; what is not UTF-8 is replaced, never refused."""
        return self.body.decode("utf-8", errors="replace")

    def excerpt(self, length: int = 80) -> str:
        """The beginning of the body, on one line, for an error message."""
        beginning = self.body[:_LOOKED_AT].decode("utf-8", errors="replace")
        # Hidden before anything is cut, so that no half of a secret stays.
        return " ".join(self.hide(beginning).split())[:length]


class Http(Protocol):
    """The source's HTTP client: paced, authenticated, capped in time and size."""

    async def get(
        self,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for *path* below the source's ``url`` and return the answer whatever its status.

        Args:
            endpoint: the name of the call, a label value of a small closed set (``get_status``).
            path: already percent-encoded; quote task ids.
            query: sent in this order.
            headers: beyond those of the configuration.

        Raises:
            Unreachable: no whole answer came.
            Unauthorized: a secret's file cannot be read, or the answer was a redirect to a login page.
            Rejected: the answer was a redirect that is not followed.
            Malformed: the answer was larger than the caps.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an API may be asked unless the configuration says otherwise."""

    requests_per_second: float = 5.0
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """What one listing of an API told."""

    tasks: tuple[Task, ...]
    as_of: datetime | None = None
    """The server's clock when the listing began; the next one goes on from here."""
    complete: bool = True
    """Whether an unfinished task that is not in it has ended or vanished."""


@dataclass(frozen=True)
class NoOptions:
    """An API without settings of its own."""


@runtime_checkable
class TaskApi(Protocol):
    """An API that tells the status of a task by its id."""

    Options: ClassVar[type]
    """A frozen dataclass of the API's own settings, read from ``options`` in the configuration."""
    pace: ClassVar[Pace]

    def __init__(self, http: Http, options: Any) -> None: ...  # noqa: ANN401 - an instance of Options

    async def fetch(self, task_id: str) -> Task:
        """Ask for one task.

        Raises:
            TaskNotFound: the API does not know the id.
            SourceError: anything else that went wrong, by its reason.
        """
        ...


@runtime_checkable
class Lists(Protocol):
    """An API that lists its tasks, so that they need not be asked for one by one.

    The poller lists where ``isinstance(api, Lists) and api.lists``.
    """

    @property
    def lists(self) -> bool:
        """Whether ``list`` is to be used; a class attribute does where the options do not decide it."""
        ...

    async def list(self, since: datetime) -> Listing:
        """List all unfinished tasks and those that finished at or after *since* (server's clock).

        Several runs of one id come oldest first.
        """
        ...


@runtime_checkable
class KeepsLogs(Protocol):
    """An API that keeps a log of each task."""

    async def fetch_log(self, task_id: str) -> str:
        """Fetch a task's log as text.

        Raises:
            NoLog: there is none (yet).
            TaskNotFound: the API does not know the id.
        """
        ...
