"""Requests that a page of another web site makes a visitor's browser send."""

import pytest

from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter

PATHS = ["/api/v1/sources/epm/tasks", "/api/v1/sources/epm/tasks/7/acknowledge"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://exporter.example:9926"},
    ],
)
async def test_foreign_pages_are_refused(
    client: Client, fake: FakeExporter, path: str, headers: dict[str, str]
) -> None:
    """Whatever a page of another origin posts is refused and does nothing."""
    headers = {"Host": "exporter.example:9926"} | headers
    response = await client.post(path, json={"task_id": "7"}, headers=headers)
    assert response.status == 403
    assert (await response.json())["error"] == "a page of another web site sent this"
    assert not fake.posted
    assert not fake.acknowledged


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://exporter.example:9926"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://Exporter.example:9926"},
    ],
)
async def test_our_own_pages_and_programs_are_not(
    client: Client, fake: FakeExporter, headers: dict[str, str]
) -> None:
    """Scripts tell no origin; our own pages tell ours, through a proxy that ends TLS as well."""
    headers = {"Host": "exporter.example:9926"} | headers
    response = await client.post("/api/v1/sources/epm/tasks", json={"task_id": "7"}, headers=headers)
    assert response.status == 201
    assert fake.posted


async def test_reading_is_left_to_the_browser(client: Client) -> None:
    """A link from another site leads here; what pages may read is the browser's affair."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://grafana.example"}
    assert (await client.get("/", headers=headers)).status == 200
