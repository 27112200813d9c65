"""What every task API module promises, whatever system it speaks to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC
from importlib import import_module
from typing import Any

import pytest

from exporter.apis import APIS, reading
from exporter.apis.base import Answer, Lists, NoOptions, Pace, TaskApi
from exporter.apis.dataarts import DataArtsOptions
from exporter.apis.epmware import EpmwareOptions
from exporter.apis.pulp import PulpOptions
from exporter.errors import (
    Malformed,
    RateLimited,
    Rejected,
    ServerFailed,
    SourceError,
    TaskNotFound,
    Unauthorized,
)
from exporter.model import Status, Task
from tests.apis.fake_http import DOCUMENTS, NOW, FakeHttp, answer, recorded


@dataclass(frozen=True)
class Case:
    """One API, with documents of its own."""

    name: str
    options: object
    state: str
    needed: frozenset[str]
    running: str
    failed: str
    unknown: Answer

    def api(self, told: Answer) -> TaskApi:
        """The API before a server that always says the same."""
        return APIS[self.name](FakeHttp({None: told}), self.options)

    def document(self, name: str) -> dict[str, Any]:
        """One of its documents, to be bent."""
        found: dict[str, Any] = json.loads((DOCUMENTS / self.name / f"{name}.json").read_text())
        return found


CASES = (
    Case(
        name="epmware",
        options=EpmwareOptions(export_profiles=("ASO",)),
        state="status",
        needed=frozenset({"status"}),
        running="running",
        failed="failed",
        unknown=recorded("epmware/unknown_task.json", 404),
    ),
    Case(
        name="dataarts",
        options=DataArtsOptions(project_id="p1"),
        state="status",
        needed=frozenset({"status"}),
        running="solution_running",
        failed="start_failed",
        unknown=recorded("dataarts/unknown_task.json", 400),
    ),
    Case(
        name="pulp1",
        options=NoOptions(),
        state="state",
        needed=frozenset({"state", "id"}),
        running="running",
        failed="error",
        unknown=recorded("pulp1/unknown_task.json", 404),
    ),
    Case(
        name="pulp",
        options=PulpOptions(),
        state="state",
        needed=frozenset({"state", "pulp_href"}),
        running="running",
        failed="failed",
        unknown=recorded("pulp/unknown_task.json", 404),
    ),
)
every_api = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
ODD: tuple[object, ...] = (
    None,
    "",
    0,
    -1,
    253,
    1e300,
    True,
    "garbage",
    [],
    ["x", None],
    {},
    {"a": {}},
    "0001-01-01",
)
TIMES = ("created_at", "ready_at", "started_at", "finished_at", "updated_at")


async def fetched(case: Case, document: object) -> Task:
    """Fetch one task from a server that answers with *document*."""
    return await case.api(answer(document)).fetch("7e419e4f-3719-11e1-9ea0-f0def14122c8")


def test_every_api_is_held_to_the_contract() -> None:
    """A module that is added without a case here fails."""
    assert {case.name for case in CASES} == set(APIS)


@every_api
def test_it_is_a_task_api(case: Case) -> None:
    """It has what the poller, the transport and the configuration ask for."""
    api = case.api(answer({}))
    assert isinstance(api, TaskApi)
    assert is_dataclass(api.Options)
    assert isinstance(api.pace, Pace)
    assert isinstance(api, Lists) is hasattr(api, "list")


@every_api
def test_its_statuses_are_told_apart_by_more_than_spelling(case: Case) -> None:
    """No two words of the table are the same to a reader, and each is known."""
    statuses: Mapping[str, Status] = import_module(f"exporter.apis.{case.name}").STATUSES
    for word, status in statuses.items():
        for spelling in (word.upper(), word.lower(), word.replace("_", " "), word.replace("_", "-")):
            assert reading.status(statuses, spelling) is status
    assert Status.UNKNOWN not in statuses.values()


@every_api
async def test_a_task_that_runs(case: Case) -> None:
    """It is running, has started, has not ended, and its times are in UTC."""
    task = await fetched(case, case.document(case.running))
    assert (task.status, task.finished_at) == (Status.RUNNING, None)
    assert task.started_at is not None
    assert task.word
    assert {moment.tzinfo for name in TIMES if (moment := getattr(task, name))} == {UTC}


@every_api
async def test_a_task_that_failed(case: Case) -> None:
    """It has ended in a way that pages, says when, and says why."""
    task = await fetched(case, case.document(case.failed))
    assert task.status.is_failed
    assert task.finished_at is not None
    assert task.message or task.detail


@every_api
async def test_an_unknown_task(case: Case) -> None:
    """However its API says it, it is not a failed task and not a failed source."""
    with pytest.raises(TaskNotFound) as caught:
        await case.api(case.unknown).fetch("999999")
    assert caught.value.task_id == "999999"


@every_api
async def test_a_word_that_nobody_knows(case: Case) -> None:
    """The task stays visible, and the word as it was sent can be logged."""
    task = await fetched(case, case.document(case.running) | {case.state: "Half Done"})
    assert (task.status, task.word) == (Status.UNKNOWN, "Half Done")


@every_api
@pytest.mark.parametrize("value", [None, 2147483647, True])
async def test_a_status_that_is_no_word(case: Case, value: object) -> None:
    """Even then the task stays visible."""
    task = await fetched(case, case.document(case.running) | {case.state: value})
    assert task.status is Status.UNKNOWN


@every_api
@pytest.mark.parametrize("odd", ODD, ids=repr)
async def test_no_odd_value_hides_a_task(case: Case, odd: object) -> None:
    """Whatever any other field holds, the task is told with its status, and within the model's bounds."""
    for name in (case.running, case.failed):
        document = case.document(name)
        for field in document.keys() - case.needed:
            task = await fetched(case, document | {field: odd})
            assert task.word == document[case.state]
            assert task.progress is None or 0 <= task.progress <= 1
            assert {type(getattr(task, text)) for text in ("name", "message", "detail", "error_code")} == {
                str
            }


