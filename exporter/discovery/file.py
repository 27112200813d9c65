"""Reads task ids from files in the format of Prometheus' file_sd, and notices when they change."""

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from exporter.clock import Clock
from exporter.discovery.ids import read_groups, unique
from exporter.discovery.report import Observer, Publish, Report
from exporter.errors import DiscoveryError
from exporter.model import WatchedId
from exporter.yamltext import YamlMistake, load_yaml

LARGEST_FILE = 16 * 1024 * 1024
CHECK_SECONDS = 2.0
Stamp = tuple[int, int, int, int]
"""What changes with a file's content: times of change, size, inode."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was read last, and the last good ids in it; None if it was never good."""

    stamp: Stamp
    ids: tuple[WatchedId, ...] | None


class FileDiscovery:
    """The ids in the files of some patterns.

    A file that cannot be read keeps its last good ids; a file that is gone takes its ids with it.
    """

    mechanism = "file"

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        clock: Clock,
        refresh_interval: float = 300.0,
        observer: Observer | None = None,
        log: FilteringBoundLogger | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Set up; reads nothing yet.

        Args:
            patterns: absolute paths; ``*`` in the last part.
            clock: tells when the refresh interval is over.
            refresh_interval: seconds after which all files are read even if they seem unchanged.
            observer: counts failures.
            log: a logger that knows the source.
            sleep: waits between two looks.
        """
        self._patterns = patterns
        self._clock = clock
        self._refresh_interval = refresh_interval
        self._report = Report(self.mechanism, observer, log)
        self._sleep = sleep
        self._seen: dict[str, _Seen] = {}
        self._refreshed_at = float("-inf")

    @property
    def is_whole(self) -> bool:
        """Whether every file was good at least once, so that no id that is in one is missing."""
        return all(seen.ids is not None for seen in self._seen.values())

    async def run(self, publish: Publish) -> None:
        """Publish the ids at once, and then whenever they change; ends by cancellation only."""
        published = None
        while True:
            overdue = self._clock.monotonic() - self._refreshed_at >= self._refresh_interval
            ids = await (self.refresh() if overdue else self.check())
            if ids != published:
                await publish(ids)
                published = ids
            await self._sleep(CHECK_SECONDS)

    async def refresh(self) -> tuple[WatchedId, ...]:
        """Read all files, and return all ids, each once."""
        self._refreshed_at = self._clock.monotonic()
        stamps = await self._look()
        return await self._read(stamps, list(stamps))

    async def check(self) -> tuple[WatchedId, ...]:
        """Read the files that have changed since they were read, and return all ids, each once."""
        stamps = await self._look()
        changed = [
            path
            for path, stamp in stamps.items()
            if path not in self._seen or self._seen[path].stamp != stamp
        ]
        return await self._read(stamps, changed)

    async def _look(self) -> Mapping[str, Stamp]:
        found: dict[str, Stamp] = {}
        for pattern in self._patterns:
            stamps = await asyncio.to_thread(_stamps, pattern)
            self._report.matched(pattern, files=len(stamps))
            found |= stamps
        return found

    async def _read(self, stamps: Mapping[str, Stamp], changed: Sequence[str]) -> tuple[WatchedId, ...]:
        for path in changed:
            # The stamp is older than the content, so that a change in between is noticed next time.
            self._seen[path] = _Seen(stamps[path], await self._read_file(path))
        self._seen = {path: self._seen[path] for path in stamps}
        return unique(watched for seen in self._seen.values() for watched in seen.ids or ())

    async def _read_file(self, path: str) -> tuple[WatchedId, ...] | None:
        try:
            data, ids = await asyncio.to_thread(read_file, path)
        except DiscoveryError as error:
            self._report.failed(path, error)
            return self._seen[path].ids if path in self._seen else None
        self._report.succeeded(path, data)
        return ids


def read_file(path: str) -> tuple[Any, tuple[WatchedId, ...]]:
    """Read a file's groups, decoded and as ids.

    Raises:
        DiscoveryError: it cannot be read, is too large, or is no such list; names place and cure.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        data = _decode(path, content)
        return data, read_groups(data)
    except OSError as error:
        raise DiscoveryError(f"{path}: {error.strerror or error}") from None
    except DiscoveryError as error:
        raise DiscoveryError(f"{path}: {error}") from None


def _decode(path: str, content: bytes) -> Any:  # noqa: ANN401 - whatever the file holds
    if len(content) > LARGEST_FILE:
        raise DiscoveryError(f"larger than {LARGEST_FILE >> 20} MiB; split it")
    try:
        return json.loads(content) if path.endswith(".json") else load_yaml(content)
    except YamlMistake as mistake:
        raise DiscoveryError(str(mistake)) from None
    except json.JSONDecodeError as error:
        raise DiscoveryError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise DiscoveryError("not JSON in UTF-8") from None


def _stamps(pattern: str) -> dict[str, Stamp]:
    """The regular files that a pattern finds, in order, each with its stamp."""
    found = {}
    for path in sorted(glob(pattern)):  # noqa: PTH207 - patterns are absolute, which Path.glob refuses
        try:
            status = Path(path).stat()
        except OSError:
            continue  # gone since, or a dangling link: as good as not there
        if stat.S_ISREG(status.st_mode):
            found[path] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
    return found
