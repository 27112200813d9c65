"""What holds for every answer."""

import pytest

from exporter.errors import ConfigError
from exporter.web.application import build, check_telemetry_path
from tests.web.conftest import Client
from tests.web.fake_exporter import FakeExporter


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/ready", "/nothing", "/api/v1/tasks", "/api/nothing"])
async def test_every_answer_keeps_browsers_safe(client: Client, path: str) -> None:
    """The security headers are on pages, texts, JSON and errors; versions are told to nobody."""
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/index.html", "/-/", "/-/nothing", "/..%2f"])
async def test_other_paths_are_not_found(client: Client, path: str) -> None:
    """There is nothing but what is documented."""
    response = await client.get(path)
    assert (response.status, response.content_type) == (404, "text/plain")


async def test_api_errors_are_json(client: Client) -> None:
    """Below /api/ errors come in the envelope, whoever raised them."""
    response = await client.get("/api/v2/tasks")
    assert response.status == 404
    assert await response.json() == {"status": "error", "errorType": "not_found", "error": "404: Not Found"}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/-/healthy", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("PUT", "/api/v1/tasks", "GET, HEAD"),
        ("OPTIONS", "/api/v1/sources/epm/tasks", "POST"),
        ("GET", "/api/v1/sources/epm/tasks", "POST"),
        ("DELETE", "/api/v1/sources/epm/tasks/1", "GET, HEAD"),
    ],
)
async def test_wrong_methods_are_told_the_right_ones(
    client: Client, method: str, path: str, allow: str
) -> None:
    """405 names the methods there are; a preflight of a foreign page gets no permission."""
    response = await client.request(method, path)
    assert (response.status, response.headers["Allow"]) == (405, allow)
    assert not [name for name in response.headers if name.startswith("Access-Control")]


async def test_a_defect_in_the_api_is_json(client: Client, fake: FakeExporter) -> None:
    """A defect behind the JSON API is answered as JSON, without what went wrong, and counted."""
    fake.error = RuntimeError("hunter2")
    body = {"task_id": "1"}
    response = await client.post("/api/v1/sources/epm/tasks", json=body)
    assert response.status == 500
    assert await response.json() == {
        "status": "error",
        "errorType": "internal",
        "error": "internal error; see the exporter's log",
    }
    assert fake.failures == 1


@pytest.mark.parametrize("path", ["/metrics", "/probe/metrics", "/", "/statuses", "/apis/metrics"])
def test_telemetry_paths(path: str) -> None:
    """Plain paths are accepted."""
    check_telemetry_path(path)


@pytest.mark.parametrize(
    "path",
    ["", "metrics", "/{x}", "/a?b", "/a b", "/a#b", "/\n", "/api", "/api/metrics", "/-", "/static", "/tasks"],
)
def test_bad_telemetry_paths(path: str) -> None:
    """What is no plain path, or is in use, is refused with the name of the flag."""
    with pytest.raises(ConfigError, match=r"^--web\.telemetry-path: "):
        check_telemetry_path(path)


def test_no_path_that_is_served_can_be_the_telemetry_path() -> None:
    """Whatever is served beside the metrics keeps its path; the first page alone may give way."""
    paths = {route.resource.canonical for route in build(FakeExporter()).router.routes() if route.resource}
    for path in paths - {"/", "/metrics"}:
        plain = path.replace("{", "").replace("}", "")
        with pytest.raises(
            ConfigError, match=f"^--web.telemetry-path: '{plain}' is in use; choose another one$"
        ):
            check_telemetry_path(plain)