@every_api
@pytest.mark.parametrize("odd", ODD, ids=repr)
async def test_no_odd_value_inside_hides_a_task(case: Case, odd: object) -> None:
    """The same holds one level down, in subtasks, progress and errors."""
    for name in (case.running, case.failed):
        document = case.document(name)
        nested = {field: part for field, part in document.items() if isinstance(part, dict | list)}
        for field, part in nested.items():
            bent = dict.fromkeys(part, odd) if isinstance(part, dict) else [bend(item, odd) for item in part]
            assert (await fetched(case, document | {field: bent})).word == document[case.state]


def bend(item: object, odd: object) -> object:
    """An item of a list with all its values odd, or odd itself."""
    return dict.fromkeys(item, odd) if isinstance(item, dict) else odd


@every_api
async def test_missing_fields_hide_no_task(case: Case) -> None:
    """A task needs its status, and its id where nobody asked for it by that; all else may be left out."""
    document = case.document(case.running)
    task = await fetched(case, {name: document[name] for name in case.needed})
    assert task.status is Status.RUNNING
    assert task.started_at is None
    for name in case.needed:
        with pytest.raises(Malformed, match=f"unexpected document: KeyError\\('{name}'"):
            await fetched(case, {field: value for field, value in document.items() if field != name})


@every_api
async def test_times_without_a_zone_are_utc(case: Case) -> None:
    """A naive time is taken as UTC; nowhere does a local time slip through."""
    document = case.document(case.running)
    naive = {key: "2025-01-15T10:00:00" if is_time(value) else value for key, value in document.items()}
    task = await fetched(case, naive)
    assert all(moment.tzinfo is UTC for name in TIMES if (moment := getattr(task, name)))


def is_time(value: object) -> bool:
    """Whether a field holds a time as text."""
    return reading.iso8601(value) is not None


@every_api
@pytest.mark.parametrize("told", [[], "text", 5, None, True, [[]]], ids=repr)
async def test_a_body_of_another_shape_is_malformed(case: Case, told: object) -> None:
    """Lists, texts, numbers and null are no task."""
    with pytest.raises(Malformed, match="unexpected document"):
        await fetched(case, told)


