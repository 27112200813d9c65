"""Odd values, read in one place: whatever an API sends, out comes our type or None.

Only what a task cannot do without (its id, its status) makes a document malformed. Anything else
that makes no sense is read as "not told", so that it never hides the task.
"""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import ContextDecorator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import quote

from exporter.apis.base import Answer
from exporter.errors import (
    Malformed,
    RateLimited,
    Rejected,
    ServerFailed,
    SourceError,
    TaskNotFound,
    Unauthorized,
)
from exporter.model import Status

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""What lies outside is a zero, a "never" or a wrong unit, not the time of a task."""
_EARLIEST_MS = EARLIEST.timestamp() * 1000
_LATEST_MS = LATEST.timestamp() * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**53
"""The largest count that every database, JSON reader and float agrees on."""
_SEPARATORS = re.compile(r"[-_\s]+")
_HMS = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,6}):([0-5]?\d):([0-5]?\d)(?:\.\d+)?")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_HTML = re.compile(
    rb"\s*(?:<!--.{0,999}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_LOGIN = re.compile(rb"""type\s{0,3}=\s{0,3}["']?password\b""", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_USERINFO = re.compile(r"(?<=://)[^\s/@]+@")
_SECRET = re.compile(
    r"""\b(token|(?:access|api|secret)[-_]?key|bearer|basic|passw(?:or)?d|secret)\b"""
    r"""(["']?\s{0,3}=\s{0,3}["']?|["']?\s{0,3}:?\s{0,3}["']?(?=\S{8})(?=\S{0,80}\d|\S{20}))[^\s"',;&<>]+""",
    re.IGNORECASE,
)
_HINTS = ("token", "key", "bearer", "bas", "passw", "secret")
"""One of these is in whatever `_SECRET` finds, even in a "basic" with a Turkish i."""
_KINDS: Mapping[int, type[SourceError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Unauthorized,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}


class _Document(ContextDecorator):
    """Tells a document that is not as documented from a mistake in a parser's caller."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyError | IndexError | TypeError | AttributeError | ValueError | OverflowError):
            raise Malformed(f"unexpected document: {text(repr(error), 120)}") from None


document = _Document()
"""Decorates a parse, or guards a block: what goes wrong inside is ``Malformed``; no parse needs a try."""


def text(value: object, cap: int = 2_000) -> str:
    """Read a text or a number as clean text: no credentials, nothing that a database or UTF-8 refuses.

    None, lists and objects are no text, and read as "".
    """
    if isinstance(value, str):
        return _shortened(redacted(_storable(value).strip()), cap) if value else ""
    return str(value) if isinstance(value, int | float) else ""


def traceback(value: object, cap: int = 8_000) -> str:
    """Read a long text, or a list of its lines; of what is too long the end is kept, for it says most."""
    whole = "\n".join(str(line).rstrip("\n") for line in value) if isinstance(value, list) else value
    kept = text(whole, cap=1_000_000)
    return kept if len(kept) <= cap else "..." + kept[3 - cap :]


def identity(value: object) -> str:
    """Read what a task cannot do without: its id.

    Raises:
        ValueError: there is none.
    """
    found = text(value)
    if not found:
        raise ValueError("a task without an id")
    return found


def mapping(value: object) -> Mapping[str, Any]:
    """Read an object; anything else is empty."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Read a list of objects; whatever else is in it is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def percent(value: object) -> float | None:
    """Read 0 to 100, as number or text, as a ratio; what is beyond is clamped."""
    number = _number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    return None if number is None else _clamped(number / 100)


def fraction(done: object, total: object) -> float | None:
    """Read *done* of *total* as a ratio; a total of 0 tells nothing, not that all is done."""
    part, whole = _number(done), _number(total)
    return None if part is None or whole is None or whole <= 0 else _clamped(part / whole)


def count(value: object) -> int | None:
    """Read how many, as number or text of digits."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= _LARGEST else None


def iso8601(value: object) -> datetime | None:
    """Read a time such as ``2025-01-15T10:00:00Z``; one without a zone is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().upper())
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware if EARLIEST <= aware <= LATEST else None


def epoch_ms(value: object) -> datetime | None:
    """Read milliseconds since 1970."""
    number = _number(value)
    if number is None or not _EARLIEST_MS <= number <= _LATEST_MS:
        return None
    return _EPOCH + timedelta(milliseconds=number)


def hms(value: object) -> timedelta | None:
    """Read a duration such as ``00:05:32``, ``30:00:00`` or ``1 day, 02:03:04``."""
    match = _HMS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def status(table: Mapping[str, Status], word: str) -> Status:
    """Look up a status word, without regard to case and to ``-``, ``_`` and blank."""
    if word in table:
        return table[word]
    plain = _plain(word)
    return next((known for key, known in table.items() if _plain(key) == plain), Status.UNKNOWN)


def http_date(value: str | None) -> datetime | None:
    """Read the time in a ``Date`` or ``Retry-After`` header (RFC 9110, section 5.6.7)."""
    try:
        moment = parsedate_to_datetime(value or "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def retry_after(value: str | None, now: datetime | None) -> float | None:
    """Read a ``Retry-After`` header in seconds; one with a date needs to know the time *now*."""
    plain = (value or "").strip()
    if _SECONDS.fullmatch(plain):
        return float(plain)
    moment = http_date(plain)
    return max(0.0, (moment - now).total_seconds()) if moment and now else None


def segment(task_id: str) -> str:
    """Quote a task id as one segment of a path.

    Raises:
        TaskNotFound: the id would name another path altogether.
    """
    if not task_id.strip("."):
        raise TaskNotFound(task_id, "it is no id")
    return quote(task_id, safe="", errors="replace")


def content(answer: Answer) -> Any:  # noqa: ANN401 - whatever an API may send
    """Read the JSON of an answer that says 200.

    Raises:
        SourceError: it says something else, by its reason; see ``refusal``.
    """
    if answer.status != HTTPStatus.OK:
        raise refusal(answer)
    try:
        return answer.json()
    except Malformed:
        raise refusal(answer) from None


def json_or_none(answer: Answer) -> Any:  # noqa: ANN401 - whatever an API may send
    """Read the JSON of an answer with any status, or None where it is not JSON."""
    try:
        return answer.json()
    except Malformed:
        return None


def is_html(answer: Answer) -> bool:
    """Whether the body is a page for people, whatever Content-Type claims."""
    return _HTML.match(answer.body) is not None


def refusal(answer: Answer, message: str = "") -> SourceError:
    """Tell what is wrong with an answer that is not the document we asked for.

    The message holds what was asked, the HTTP status and the beginning of what the API said, on one line.
    """
    kind, begin = _kind(answer), f"{asked}: " if (asked := answer.asked()) else ""
    said = text(answer.hide(message), 160) or _said(answer)
    wait = retry_after(_header(answer, "retry-after"), answer.date)
    return kind(f"{begin}HTTP {answer.status}" + (f": {said}" if said else ""), retry_after=wait)


def redacted(words: str) -> str:
    """Blot out what looks like a credential; APIs and tracebacks do repeat them."""
    if "://" in words:
        words = _USERINFO.sub("***@", words)
    lowered = words.casefold()
    if any(hint in lowered for hint in _HINTS):  # Far faster than the expression, and most texts have none.
        return _SECRET.sub(r"\1\2***", words)
    return words


def _kind(answer: Answer) -> type[SourceError]:
    if answer.status in _KINDS:
        return _KINDS[answer.status]
    match answer.status // 100:
        case 5:
            return ServerFailed
        case 3 | 4:
            return Rejected
    return Unauthorized if is_html(answer) and _LOGIN.search(answer.body) else Malformed


def _said(answer: Answer) -> str:
    if answer.status == HTTPStatus.NOT_FOUND:  # Of a task that is not known, the modules tell otherwise.
        return "; ".join(filter(None, (_excerpt(answer), "check the url")))
    match answer.status // 100:
        case 4 | 5:
            return _excerpt(answer)
        case 3:
            where = (_header(answer, "location") or "nowhere").partition("?")[0]
            return f"a redirect to {text(answer.hide(where), 100)}, which is not followed; check the url"
    page = "a login page" if _kind(answer) is Unauthorized else "an HTML page" if is_html(answer) else ""
    return f"expected JSON, got {page or repr(_excerpt(answer))}"


def _excerpt(answer: Answer) -> str:
    """The beginning of what was said: tags of HTML left out, on one line."""
    return text(" ".join(_TAG.sub(" ", answer.excerpt(1_000)).split()), 160)


def _header(answer: Answer, name: str) -> str | None:
    return next((value for key, value in answer.headers.items() if key.lower() == name), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _clamped(ratio: float) -> float:
    return min(1.0, max(0.0, ratio))


def _plain(word: str) -> str:
    return _SEPARATORS.sub("_", word.strip().casefold())


def _storable(words: str) -> str:
    """Without NUL, which PostgreSQL refuses, and half surrogates, which UTF-8 does."""
    if words.isascii() and words.isprintable():
        return words
    return words.replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")


def _shortened(words: str, cap: int) -> str:
    return words if len(words) <= cap else words[: cap - 3] + "..."
