"""No Prometheus ever misses the first event of a series."""

import heapq
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.clock import Moment
from exporter.metrics.births import Births, Caller
from exporter.store.change import Scraper

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FOREVER = float("inf")
GIVEN_UP = 3 * 2 * 60.0
"""Seconds after which nobody in this world waits for a Prometheus any more."""


def moment(second: float) -> Moment:
    """This second of the world, on both clocks."""
    return Moment(EPOCH + timedelta(seconds=second), second)


class Line:
    """A connection that knows only whether it is open."""

    def __init__(self) -> None:
        self.closed = False

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed


@dataclass(eq=False)
class Prometheus:
    """A Prometheus: when it scrapes, how it is known, and all that it has been served."""

    first: float
    interval: float
    address: str = "10.0.0.1"
    last: float = FOREVER
    """It never scrapes again after this second."""
    reconnects: bool = False
    """Whether it opens a connection for each scrape."""
    takes: float = 0.0
    """Seconds that an answer is under way."""
    line: Line | None = None
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each of its complete scrapes began and ended."""
    served: dict[int, list[int]] = field(default_factory=dict)
    """The values of each series, by birth, one for each complete scrape since it exists."""

    def connect(self) -> Line:
        """The connection of the next scrape."""
        if self.line is None or self.line.closed:
            self.line = Line()
        return self.line

    def hang_up(self) -> None:
        """Close the connection."""
        if self.line is not None:
            self.line.closed = True


class World:
    """An exporter, its ledger, and those that scrape it; a series is born with its first event."""

    def __init__(self, *prometheis: Prometheus) -> None:
        self.prometheis = prometheis
        self.born: list[float] = []
        """When each series was born; its birth is its place, counted from 1."""
        self.restarts: list[float] = []
        self.rows: dict[str, Scraper] = {}
        self.released = 0
        self.births: Births | None = Births(moment(0.0))
        """None while the exporter does not run."""
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._ticket = count()
        for prometheus in prometheis:
            self._scrape_later(prometheus, prometheus.first)

    def at(self, second: float, deed: Callable[[float], None]) -> None:
        """Put something on the agenda."""
        heapq.heappush(self._agenda, (second, next(self._ticket), deed))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._agenda[0][0] <= until:
            second, _, deed = heapq.heappop(self._agenda)
            deed(second)

    def bear(self, second: float) -> None:
        """A new series counts its first event."""
        self.born.append(second)

    def kill(self, _second: float) -> None:
        """The exporter is gone, and its connections with it."""
        for prometheus in self.prometheis:
            prometheus.hang_up()
        self.births = None

    def start(self, second: float) -> None:
        """It is started again on its ledger."""
        self.restarts.append(second)
        self.births = Births(moment(second), self.released, self.rows.values())

    def restart(self, killed: float, started: float) -> None:
        """Put an absence of the exporter on the agenda."""
        self.at(killed, self.kill)
        self.at(started, self.start)

    def _scrape_later(self, prometheus: Prometheus, second: float) -> None:
        if second <= prometheus.last:
            self.at(second, lambda now: self._scrape(prometheus, now))

    def _scrape(self, prometheus: Prometheus, second: float) -> None:
        self._scrape_later(prometheus, second + prometheus.interval)
        births = self.births
        if births is None:
            return
        caller = Caller(connection=prometheus.connect(), address=prometheus.address, timeout="10")
        scrape = births.begin(caller, len(self.born), moment(second))

        def answer(now: float) -> None:
            if births is not self.births:
                return  # The exporter was killed before the answer was out.
            values = [int(birth <= scrape.released) for birth in range(1, scrape.born + 1)]
            _receive(prometheus, values, second, now)
            release = births.finish(scrape, moment(now))
            assert release is not None
            self.rows.update((row.key, row) for row in release.scrapers)
            self.released = release.released
            births.committed(release.released)

        self.at(second + prometheus.takes, answer)


def _receive(prometheus: Prometheus, values: list[int], began: float, ended: float) -> None:
    for birth, value in enumerate(values, 1):
        prometheus.served.setdefault(birth, []).append(value)
    prometheus.answered.append((began, ended))
    if prometheus.reconnects:
        prometheus.hang_up()


def missed(world: World) -> list[str]:
    """The series that somebody saw first at their count, though it was there before."""
    return [
        f"series {birth} by {prometheus.address} every {prometheus.interval}s"
        for prometheus in world.prometheis
        for birth, values in prometheus.served.items()
        if values[0] > 0 and len(values) < len(prometheus.answered)
    ]


def taken_back(world: World) -> list[int]:
    """The series whose count somebody saw go back to zero."""
    return [
        birth
        for prometheus in world.prometheis
        for birth, values in prometheus.served.items()
        if values != sorted(values)
    ]


def held_too_long(world: World) -> list[str]:
    """The zeros that were served although everybody had been served one before."""
    return [
        f"series {birth} at {began}s"
        for prometheus in world.prometheis
        for birth, values in prometheus.served.items()
        for value, (began, _) in zip(reversed(values), reversed(prometheus.answered), strict=False)
        if value == 0 and _is_due(world, birth, began)
    ]


def _is_due(world: World, birth: int, now: float) -> bool:
    """Whether everybody was served the zero; after a restart those that are alike start again."""
    born = world.born[birth - 1]
    started = max((second for second in world.restarts if second <= now), default=0.0)
    for prometheus in world.prometheis:
        gone = now > max(prometheus.last, started) + GIVEN_UP
        alone = sum(other.address == prometheus.address for other in world.prometheis) == 1
        since = born if alone else max(born, started)
        served = any(began > since and ended < now for began, ended in prometheus.answered)
        if prometheus.first <= now and not gone and not served:
            return False
    return True


SCENARIOS = {
    "one alone": [Prometheus(0, 15)],
    "reconnects on every scrape": [Prometheus(0, 15, reconnects=True)],
    "two hosts": [Prometheus(0, 15), Prometheus(7, 60, address="10.0.0.2")],
    "two on one host, alike but for their intervals": [Prometheus(0, 10), Prometheus(3, 55)],
    "a pair on one host, exactly alike": [Prometheus(0, 30), Prometheus(11, 30)],
    "slow answers that overlap": [Prometheus(0, 15, takes=9), Prometheus(5, 20, takes=12)],
    "one dies": [Prometheus(0, 15), Prometheus(7, 30, address="10.0.0.2", last=200)],
    "one of a pair dies": [Prometheus(0, 15), Prometheus(7, 15, last=200)],
    "one joins late": [Prometheus(0, 15), Prometheus(333, 60, address="10.0.0.2")],
    "slower than an unknown interval is taken for": [Prometheus(0, 150), Prometheus(1, 15, address="b")],
    "a Prometheus that restarts, on schedule": [
        Prometheus(0, 15, last=240),
        Prometheus(270, 15),
        Prometheus(1, 60),
    ],
}


RESTARTS: dict[str, list[tuple[float, float]]] = {
    "steady": [],
    "restart": [(291.0, 291.5)],
    "restarts": [(291.0, 292.0), (312.0, 312.5), (420.5, 421.0)],
    "away past the schedule": [(310.0, 379.5)],
    "away for long": [(310.0, 710.0)],
}


@pytest.mark.parametrize("restarts", RESTARTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenarios(scenario: str, restarts: str) -> None:
    """Nobody misses a first event, sees one taken back, or waits longer than a scrape of each."""
    world = World(*deepcopy(SCENARIOS[scenario]))
    for second in range(2, 900, 13):
        world.at(second, world.bear)
    for killed, started in RESTARTS[restarts]:
        world.restart(killed, started)

    world.run(until=1500)

    assert missed(world) == []
    assert taken_back(world) == []
    assert held_too_long(world) == []
    alive = [prometheus for prometheus in world.prometheis if prometheus.last == FOREVER]
    assert {values[-1] for prometheus in alive for values in prometheus.served.values()} == {1}


addresses = st.sampled_from(["10.0.0.1", "10.0.0.2"])
intervals = st.sampled_from([5.0, 15.0, 30.0, 55.0])
seconds = st.floats(0, 600)
keeping_alive = st.builds(
    Prometheus,
    first=st.floats(0, 60),
    interval=intervals,
    address=addresses,
    last=seconds | st.just(FOREVER),
    takes=st.floats(0, 3),
)
reconnecting = st.builds(
    Prometheus,
    first=seconds,
    interval=intervals,
    address=st.uuids().map(str),
    last=seconds | st.just(FOREVER),
    reconnects=st.just(value=True),
    takes=st.floats(0, 3),
)


@settings(max_examples=100, deadline=None)
@given(
    prometheis=st.lists(keeping_alive | reconnecting, min_size=1, max_size=4),
    births=st.lists(seconds, max_size=8),
    restarts=st.lists(st.floats(70, 600), max_size=6, unique=True).map(sorted),
)
def test_properties(prometheis: list[Prometheus], births: list[float], restarts: list[float]) -> None:
    """Whoever scrapes, dies or reconnects when: the same three claims hold."""
    world = World(*prometheis)
    for second in births:
        world.at(second, world.bear)
    for killed, started in zip(restarts[::2], restarts[1::2], strict=False):
        world.restart(killed, started)
    world.at(2000, world.bear)

    world.run(until=1999)

    assert missed(world) == []
    assert taken_back(world) == []
    assert held_too_long(world) == []


class TestRelease:
    """What one scrape does."""

    def caller(self, line: Line, **changes: str) -> Caller:
        """A Prometheus on this connection."""
        return Caller(**{"connection": line, "address": "10.0.0.1", "timeout": "10", **changes})  # type: ignore[arg-type]

    def test_person(self) -> None:
        """A person sees true counts and releases nothing."""
        births = Births(moment(0))

        scrape = births.begin(self.caller(Line(), timeout=""), born=7, now=moment(1))

        assert scrape.released == 7
        assert births.finish(scrape, moment(1)) is None
        assert births.released == 0

    def test_commit_first(self) -> None:
        """A count shows only after its release is in the ledger."""
        births = Births(moment(0))
        line = Line()
        release = births.finish(births.begin(self.caller(line), born=7, now=moment(1)), moment(1))
        assert release is not None
        assert release.released == 7

        before = births.begin(self.caller(line), born=7, now=moment(16)).released
        births.committed(release.released)
        after = births.begin(self.caller(line), born=7, now=moment(31)).released

        assert (before, after) == (0, 7)

    def test_incomplete_answer(self) -> None:
        """An answer that broke off was not seen, and a newcomer that got no other holds up nobody."""
        births = Births(moment(0))
        births.abandon(births.begin(self.caller(Line()), born=7, now=moment(1)))

        other = births.begin(self.caller(Line(), address="10.0.0.2"), born=7, now=moment(2))
        release = births.finish(other, moment(2))

        assert release is not None
        assert release.released == 7
        assert len(release.scrapers) == 1

    def test_newcomer_under_way(self) -> None:
        """While a newcomer is being answered, nothing is released that its answer did not hold."""
        births = Births(moment(0))
        births.begin(self.caller(Line(), address="10.0.0.2"), born=3, now=moment(301))

        scrape = births.begin(self.caller(Line()), born=7, now=moment(302))
        release = births.finish(scrape, moment(302))

        assert release is not None
        assert release.released == 0

    def test_named(self) -> None:
        """The parameter tells apart what shares address and connection, as behind a proxy."""
        births = Births(moment(0))
        line = Line()
        first = births.finish(births.begin(self.caller(line, scraper="a"), 3, moment(1)), moment(1))
        second = births.finish(births.begin(self.caller(line, scraper="b"), 7, moment(2)), moment(2))

        assert first is not None
        assert second is not None
        assert second.released == 3

    def test_flood(self) -> None:
        """Made-up headers neither fill the memory nor keep a known Prometheus from its counts."""
        births = Births(moment(0))
        line = Line()
        births.finish(births.begin(self.caller(line), 3, moment(1)), moment(1))
        for number in range(1000):
            births.begin(self.caller(Line(), user_agent=str(number)), 3, moment(2))

        late = births.begin(self.caller(Line(), user_agent="late"), 7, moment(3))
        known = births.begin(self.caller(line), 7, moment(200))
        release = births.finish(known, moment(200))

        assert late.member is None
        assert release is not None
        assert release.released == 7

    def test_restored(self) -> None:
        """What the ledger kept goes on under the same key; who was silent for a day is forgotten."""
        births = Births(moment(0))
        release = births.finish(births.begin(self.caller(Line()), 3, moment(1)), moment(1))
        assert release is not None
        restarted = Births(moment(100), 3, release.scrapers)
        much_later = Births(moment(90_000), 3, release.scrapers)

        again = restarted.finish(restarted.begin(self.caller(Line()), 7, moment(101)), moment(101))
        new = much_later.finish(
            much_later.begin(self.caller(Line(), address="b"), 7, moment(90_001)), moment(90_001)
        )

        assert again is not None
        assert [row.key for row in again.scrapers] == [row.key for row in release.scrapers]
        assert new is not None
        assert new.released == 7

    @pytest.mark.parametrize(
        ("gaps", "interval"),
        [
            pytest.param([15.0] * 12, 15.0, id="fast"),
            pytest.param([300.0] * 4, 300.0, id="slow"),
            pytest.param([15.0] * 12 + [3600.0], 60.0, id="outage"),
            pytest.param([60.0, 1.0], 30.5, id="second-try"),
        ],
    )
    def test_interval(self, gaps: list[float], interval: float) -> None:
        """The interval is learned from the gaps, and one odd gap does not upset it."""
        births, line, second = Births(moment(0)), Line(), 1.0
        release = births.finish(births.begin(self.caller(line), 1, moment(second)), moment(second))
        for gap in gaps:
            second += gap
            release = births.finish(births.begin(self.caller(line), 1, moment(second)), moment(second))

        assert release is not None
        assert release.scrapers[0].interval == pytest.approx(interval, abs=0.1)
