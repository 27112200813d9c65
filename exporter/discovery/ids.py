"""Reads lists of task ids in the format of Prometheus' file_sd and http_sd.

The format is a list of groups, ``[{"targets": ["244591"], "labels": {"operation": "import"}}]``. Of the
labels, ``operation`` and ``name`` are read. Nothing in here does I/O.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exporter.errors import DiscoveryError
from exporter.model import WatchedId

LABELS = ("operation", "name")
LONGEST_ID = 256
_EXAMPLE = '[{"targets": ["244591"], "labels": {"operation": "import"}}]'


def task_id(value: object) -> str:
    """The id as text; YAML and JSON may give it as a whole number.

    Raises:
        ValueError: it cannot be an id; tells why, without the place.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ValueError("a task id must be text or a whole number; quote it")  # noqa: TRY004 - callers catch one type
    if not text.strip():
        raise ValueError("a task id is empty")
    if len(text) > LONGEST_ID:
        raise ValueError(f"a task id is longer than {LONGEST_ID} characters")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"task id {text!r} has blanks around it or control characters")
    return text


def label_value(value: object) -> str:
    """A label's value as text.

    Raises:
        ValueError: it is neither text nor a whole number, is too long, or has control characters.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isprintable() or len(text) > LONGEST_ID:
        raise ValueError(f"must be one line of text, at most {LONGEST_ID} characters")
    return text


def read_groups(data: Any) -> tuple[WatchedId, ...]:  # noqa: ANN401 - decoded YAML or JSON
    """Read the ids of a decoded list of groups, each id once.

    Raises:
        DiscoveryError: it is no such list; names the place and the cure.
    """
    if not isinstance(data, list):
        raise DiscoveryError(f"must be a list of groups such as {_EXAMPLE}")
    return unique(watched for index, group in enumerate(data) for watched in _read_group(f"[{index}]", group))


def ignored_labels(data: Any) -> frozenset[str]:  # noqa: ANN401 - decoded YAML or JSON
    """The labels in a readable list of groups that mean nothing here; ``__`` ones are ignored silently."""
    names = {str(name) for group in data for name in group.get("labels") or ()}
    return frozenset(name for name in names if name not in LABELS and not name.startswith("__"))


def unique(ids: Iterable[WatchedId]) -> tuple[WatchedId, ...]:
    """The ids without repetition, in order; the first mention of an id wins."""
    first: dict[str, WatchedId] = {}
    for watched in ids:
        first.setdefault(watched.id, watched)
    return tuple(first.values())


def _read_group(place: str, group: object) -> Iterator[WatchedId]:
    if not isinstance(group, Mapping):
        raise DiscoveryError(f"{place}: must be a mapping with targets and labels")
    if unknown := sorted(str(key) for key in group if key not in {"targets", "labels"}):
        raise DiscoveryError(f"{place}: unknown key {unknown[0]!r}; a group has targets and labels")
    if not isinstance(targets := group.get("targets"), list):
        raise DiscoveryError(f"{place}.targets: must be a list of task ids")
    labels = _read_labels(f"{place}.labels", group.get("labels"))
    for index, target in enumerate(targets):
        try:
            yield WatchedId(id=task_id(target), **labels)
        except ValueError as error:
            raise DiscoveryError(f"{place}.targets[{index}]: {error}") from None


def _read_labels(place: str, labels: object) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise DiscoveryError(f"{place}: must be a mapping such as {{operation: import}}")
    known = {}
    for name in LABELS:
        try:
            known[name] = label_value(labels.get(name, ""))
        except ValueError as error:
            raise DiscoveryError(f"{place}.{name}: {error}") from None
    return known
