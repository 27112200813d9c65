"""The simulated door of Huawei Cloud, and the exporter's own client before it."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.apis.dataarts import DataArts, DataArtsOptions
from exporter.demo.dataarts import PROJECT_ID, WORKLOAD, WORKSPACE, Dataarts
from exporter.demo.huawei import DOMAIN, KEY, LOGIN_PATH, PASSWORD, PROJECT, USERNAME
from exporter.demo.server import Server
from exporter.demo.world import World
from exporter.errors import Unauthorized
from exporter.http import HttpClient, HttpSettings, HuaweiAkSk, HuaweiIam
from exporter.secret import Secret
from tests.demo.conftest import Serve
from tests.demo.fakes import StillClock

Watch = Callable[[HttpSettings], Awaitable[DataArts]]
USER = HuaweiIam(
    username=USERNAME,
    password=Secret(PASSWORD),
    domain_name=DOMAIN,
    project_name=PROJECT,
    endpoint=HttpSettings(url=LOGIN_PATH),
)
HAS_KEY = HuaweiIam(
    access_key=KEY.id,
    secret_key=Secret(KEY.secret),
    project_name=PROJECT,
    endpoint=HttpSettings(url=LOGIN_PATH),
)
SIGNS = HuaweiAkSk(
    access_key=KEY.id,
    secret_key=Secret(KEY.secret),
    security_token=Secret(KEY.security_token),
    project_id="p",
)


@pytest.fixture
def api(clock: StillClock) -> Dataarts:
    """A DataArts Factory without a limit that does only what a test adds."""
    return Dataarts(World(WORKLOAD.silent(), clock))


@pytest.fixture
async def watch(api: Dataarts, clock: StillClock) -> AsyncIterator[Watch]:
    """Puts the API on a socket and gives the exporter's own module for it."""
    async with AsyncExitStack() as stack:
        server = Server(api)
        await server.up()
        stack.push_async_callback(server.down)

        async def start(settings: HttpSettings) -> DataArts:
            user = settings.huawei_iam
            there = user and replace(user, endpoint=HttpSettings(url=server.url + user.endpoint.url))
            settings = replace(settings, url=server.url, requests_per_second=math.inf, huawei_iam=there)

            async def sleep(seconds: float) -> None:
                clock.forward(seconds)

            client = await stack.enter_async_context(HttpClient(settings, clock=clock, sleep=sleep))
            return DataArts(client, DataArtsOptions(PROJECT_ID, WORKSPACE))

        yield start


@pytest.mark.parametrize(
    "auth",
    [
        HttpSettings(url="", huawei_iam=USER),
        HttpSettings(url="", huawei_iam=HAS_KEY),
        HttpSettings(url="", huawei_aksk=SIGNS),
    ],
)
async def test_who_logs_in_or_signs_is_let_in(api: Dataarts, watch: Watch, auth: HttpSettings) -> None:
    """A task is told to whoever has a token of the IAM, and to whoever signs."""
    task = api.world.add("import_job")
    assert (await (await watch(auth)).fetch(task.id)).id == task.id
    assert api.requests.unauthorized == 0


@pytest.mark.parametrize("login", [USER, HAS_KEY], ids=["password", "key"])
async def test_tokens_end_and_die_early(
    api: Dataarts, watch: Watch, clock: StillClock, login: HuaweiIam
) -> None:
    """A token serves for its life; the watch goes on over its end and its early death."""
    task = api.world.add("import_job")
    source = await watch(HttpSettings(url="", huawei_iam=login))
    for _ in range(3):
        await source.fetch(task.id)
    assert api.door.logins == 1
    clock.forward(24 * 3600)
    await source.fetch(task.id)
    assert (api.door.logins, api.requests.unauthorized) == (2, 0)
    api.door.forget()
    await source.fetch(task.id)
    assert (api.door.logins, api.requests.unauthorized) == (3, 1)


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        (
            HttpSettings(url="", huawei_iam=replace(USER, password=Secret("guess"))),
            "The username or password is wrong",
        ),
        (
            HttpSettings(url="", huawei_iam=replace(USER, project_name="other")),
            "username or password is wrong",
        ),
        (
            HttpSettings(url="", huawei_iam=replace(HAS_KEY, secret_key=Secret("guess"))),
            r"huawei_iam: POST http://[\d.:]+/v3/auth/tokens: HTTP 401: Authentication failed\.$",
        ),
        (
            HttpSettings(url="", huawei_iam=replace(HAS_KEY, access_key="OTHER")),
            "HTTP 401: Authentication failed",
        ),
        (
            HttpSettings(url="", huawei_aksk=replace(SIGNS, secret_key=Secret("guess"))),
            "APIG.0301: .*: verify aksk signature fail",
        ),
        (
            HttpSettings(url="", huawei_aksk=replace(SIGNS, security_token=Secret("guess"))),
            "APIG.0301: .*: verify aksk signature fail",
        ),
        (HttpSettings(url=""), "APIG.0301: .*: no authentication information"),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    api: Dataarts, watch: Watch, auth: HttpSettings, words: str
) -> None:
    """Wrong passwords, accounts, keys and tokens are errors of authentication."""
    task = api.world.add("import_job")
    source = await watch(auth)
    with pytest.raises(Unauthorized, match=words) as told:
        await source.fetch(task.id)
    assert told.value.reason == "auth"


async def test_a_clock_that_is_off_is_named(api: Dataarts, watch: Watch) -> None:
    """A gateway whose clock is 20 minutes ahead refuses our signature, and the error says why."""
    task = api.world.add("import_job")
    api.skew = timedelta(minutes=20)
    source = await watch(HttpSettings(url="", huawei_aksk=SIGNS))
    with pytest.raises(Unauthorized, match=r"APIG.0301.*the clock here is 20 minutes behind the server's"):
        await source.fetch(task.id)


SCOPE = {"project": {"name": PROJECT}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": []},
        {"auth": {"identity": {"password": {}}}},
        {"auth": {"identity": {"methods": []}, "scope": SCOPE}},
        {"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk": {}}, "scope": SCOPE}},
        {"auth": {"identity": {"methods": [["password"]]}, "scope": SCOPE}},
    ],
)
async def test_a_login_that_is_none_is_refused(api: Dataarts, serve: Serve, body: dict[str, object]) -> None:
    """A body of another shape is a wrong login, not a failure of the simulation."""
    reply = await (await serve(api)).post(LOGIN_PATH, body)
    assert (reply.status, reply.json()["error"]["code"]) == (401, 401)


@pytest.mark.parametrize(
    "told", ["SDK-HMAC-SHA256", "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=b"]
)
async def test_a_signature_without_a_date_has_expired(api: Dataarts, serve: Serve, told: str) -> None:
    """What is no signature at all is refused like an old one."""
    caller = await serve(api)
    caller.headers.pop("X-Auth-Token")
    reply = await caller.get(f"/v1/{PROJECT_ID}/system-tasks/1", Authorization=told)
    assert (reply.status, reply.json()["error_code"]) == (401, "APIG.0301")
    assert reply.json()["error_msg"].endswith("signature expired")