@every_api
@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (answer(b"pong"), Malformed),
        (answer(b'{"status": '), Malformed),
        (answer(b"\xff\xfe"), Malformed),
        (answer(b""), Malformed),
        (answer(b"[" * 100_000), Malformed),
        (answer(b"", 204), Malformed),
        (answer(b"<!DOCTYPE html><html>Welcome</html>", content_type="application/json"), Malformed),
        (
            answer(b'<html><form><input type="password"></form></html>', content_type="text/html"),
            Unauthorized,
        ),
        (answer(b"", 302, Location="/login"), Rejected),
        (answer({"detail": "no"}, 400), Rejected),
        (answer({"detail": "no"}, 401), Unauthorized),
        (answer({"detail": "no"}, 403), Unauthorized),
        (answer(b"<html>404 Not Found</html>", 404), Rejected),
        (answer({"detail": "no"}, 429), RateLimited),
        (answer({"detail": "no"}, 500), ServerFailed),
        (answer(b"<html>Service Unavailable</html>", 503), ServerFailed),
    ],
    ids=lambda value: f"{value.status} {value.excerpt(20)}" if isinstance(value, Answer) else value.__name__,
)
async def test_what_is_no_task(case: Case, told: Answer, kind: type[SourceError]) -> None:
    """Each way of not answering is one kind of error, for single tasks and for lists alike."""
    api = case.api(told)
    calls = [api.fetch("1"), api.list(NOW)] if isinstance(api, Lists) else [api.fetch("1")]
    for call in calls:
        with pytest.raises(SourceError) as caught:
            await call
        assert type(caught.value) is kind
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 300


@every_api
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, ServerFailed)])
async def test_a_wait_that_is_asked_for_is_told(case: Case, status: int, kind: type[SourceError]) -> None:
    """``Retry-After`` reaches whoever paces, in seconds, from either of its forms."""
    for value in ("60", "Sat, 21 Nov 2026 18:07:00 GMT"):
        with pytest.raises(kind) as caught:
            await case.api(answer({}, status, Retry_After=value)).fetch("1")
        assert caught.value.retry_after == 60.0


@every_api
async def test_a_json_task_is_read_whatever_its_content_type(case: Case) -> None:
    """Content-Type is not believed."""
    told = answer(case.document(case.running), content_type="text/plain")
    assert (await case.api(told).fetch("1")).status is Status.RUNNING


@every_api
async def test_an_id_stays_inside_its_place_in_the_path(case: Case) -> None:
    """Ids come from files and from the network; none of them reaches another address."""
    http = FakeHttp({None: answer(case.document(case.running))})
    await APIS[case.name](http, case.options).fetch("../../admin?x=1#y")
    assert "..%2F..%2Fadmin%3Fx%3D1%23y" in http.requests[0].path


@every_api
@pytest.mark.parametrize("task_id", ["", ".", ".."])
async def test_what_is_no_id_is_never_asked_for(case: Case, task_id: str) -> None:
    """Such an id is unknown without a request."""
    http = FakeHttp({})
    with pytest.raises(TaskNotFound):
        await APIS[case.name](http, case.options).fetch(task_id)
    assert not http.requests


@every_api
async def test_no_credential_gets_into_a_task_or_an_error(case: Case) -> None:
    """Messages of other systems repeat what they were sent; we do not."""
    secret = "15388ad5c9af4cf3"
    told = f"refused https://admin:{secret}@example.com with Authorization: Token {secret}"
    document = case.document(case.failed)
    bent = {
        key: told if isinstance(value, str) and key not in case.needed else value
        for key, value in document.items()
    }
    assert secret not in repr(await fetched(case, bent | {"error": {"description": told, "traceback": told}}))
    with pytest.raises(SourceError) as caught:
        await case.api(answer({"message": told}, 400)).fetch("1")
    assert secret not in str(caught.value)
