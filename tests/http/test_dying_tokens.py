"""Tokens that the server lets die early, again and again, while requests go on."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from exporter.http import HttpClient, HttpSettings, HuaweiIam, OAuth2
from exporter.http.tokens import LOGINS_PER_SECOND, SPARED
from exporter.secret import Secret
from tests.http.fake_clock import FakeClock
from tests.http.servers import Asked, answer, serve, until

EVERY = 5.0
"""Seconds between two deaths, much less than `SPARED`."""
AT_ONCE = 8


class Realm:
    """An issuer of tokens, and an API that takes those which live."""

    def __init__(self) -> None:
        self.issued = 0
        self.born_dead = 0
        """How many of the next tokens are dead when they are issued."""
        self.decides = asyncio.Event()
        """Set while the API answers; otherwise requests stay under way."""
        self.decides.set()
        self._alive: set[str] = set()

    def kill(self) -> None:
        """Let all tokens die."""
        self._alive.clear()

    async def issue(self, _: Asked, writer: asyncio.StreamWriter) -> None:
        """Issue a token, in the form of OAuth 2.0 and of Huawei's IAM alike."""
        self.issued += 1
        token = f"t{self.issued}"
        if self.born_dead:
            self.born_dead -= 1
        else:
            self._alive.add(token)
        body = json.dumps({"access_token": token}).encode()
        writer.write(answer(200, body, (f"X-Subject-Token: {token}",)))

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """Answer by the token, as it is at the moment of the answer."""
        await self.decides.wait()
        told = asked.all("X-Auth-Token") or asked.all("Authorization")
        writer.write(answer(200 if told[0].split()[-1] in self._alive else 401))


def by_oauth2(issuer: str) -> HttpSettings:
    """A login with OAuth 2.0."""
    endpoint = HttpSettings(url=issuer)
    return HttpSettings(url="", oauth2=OAuth2(client_id="me", client_secret=Secret("s"), endpoint=endpoint))


def by_huawei(issuer: str) -> HttpSettings:
    """A login at Huawei's IAM."""
    key = HuaweiIam(access_key="a", secret_key=Secret("s"), project_id="p", endpoint=HttpSettings(url=issuer))
    return HttpSettings(url="", huawei_iam=key)


@dataclass
class Given:
    """A realm, and a client of it."""

    realm: Realm
    http: HttpClient
    clock: FakeClock
    asked: list[Asked]
    """What the API was asked."""

    async def statuses(self, requests: int = AT_ONCE) -> set[int]:
        """The statuses that so many requests at once have come to."""
        answers = await asyncio.gather(*(self.http.get("x", "/") for _ in range(requests)))
        return {one.status for one in answers}


@pytest.fixture(params=[by_oauth2, by_huawei])
async def given(request: pytest.FixtureRequest) -> AsyncIterator[Given]:
    """A realm, and a client that asks many times at once."""
    realm, clock = Realm(), FakeClock()
    async with serve(realm.issue) as issuer, serve(realm.answer) as api:
        settings = replace(
            request.param(issuer.url), url=api.url, concurrency=AT_ONCE, requests_per_second=math.inf
        )
        async with HttpClient(settings, clock=clock, sleep=clock.sleep) as http:
            yield Given(realm, http, clock, api.asked)


async def test_no_request_fails_however_often_tokens_die(given: Given) -> None:
    """Of eight requests at once, each five seconds, none is refused, and one login is made for each death."""
    for _ in range(20):
        assert await given.statuses() == {200}
        given.realm.kill()
        given.clock.seconds += EVERY
    assert given.realm.issued == 20


async def test_requests_under_way_survive_the_death_of_their_token(given: Given) -> None:
    """A token that dies while eight requests wait for their answers is renewed once, for all of them."""
    for turn in range(1, 6):
        given.realm.decides.clear()
        given.asked.clear()
        under_way = asyncio.ensure_future(given.statuses())
        await until(lambda: len(given.asked) == AT_ONCE)
        given.realm.kill()
        given.realm.decides.set()
        assert await under_way == {200}
        assert given.realm.issued == turn + 1
        given.clock.seconds += EVERY


async def test_a_token_may_die_before_it_is_used(given: Given) -> None:
    """Where the API has taken tokens before, the one that replaces a dead one may be dead as well."""
    assert await given.statuses() == {200}
    for _ in range(5):
        given.realm.kill()
        given.realm.born_dead = 1
        given.clock.seconds += EVERY
        assert await given.statuses() == {200}
    assert given.realm.issued == 1 + 5 * 2


async def test_logins_keep_a_pace(given: Given) -> None:
    """Where tokens die as fast as they are issued, requests wait until a second after the last login."""
    began = given.clock.seconds
    for _ in range(10):
        assert await given.statuses() == {200}
        given.realm.kill()
    assert given.clock.seconds - began == pytest.approx(9 / LOGINS_PER_SECOND)


async def test_an_api_that_takes_no_token_any_more_makes_no_flood_of_logins(given: Given) -> None:
    """After two new tokens that were refused at once, another is tried only after a while."""
    assert await given.statuses(1) == {200}
    given.realm.kill()
    given.realm.born_dead = 1000
    assert await given.statuses() == {401}
    assert given.realm.issued == 3
    given.asked.clear()
    assert await given.statuses() == {401}
    assert (given.realm.issued, len(given.asked)) == (3, AT_ONCE)
    given.clock.seconds += SPARED
    assert await given.statuses(1) == {401}
    assert given.realm.issued == 4
