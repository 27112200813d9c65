"""An end of a task as a CloudEvent."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from exporter.alerts.events import cloud_event
from exporter.model import Status
from tests.store.given import START, transition


def event(url: str = "", **task: object) -> dict[str, Any]:
    """The event of a task that failed."""
    ended = transition(Status.ERROR, duration=timedelta(seconds=90), **task)  # type: ignore[arg-type]
    content: dict[str, Any] = json.loads(cloud_event("e1", ended, {"team": "finance"}, url))
    return content


def test_the_attributes_are_those_of_cloudevents_1_0() -> None:
    """Required and optional attributes, by the standard's names."""
    told = event(task_id="244591", finished_at=START)
    del told["data"]
    assert told == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/api/v1/sources/epm",
        "type": "asynctask.task.error",
        "subject": "244591",
        "time": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
    }


def test_the_data_is_the_task() -> None:
    """Times in RFC 3339, durations in seconds, the source's own labels, a link that can be followed."""
    data = event("https://x.example.com", task_id="a/b", message="no", error_code="E7")["data"]
    assert data["labels"] == {"team": "finance"}
    assert (data["status"], data["previous_status"]) == ("error", "running")
    assert (data["message"], data["error_code"], data["duration_seconds"]) == ("no", "E7", 90.0)
    assert data["url"] == "https://x.example.com/api/v1/sources/epm/tasks/a%2Fb"
    assert data["finished_at"] is None


def test_without_an_address_there_is_no_link() -> None:
    """A link to nowhere is worse than none."""
    assert event()["data"]["url"] is None


def test_no_secret_and_no_control_character() -> None:
    """An event goes to other systems, so it is as clean as a page."""
    data = event(message="token=geheim1geheim1\x1b[31m", name="\x07x")["data"]
    assert "geheim" not in json.dumps(data)
    assert (data["message"], data["name"]) == ("token=***", "x")


def test_the_page_shows_an_event_as_it_is() -> None:
    """docs/notifications.md has every attribute and every field, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text("utf-8")
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    told = event("https://x.example.com")
    assert (list(shown), list(shown["data"])) == (list(told), list(told["data"]))
