"""Reads the dates and waits in HTTP headers; what is none is None, never an error."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


# Every answer has a date, and those of one second have the same.
@lru_cache(maxsize=64)
def parse_date(text: str) -> datetime | None:
    """Read an HTTP date (RFC 9110 5.6.7), aware and in UTC."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks to wait (RFC 9110 10.2.3), or None if it does not.

    A date is compared with the answer's own ``Date``, so that clocks may differ; with *now* if it has none.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = parse_date(text)
    if moment is None:
        return None
    sent = parse_date(headers.get("Date", ""))
    return max(0.0, (moment - (sent or now)).total_seconds())
