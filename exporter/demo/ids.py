"""Task ids in the shapes that the real APIs give them."""

import uuid
from datetime import UTC, datetime
from random import Random

_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
_NODE = 0x02A5E0C0FFEE
_FIRST_NUMBER = 244591


def numbered(_created: datetime, serial: int, _random: Random) -> str:
    """Digits that count up, as EPMware gives them: ``244591``."""
    return str(_FIRST_NUMBER + serial)


def hibernate(created: datetime, serial: int, _random: Random) -> str:
    """32 hex digits, as DataArts gives them: host, process, milliseconds, a counter."""
    return f"008aae2e675d3bcb{int(created.timestamp() * 1000):012x}{serial & 0xFFFF:04x}"


def uuid1(created: datetime, serial: int, _random: Random) -> str:
    """A time-based UUID, as Pulp 1 gives them."""
    since = created - _GREGORIAN
    ticks = (since.days * 86400 + since.seconds) * 10_000_000 + since.microseconds * 10
    low, middle, high = ticks & 0xFFFFFFFF, (ticks >> 32) & 0xFFFF, (ticks >> 48) & 0x0FFF
    clock = serial & 0x3FFF
    return str(uuid.UUID(fields=(low, middle, high, clock >> 8, clock & 0xFF, _NODE), version=1))


def uuid7(created: datetime, _serial: int, random: Random) -> str:
    """A UUID that begins with milliseconds, as Pulp 3 gives them."""
    milliseconds = int(created.timestamp() * 1000)
    version, variant = 0x7000 | random.getrandbits(12), (0b10 << 62) | random.getrandbits(62)
    return str(uuid.UUID(int=(milliseconds << 80) | (version << 64) | variant))
