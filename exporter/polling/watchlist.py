"""Which ids somebody asked to watch, and who asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exporter.model import WatchedId


@dataclass(slots=True)
class Watchlist:
    """The ids to watch by their origin: a file, an address, the configuration, a registration."""

    _by_origin: dict[str, dict[str, WatchedId]] = field(default_factory=dict)

    def __contains__(self, task_id: str) -> bool:
        return any(task_id in ids for ids in self._by_origin.values())

    def __len__(self) -> int:
        return len({task_id for ids in self._by_origin.values() for task_id in ids})

    def get(self, task_id: str) -> WatchedId | None:
        """What is known about an id by those who asked for it; the first origin wins."""
        for ids in self._by_origin.values():
            if task_id in ids:
                return ids[task_id]
        return None

    def add(self, origin: str, ids: Iterable[WatchedId]) -> None:
        """Let an origin ask for more ids; what it said of an id before holds."""
        mine = self._by_origin.setdefault(origin, {})
        for watched in ids:
            mine.setdefault(watched.id, watched)

    def replace(self, origin: str, ids: Sequence[WatchedId]) -> tuple[list[WatchedId], list[str]]:
        """Let an origin ask for just these ids; return the ids that are new, and those nobody wants now."""
        before = self._by_origin.get(origin, {})
        after = {watched.id: watched for watched in ids}
        new = [watched for task_id, watched in after.items() if task_id not in self]
        self._by_origin[origin] = after
        return new, [task_id for task_id in before if task_id not in self]

    def discard(self, origin: str, task_id: str) -> bool:
        """Let an origin ask for an id no more; return whether it did before."""
        return self._by_origin.get(origin, {}).pop(task_id, None) is not None
