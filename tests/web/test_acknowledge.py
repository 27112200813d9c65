"""A person says over HTTP that they have seen a failed task."""

import pytest

from exporter.errors import StorageError
from exporter.web.views import NoAlert, RegistrationOff, UnknownSource
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

PATH = "/api/v1/sources/epm/tasks/1/acknowledge"
JSON = {"Content-Type": "application/json"}


async def test_it_is_noted_who_has_seen_it(client: Client, fake: FakeExporter) -> None:
    """The answer tells what is noted."""
    response = await client.post(PATH, json={"by": "ada", "comment": "on it"})
    data = {"source": "epm", "task_id": "1", "acknowledged_at": "2026-01-01T12:00:00Z"}
    assert response.status == 200
    assert (await response.json())["data"] == {**data, "by": "ada", "comment": "on it"}
    assert list(fake.acknowledged) == [("epm", "1")]


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"by": null}', b'{"by": "", "comment": ""}'])
async def test_nobody_has_to_give_a_name(client: Client, fake: FakeExporter, body: bytes) -> None:
    """The body may be empty."""
    response = await client.post(PATH, data=body, headers=JSON)
    assert response.status == 200
    assert [(one.by, one.comment) for one in fake.acknowledged.values()] == [("", "")]


async def test_the_first_stays(client: Client) -> None:
    """Doing it twice changes nothing, and tells who was first."""
    await client.post(PATH, json={"by": "ada"})
    response = await client.post(PATH, json={"by": "bob"})
    assert response.status == 200
    assert (await response.json())["data"]["by"] == "ada"


async def test_an_id_may_hold_slashes(client: Client, fake: FakeExporter) -> None:
    """As Pulp's do."""
    response = await client.post(
        "/api/v1/sources/pulp/tasks//pulp/api/v3/tasks/01//acknowledge", headers=JSON
    )
    assert response.status == 200
    assert list(fake.acknowledged) == [("pulp", "/pulp/api/v3/tasks/01/")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_the_form_of_a_foreign_page_is_refused(client: Client, fake: FakeExporter, kind: str) -> None:
    """A browser sends these across sites without asking."""
    response = await client.post(PATH, data=b"{}", headers={"Content-Type": kind})
    assert response.status == 415
    assert not fake.acknowledged


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "must be an object"),
        (b"{", "must be an object"),
        (b"[" * 100_000, "must be an object"),
        (b'"' + b"x" * 20_000 + b'"', "must be an object"),
        (b'{"who": "ada"}', "who: unknown key; known: by, comment"),
        (b'{"by": ["ada"]}', "by: must be one line of text"),
        (b'{"comment": "a\\nb"}', "comment: must be one line of text"),
    ],
)
async def test_a_mistake_is_told_with_its_place(
    client: Client, fake: FakeExporter, body: bytes, reason: str
) -> None:
    """Nothing is noted."""
    response = await client.post(PATH, data=body, headers=JSON)
    assert response.status == 400
    assert reason in (await response.json())["error"]
    assert not fake.acknowledged


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownSource("no source is called 'epm'"), 404),
        (NoAlert("no alert of task '1' is being told"), 404),
        (RegistrationOff("source 'epm' does not say 'registration: true'"), 403),
        (StorageError("disk full"), 503),
    ],
)
async def test_there_is_a_reason_for_a_refusal(
    client: Client, fake: FakeExporter, error: Exception, status: int
) -> None:
    """Each with its status."""
    fake.error = error
    assert (await client.post(PATH, headers=JSON)).status == status
