"""Born at zero: decides when a new series may show its count.

Prometheus' ``increase()`` and ``rate()`` do not see a counter that first appears as 1: what they
see is a series without a past. So a series that turns up while the exporter runs (a new operation,
a new error code) is served at 0 until every live Prometheus has been served it, and then shows its
count. Each series has a *birth*, a number that only grows; ``released`` is the highest birth that
may show its count.

A Prometheus is told from a person by the header ``X-Prometheus-Scrape-Timeout-Seconds``, and from
another Prometheus by its address, its User-Agent, that header's value, ``?scraper=`` where the
operator gave one, and what ``?name[]=`` restricts it to. Where several connections are open that are
alike in all of this, each is a *member* of its own: a keep-alive connection tells who it is, and a new
connection continues the member whose connection is closed and whose next scrape is due.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter.clock import Moment
from exporter.store.change import Scraper

_UNKNOWN_INTERVAL = 60.0
_PATIENCE_INTERVALS = 3
_LEAST_PATIENCE = 30.0
_FORGET_AFTER = 24 * 3600.0
_MOST_SCRAPERS = 100
"""More than this are not told apart, so that made-up headers cannot fill the memory."""
_MOST_CHARACTERS = 200
_MOST_NAMES = 50


class Connection(Protocol):
    """What a request came on; the transports of asyncio are such."""

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for the metrics, as far as the request tells."""

    connection: Connection
    address: str
    """The remote IP address."""
    user_agent: str = ""
    timeout: str = ""
    """``X-Prometheus-Scrape-Timeout-Seconds`` as it was sent; empty for curl and browsers."""
    scraper: str = ""
    """The parameter ``?scraper=``, for those that nothing else tells apart."""
    names: tuple[str, ...] = ()
    """The metrics that it asks for with ``?name[]=``; empty for all."""

    def identity(self) -> str:
        """What this Prometheus has in common with those that cannot be told from it."""
        parts = (self.address, self.user_agent, self.timeout, self.scraper, *sorted(self.names)[:_MOST_NAMES])
        return json.dumps([part[:_MOST_CHARACTERS] for part in parts])


