"""An end of a task as an event: CloudEvents 1.0, JSON format, structured mode. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from exporter.alerts.texts import message
from exporter.model import Task, Transition

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def cloud_event(event: str, transition: Transition, labels: Mapping[str, str], external_url: str) -> bytes:
    """Write an event; the same news is the same bytes, at every attempt.

    Args:
        event: the id of the news.
        transition: the news.
        labels: the source's own.
        external_url: where people reach the exporter; "" for no links.
    """
    task, source = transition.task, transition.source
    content = {
        "specversion": "1.0",
        "id": event,
        "source": f"{external_url}/api/v1/sources/{quote(source)}",
        "type": f"asynctask.task.{task.status.value}",
        "subject": task.id,
        "time": _time(task.finished_at or transition.at),
        "datacontenttype": "application/json",
        "data": {
            "source": source,
            "labels": dict(labels),
            **_task(transition),
            "url": link(external_url, source, task.id) or None,
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def link(external_url: str, source: str, task_id: str) -> str:
    """Where a task is shown; "" if nobody said where the exporter is."""
    path = f"/api/v1/sources/{quote(source)}/tasks/{quote(task_id, safe='', errors='replace')}"
    return external_url + path if external_url else ""


def _task(transition: Transition) -> dict[str, object]:
    task: Task = transition.task
    took = transition.duration
    return {
        "task_id": task.id,
        "run": transition.run,
        "status": task.status.value,
        "previous_status": None if transition.previous is None else transition.previous.value,
        "operation": task.operation,
        "name": message(task.name),
        "progress": task.progress,
        "created_at": _time(task.created_at),
        "started_at": _time(task.started_at),
        "finished_at": _time(task.finished_at),
        "seen_at": _time(transition.at),
        "duration_seconds": None if took is None else took.total_seconds(),
        "message": message(task.message),
        "error_code": message(task.error_code),
        "processed": task.processed,
        "expected": task.expected,
        "parent_id": task.parent_id,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
