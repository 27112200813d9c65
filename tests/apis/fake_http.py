"""A source's HTTP client that answers from a dictionary and remembers what it was asked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from exporter.apis.base import Answer

DOCUMENTS = Path(__file__).parent.parent / "documents"
NOW = datetime(2026, 11, 21, 18, 6, tzinfo=UTC)


def answer(body: object, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
    """Build an answer; whatever is not bytes is sent as JSON."""
    told = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=told, body=sent, date=NOW)


def recorded(name: str, status: int = 200, **headers: str) -> Answer:
    """Build an answer from one of the documents that the tests keep."""
    return answer((DOCUMENTS / name).read_bytes(), status, **headers)


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    endpoint: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    @property
    def target(self) -> str:
        """Path and query, as in a request line."""
        return f"{self.path}?{urlencode(self.query, safe=',:')}" if self.query else self.path


@dataclass
class FakeHttp:
    """Answers by path and query, else by path alone; ``None`` answers whatever is left."""

    answers: Mapping[str | None, Answer]
    requests: list[Request] = field(default_factory=list)

    async def get(
        self,
        endpoint: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer as told, whatever the status."""
        request = Request(endpoint, path, tuple(query), headers or {})
        self.requests.append(request)
        for key in (request.target, path, None):
            if key in self.answers:
                return self.answers[key]
        raise AssertionError(f"nobody told what to answer to {request.target}")