@dataclass(slots=True, eq=False)
class Member:
    """What is known about one Prometheus while the process runs."""

    identity: str
    number: int
    seen: int = 0
    last: Moment | None = None
    interval: float = _UNKNOWN_INTERVAL
    connection: Connection | None = None
    asked: float | None = None
    """When the scrape that is not yet answered began, on the monotonic clock."""

    def is_on(self, connection: Connection) -> bool:
        """Whether this connection is its own."""
        return self.connection is connection

    def is_connected(self) -> bool:
        """Whether its last connection is still open."""
        return self.connection is not None and not self.connection.is_closing()

    def is_off_schedule_by(self, now: Moment) -> float:
        """How far from now its next scrape is due, in seconds, early or late."""
        due = self.last.mono + self.interval if self.last is not None else now.mono
        return abs(now.mono - due)

    def is_remembered(self, now: Moment) -> bool:
        """Whether it scraped at all within a day."""
        return self.last is not None and now.mono - self.last.mono < _FORGET_AFTER

    def patience(self) -> float:
        """For how many seconds its next scrape is waited for."""
        return max(_LEAST_PATIENCE, _PATIENCE_INTERVALS * self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """One scrape, from its request to the last byte of its answer."""

    at: Moment
    born: int
    """The highest birth there was."""
    released: int
    """Series born later than this are served at 0."""
    member: Member | None = None
    """None for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What the ledger has to store after a scrape, in one transaction."""

    scrapers: tuple[Scraper, ...]
    released: int


class Births:
    """Who has been served which births. Pure: no clock, no I/O.

    *released* and *scrapers* are what the ledger kept; *start* is when this process began, from
    which each of those scrapers is given time to come again.
    """

    def __init__(self, start: Moment, released: int = 0, scrapers: Iterable[Scraper] = ()) -> None:
        self._start = start
        self._released = released
        recalled = (_recalled(scraper, start) for scraper in scrapers)
        self._members = [m for m in recalled if m.is_remembered(start)]

    @property
    def released(self) -> int:
        """The highest birth that may show its count: what the ledger has confirmed."""
        return self._released

    @property
    def has_scrapers(self) -> bool:
        """Whether any Prometheus is known at all."""
        return bool(self._members)

    def begin(self, caller: Caller, born: int, now: Moment) -> Scrape:
        """Say what this caller may be shown; *born* is the highest birth there is now.

        A person is shown true counts: whoever keeps no history cannot miss an increase.
        """
        member = self._member(caller, now) if caller.timeout else None
        if member is None:
            return Scrape(at=now, born=born, released=born)
        member.connection = caller.connection
        member.asked = now.mono
        return Scrape(at=now, born=born, released=self._released, member=member)

    def finish(self, scrape: Scrape, now: Moment) -> Release | None:
        """Note that an answer has been written completely; return what to store, if anything.

        What it releases is shown only after ``committed``: otherwise a crash could take back a
        count that was shown.
        """
        member = scrape.member
        if member is None:
            return None
        if member.last is not None and member.last.mono >= self._start.mono:
            member.interval = _learned(member.interval, member.last.until(scrape.at).total_seconds())
        member.last = scrape.at
        member.asked = None
        member.seen = max(member.seen, scrape.born)
        live = (other.seen for other in self._members if self._is_live(other, now))
        released = max(self._released, min(live, default=0))
        return Release(scrapers=self._rows(member.identity), released=released)

    def abandon(self, scrape: Scrape) -> None:
        """Note that an answer was not written completely, so that nobody knows what was seen."""
        member = scrape.member
        if member is None:
            return
        member.asked = None
        if member.last is None and member in self._members:
            self._members.remove(member)

    def committed(self, released: int) -> None:
        """Note that the ledger has stored a release."""
        self._released = max(self._released, released)

    def _rows(self, identity: str) -> tuple[Scraper, ...]:
        """All that are alike: when one returned, what is known of the others changed as well."""
        return tuple(
            Scraper(key=f"{m.identity}#{m.number}", seen=m.seen, last=m.last.wall, interval=m.interval)
            for m in self._members
            if m.identity == identity and m.last is not None
        )

    def _member(self, caller: Caller, now: Moment) -> Member | None:
        self._forget(now)
        identity = caller.identity()
        alike = [member for member in self._members if member.identity == identity]
        for member in alike:
            if member.is_on(caller.connection):
                return member
        away = [member for member in alike if not member.is_connected()]
        if away:
            return _returned(away, now)
        return self._join(identity, {member.number for member in alike})

    def _join(self, identity: str, taken: set[int]) -> Member | None:
        if len(self._members) >= _MOST_SCRAPERS:
            return None
        number = next(number for number in range(1, _MOST_SCRAPERS + 1) if number not in taken)
        member = Member(identity, number)
        self._members.append(member)
        return member

    def _forget(self, now: Moment) -> None:
        """Let go of who was not heard of for a day, or sooner if there are too many."""
        if len(self._members) >= _MOST_SCRAPERS:
            self._members = [m for m in self._members if self._is_live(m, now)]
        else:
            self._members = [m for m in self._members if now.mono - self._heard(m) < _FORGET_AFTER]

    def _is_live(self, member: Member, now: Moment) -> bool:
        """Whether it scraped within three intervals, or is being answered just now."""
        return now.mono - self._heard(member) < member.patience()

    def _heard(self, member: Member) -> float:
        """When there was the last sign of life; the start of this process is one for all."""
        last = member.last.mono if member.last is not None else self._start.mono
        return max(last, self._start.mono, member.asked or self._start.mono)


def _returned(away: Sequence[Member], now: Moment) -> Member:
    """Which of these opened a new connection, most likely.

    As that is a guess, none of them is taken to have seen more, or to come sooner, than the others.
    """
    returned = min(away, key=lambda member: member.is_off_schedule_by(now))
    seen, interval = min(member.seen for member in away), max(member.interval for member in away)
    for member in away:
        member.seen, member.interval = seen, interval
    return returned


def _learned(interval: float, gap: float) -> float:
    """The interval after another gap between two scrapes.

    A short gap (a second try, a reload) shrinks it by halves; a long one (an outage) at most
    doubles it, which three intervals of patience allow for.
    """
    if gap < interval:
        return (interval + gap) / 2
    return min(gap, max(2 * interval, _UNKNOWN_INTERVAL))


def _recalled(scraper: Scraper, start: Moment) -> Member:
    """A scraper of an earlier process."""
    identity, _, number = scraper.key.rpartition("#")
    last = Moment(scraper.last, 0.0).recalled(start)
    return Member(identity, int(number), seen=scraper.seen, last=last, interval=scraper.interval)
