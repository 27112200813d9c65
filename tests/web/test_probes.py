"""The health endpoints."""

import pytest

from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter


async def test_healthy_says_so(client: Client) -> None:
    """A living process answers 200 with the word of Prometheus' exporters."""
    response = await client.get("/-/healthy")
    assert (response.status, await response.text()) == (200, "Healthy\n")


async def test_healthy_does_not_depend_on_being_ready(client: Client, fake: FakeExporter) -> None:
    """A process that waits for its first polls lives; nobody should kill it for that."""
    fake.waits_for = "the first polls"
    assert (await client.get("/-/healthy")).status == 200


async def test_ready_tells_what_is_waited_for(client: Client, fake: FakeExporter) -> None:
    """Before polling has begun it is 503 and says what is missing; after that 200."""
    fake.waits_for = "the first polls"
    response = await client.get("/-/ready")
    assert (response.status, await response.text()) == (503, "Not ready: the first polls\n")
    fake.waits_for = ""
    assert (await client.get("/-/ready")).status == 200


@pytest.mark.parametrize(
    "path", ["/-/healthy", "/-/ready", "/metrics", "/", "/api/v1/tasks", "/api/v1/sources"]
)
async def test_head_answers_without_body(client: Client, path: str) -> None:
    """HEAD has the status and headers of GET, and no body."""
    response = await client.head(path)
    assert (response.status, await response.read()) == (200, b"")
    assert response.headers["Content-Type"] == (await client.get(path)).headers["Content-Type"]
