"""Durations and sizes, written as Prometheus writes them."""

import re

_DURATION = re.compile(
    r"(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?"
    r"(?:(?P<ms>\d+)ms)?",
    re.ASCII,
)
_SECONDS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST = 100 * _SECONDS["y"]

_SIZE = re.compile(r"(\d+)([KMGT]?)i?B", re.ASCII)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_duration(text: str) -> float:
    """Read ``1h30m`` as 5400.0 seconds; a day has 24 hours and a year 365 days.

    Raises:
        ValueError: it is no duration, or longer than a hundred years.
    """
    match = _DURATION.fullmatch(text)
    if text == "0":
        return 0.0
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as '30s' or '5m'")
    seconds = sum(int(number) * _SECONDS[unit] for unit, number in match.groupdict(default="0").items())
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return seconds


def format_duration(seconds: float) -> str:
    """Write 5400.0 as ``1h30m``; years and weeks only where nothing remains."""
    rest = round(seconds * 1000)
    parts = []
    for unit, length in _SECONDS.items():
        number, remainder = divmod(rest, round(length * 1000))
        if number and not (unit in {"y", "w"} and remainder):
            parts.append(f"{number}{unit}")
            rest = remainder
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Read ``16MiB`` as 16777216 bytes; ``MB`` means the same, as in Prometheus.

    Raises:
        ValueError: it is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as '16MiB'")
    return int(match[1]) * _BYTES[match[2]]


def format_size(size: int) -> str:
    """Write 16777216 as ``16MiB``: in the largest unit that leaves nothing over."""
    unit = max(
        (unit for unit in _BYTES if size % _BYTES[unit] == 0 < size), key=_BYTES.__getitem__, default=""
    )
    return f"{size // _BYTES[unit]}{unit + 'i' if unit else ''}B"
