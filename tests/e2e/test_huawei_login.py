"""Logging in to Huawei Cloud: tokens that die early are replaced unnoticed, a wrong key is noticed."""

from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession

from exporter.demo.dataarts import Dataarts
from exporter.demo.huawei import DOMAIN, KEY, LOGIN_PATH, PASSWORD, PROJECT, USERNAME
from exporter.demo.simulation import Simulation
from tests.campaigns.process import Samples, scrape
from tests.e2e.harness import configured, exporting, silent_simulation
from tests.real.waiting import until

DEATHS = 4
TASKS = 20
LOGINS = {
    "password": {"username": USERNAME, "password": PASSWORD, "domain_name": DOMAIN},
    "key": {"access_key": KEY.id, "secret_key": KEY.secret},
}


def logging_in(simulation: Simulation, login: dict[str, str]) -> str:
    """A configuration that polls the simulated Factory fast, with tokens of its own."""
    told = yaml.safe_load(configured(simulation, only=["dataarts"]))
    (source,) = told["sources"]
    iam = source["url"].removesuffix(LOGIN_PATH)
    source |= {"http_headers": {}, "huawei_iam": {"auth_url": iam, "project_name": PROJECT, **login}}
    source["polling"] |= {"min_interval": "200ms", "max_interval": "200ms", "requests_per_second": 100}
    return yaml.safe_dump(told)


def counted(samples: Samples, name: str, **labels: str) -> float:
    """The value of one sample of the source."""
    return samples.get((name, tuple(sorted({"source": "dataarts", **labels}.items()))), 0.0)


def answered(samples: Samples, code: str) -> float:
    """How many requests for a task were answered so."""
    return counted(samples, "asynctask_api_requests_total", endpoint="get_system_task", code=code)


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
async def test_the_death_of_tokens_is_no_error(tmp_path: Path, login: dict[str, str]) -> None:
    """While all tokens die again and again, each poll is answered, and no error is counted."""
    async with silent_simulation() as simulation:
        api, world = simulation.apis["dataarts"], simulation.worlds["dataarts"]
        assert isinstance(api, Dataarts)
        api.limit = None
        for _ in range(TASKS):
            world.add("import_job", length=None)
        await simulation.hand_over()
        async with exporting(logging_in(simulation, login), tmp_path) as exporter:
            for death in range(DEATHS):
                before = await scrape(exporter.url)

                async def polled(before: Samples = before) -> bool:
                    return answered(await scrape(exporter.url), "200") >= answered(before, "200") + TASKS

                await until(f"the tasks are polled after {death} deaths", polled)
                api.door.forget()
            after = await scrape(exporter.url)
    assert answered(after, "401") >= DEATHS - 1
    assert counted(after, "asynctask_api_errors_total", reason="auth") == 0
    assert counted(after, "asynctask_source_up", api="dataarts") == 1


async def test_a_wrong_key_is_one_line_and_one_reason(tmp_path: Path) -> None:
    """The source fails for its credentials, says so in the words of the IAM, and logs in only once."""
    async with silent_simulation() as simulation:
        api, world = simulation.apis["dataarts"], simulation.worlds["dataarts"]
        assert isinstance(api, Dataarts)
        world.add("import_job", length=None)
        await simulation.hand_over()
        wrong = LOGINS["key"] | {"secret_key": "guess"}
        async with exporting(logging_in(simulation, wrong), tmp_path) as exporter:

            async def failed_twice() -> bool:
                told = await scrape(exporter.url)
                return counted(told, "asynctask_api_errors_total", reason="auth") >= 2

            await until("two polls have failed", failed_twice)
            async with ClientSession() as session, session.get(f"{exporter.url}/api/v1/sources") as answer:
                (source,) = (await answer.json())["data"]["sources"]
    place = f"huawei_iam: POST {source['url']}{LOGIN_PATH}"
    assert source["last_error"] == f"{place}: HTTP 401: Authentication failed."
    assert api.door.logins == 1
