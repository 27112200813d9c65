"""What ``docs/sources.md`` says is so."""

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from exporter.apis import APIS, resolve
from exporter.apis.base import Lists, TaskApi
from exporter.errors import Rejected, TaskNotFound
from exporter.model import Status, Task
from tests.apis.fake_http import NOW, FakeHttp, answer

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
JOB = {
    "jobId": 7,
    "state": "in_progress",
    "type": "close",
    "title": "Close of May",
    "percent": "40",
    "started": "2026-05-31T22:00:00+02:00",
}


def block(language: str) -> str:
    """The page's one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def section(api: str) -> str:
    """What the page says about one API."""
    return PAGE.partition(f"\n## `{api}`\n")[2].partition("\n## ")[0]


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[TaskApi]]:
    """The page's example, written where it says and found as it says."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "tasks.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    (source,) = yaml.safe_load(block("yaml"))["sources"]
    yield resolve(source["api"])
    for name in ("acme", "acme.tasks"):
        sys.modules.pop(name, None)


async def test_the_example_fetches(acme: type[TaskApi]) -> None:
    """A user's class, taken from the page, reads a task."""
    http = FakeHttp({"tenants/north/jobs/7": answer(JOB)})
    task = await acme(http, acme.Options(tenant="north")).fetch("7")
    assert task == Task(
        id="7",
        status=Status.RUNNING,
        word="in_progress",
        operation="close",
        name="Close of May",
        progress=0.4,
        started_at=datetime(2026, 5, 31, 20, 0, tzinfo=UTC),
    )


async def test_the_example_tells_unknown_tasks_from_a_wrong_url(acme: type[TaskApi]) -> None:
    """It follows the third rule of the page."""
    for told, kind in ((answer({"error": "no job"}, 404), TaskNotFound), (answer(b"<html>", 404), Rejected)):
        with pytest.raises(kind):
            await acme(FakeHttp({None: told}), acme.Options(tenant="north")).fetch("7")


async def test_the_example_lists(acme: type[TaskApi]) -> None:
    """It lists as the seventh rule says: a job that ended in between has ended."""
    http = FakeHttp(
        {
            "tenants/north/jobs?active=true": answer([JOB]),
            "tenants/north/jobs": answer([JOB | {"state": "DONE"}]),
        }
    )
    api = acme(http, acme.Options(tenant="north"))
    assert isinstance(api, Lists)
    assert api.lists
    listing = await api.list(NOW)
    assert [(task.id, task.status) for task in listing.tasks] == [("7", Status.SUCCESS)]
    assert listing.as_of == NOW


def test_the_status_words_are_those_of_the_code() -> None:
    """The table of words has every word, and no other."""
    told = re.findall(r"^\| (\w+) \| `(\w+)` \| (\w+) \|$", PAGE, re.MULTILINE)
    known = [
        (api, word, str(status))
        for api in APIS
        for word, status in import_module(f"exporter.apis.{api}").STATUSES.items()
    ]
    assert sorted(told) == sorted(known)


@pytest.mark.parametrize("api", list(APIS))
def test_every_option_is_told(api: str) -> None:
    """Each API has a section, with a row for each of its options."""
    told = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", section(api), re.MULTILINE)
    assert told == [option.name for option in fields(APIS[api].Options)]


@pytest.mark.parametrize("api", list(APIS))
def test_the_pace_is_told(api: str) -> None:
    """The overview says how fast each system is asked."""
    (told,) = re.findall(rf"^\| `{api}` \|.* ([\d.]+) requests/s \|$", PAGE, re.MULTILINE)
    assert float(told) == APIS[api].pace.requests_per_second
