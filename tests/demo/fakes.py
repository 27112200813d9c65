"""A clock that stands still, a client that speaks to simulated APIs, and the shape of documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from exporter.clock import Moment

START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@dataclass
class StillClock:
    """A clock that moves only when it is told to."""

    at: datetime = field(default=START)

    def now(self) -> datetime:
        """Tell the time that was set."""
        return self.at

    def monotonic(self) -> float:
        """Tell the seconds since the start."""
        return (self.at - START).total_seconds()

    def moment(self) -> Moment:
        """Tell both."""
        return Moment(self.now(), self.monotonic())

    def forward(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Reply:
    """One whole answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        """Read the answer as JSON."""
        return json.loads(self.text)


class Caller:
    """Calls one simulated API with the same headers each time."""

    def __init__(self, session: ClientSession, url: str, headers: dict[str, str]) -> None:
        self.session = session
        self.url = url
        self.headers = headers

    async def get(self, path: str, **headers: str) -> Reply:
        """Ask for a path; redirects are not followed."""
        sent = self.headers | headers
        async with self.session.get(self.url + path, headers=sent, allow_redirects=False) as answer:
            return Reply(answer.status, answer.headers, await answer.text())

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Send a JSON body to a path."""
        async with self.session.post(self.url + path, headers=self.headers, json=body) as answer:
            return Reply(answer.status, answer.headers, await answer.text())


def document(name: str) -> Any:  # noqa: ANN401 - whatever a vendor sends
    """Read one of the vendors' own documents."""
    return json.loads(Path(__file__).with_name("documents").joinpath(f"{name}.json").read_text("utf-8"))


def shape(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The keys and types of a document; of a list, those of its first member."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value[:1]]
    return type(value).__name__
