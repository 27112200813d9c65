"""What a source's API module raises is fit to be shown, whoever wrote the module."""

import asyncio
import traceback

import pytest

from exporter.apis.base import KeepsLogs
from exporter.app.upstream import Upstream
from exporter.clock import SystemClock
from exporter.errors import ExporterError, NoLog, Rejected, TaskNotFound
from exporter.metrics.own import SourceStats
from tests.app.conftest import configured, source
from tests.http.servers import Asked, answer, serve

SECRET = 'hush"\u00e4/+hush'


async def repeat(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with what was told."""
    writer.write(answer(403, f"not with {dict(asked.headers)['x-key']} {SECRET}".encode()))


async def failure_of(kind: str) -> Exception:
    """What comes of asking for a log while the module raises this."""
    async with serve(repeat) as server:
        told = source("a", url=server.url, api="tests.app.careless_api:Careless", options={"kind": kind})
        [settings] = configured(told | {"http_headers": {"X-Key": {"secrets": [SECRET]}}})
        upstream = Upstream(settings, SourceStats("a", "careless"), SystemClock())
        assert isinstance(upstream.api, KeepsLogs)
        try:
            with pytest.raises(Exception, match="not with") as told_us:
                await upstream.fetch_log(upstream.api, "1")
        finally:
            await upstream.close()
    return told_us.value


@pytest.mark.parametrize("kind", [Rejected, TaskNotFound, NoLog])
async def test_an_error_with_an_answer_in_it_tells_no_secret(kind: type[ExporterError]) -> None:
    """It stays what it is, to the pause that was asked for; what the server repeated is blotted out."""
    error = await failure_of(kind.__name__)
    assert type(error) is kind
    assert "hush" not in str(error)
    assert "not with" in str(error)
    assert getattr(error, "retry_after", 3.0) == 3.0


async def test_a_defect_s_traceback_tells_no_secret() -> None:
    """It names the module's line and the kind of the defect, but not what came with it or before it."""
    error = await failure_of("KeyError")
    shown = "".join(traceback.format_exception(error))
    assert "careless_api.py" in shown
    assert "KeyError: 'not with" in shown
    assert "hush" not in shown
