"""Files with task ids are read, noticed when they change, and never lost by a mistake in them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.discovery.file import LARGEST_FILE, FileDiscovery, read_file
from exporter.errors import DiscoveryError
from tests.discovery.fakes import Failures, HandClock, Loop

Discover = Callable[..., FileDiscovery]


@pytest.fixture
def discover(tmp_path: Path, failures: Failures, loop: Loop) -> Discover:
    """Sets up the discovery of files in a folder of the test's own."""

    def build(*patterns: str) -> FileDiscovery:
        return FileDiscovery(
            [str(tmp_path / pattern) for pattern in patterns or ("*.yaml",)],
            clock=loop.clock,
            observer=failures,
            sleep=loop.sleep,
        )

    return build


def write(path: Path, *ids: object) -> None:
    """Replace a file as a launcher should: written beside it and moved."""
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps([{"targets": ids, "labels": {"operation": "import"}}]))
    beside.replace(path)


async def texts(discovery: FileDiscovery) -> list[str]:
    """The ids that a check finds."""
    return [watched.id for watched in await discovery.check()]


async def test_yaml_and_json_are_read(discover: Discover, tmp_path: Path) -> None:
    """The ids of all files that match are found, in the order of patterns and names."""
    (tmp_path / "b.yaml").write_text("- targets: [0012, 244591]\n  labels: {operation: import}\n")
    (tmp_path / "a.yaml").write_text("[]")
    write(tmp_path / "c.json", "x")
    found = await discover("*.yaml", "c.json").refresh()
    assert [(watched.id, watched.operation) for watched in found] == [
        ("0012", "import"),
        ("244591", "import"),
        ("x", "import"),
    ]


async def test_a_change_is_noticed(discover: Discover, tmp_path: Path) -> None:
    """A file that was replaced is read again, even with the same size."""
    discovery = discover()
    write(tmp_path / "a.yaml", "1")
    assert await texts(discovery) == ["1"]
    write(tmp_path / "a.yaml", "2")
    assert await texts(discovery) == ["2"]


async def test_a_change_in_place_is_noticed(discover: Discover, tmp_path: Path) -> None:
    """A file that is written over in the same place is read again."""
    discovery = discover()
    write(tmp_path / "a.yaml", "1")
    assert await texts(discovery) == ["1"]
    (tmp_path / "a.yaml").write_text("[{targets: [1, 2]}]")
    assert await texts(discovery) == ["1", "2"]


async def test_an_unchanged_file_is_not_read(discover: Discover, tmp_path: Path, failures: Failures) -> None:
    """A check reads what has changed only; a refresh reads all."""
    discovery = discover()
    (tmp_path / "a.yaml").write_text("[")
    await discovery.check()
    await discovery.check()
    assert len(failures.mechanisms) == 1
    await discovery.refresh()
    assert len(failures.mechanisms) == 2


async def test_files_come_and_go(discover: Discover, tmp_path: Path) -> None:
    """A new file adds its ids, and a removed one takes them away."""
    discovery = discover()
    write(tmp_path / "a.yaml", "1")
    assert await texts(discovery) == ["1"]
    write(tmp_path / "b.yaml", "2")
    assert await texts(discovery) == ["1", "2"]
    (tmp_path / "a.yaml").unlink()
    assert await texts(discovery) == ["2"]


async def test_a_broken_file_keeps_its_last_ids(
    discover: Discover, tmp_path: Path, failures: Failures, logged: list[Any]
) -> None:
    """A mistake costs nothing, is counted, is told once with its place, and so is its end."""
    discovery = discover()
    path = tmp_path / "a.yaml"
    write(path, "1")
    write(tmp_path / "b.yaml", "2")
    await discovery.check()
    path.write_text("- targets: [3, '']\n")
    assert await texts(discovery) == ["1", "2"]
    await discovery.refresh()
    write(path, "3")
    assert await texts(discovery) == ["3", "2"]
    assert failures.mechanisms == ["file", "file"]
    assert [(line["log_level"], line["event"], str(line.get("err", ""))) for line in logged] == [
        (
            "warning",
            "Cannot read task ids; the last ones stay in use",
            f"{path}: [0].targets[1]: a task id is empty",
        ),
        ("info", "Task ids can be read again", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("a.yaml", b"- targets: [1\n", "line 2, column 1: expected ',' or ']'"),
        ("a.yaml", b"", "must be a list of groups"),
        ("a.yaml", b"\xff", "not text in UTF-8"),
        ("a.yaml", b" " * (LARGEST_FILE + 1), "larger than 16 MiB; split it"),
        ("a.json", b"[{]", "line 1, column 3: "),
        ("a.json", b'["\xff"]', "not JSON in UTF-8"),
        ("a.json", b"[" * 100_000, "not JSON in UTF-8"),
    ],
)
def test_a_mistake_is_told_with_file_and_place(
    tmp_path: Path, name: str, content: bytes, mistake: str
) -> None:
    """Whatever is in a file, the error names the file and what is wrong with it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DiscoveryError) as told:
        read_file(str(tmp_path / name))
    assert str(told.value).startswith(f"{tmp_path / name}: ")
    assert mistake in str(told.value)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """A file that vanishes between two looks is an error of discovery like any other."""
    with pytest.raises(DiscoveryError, match=r"gone\.yaml: No such file or directory"):
        read_file(str(tmp_path / "gone.yaml"))


async def test_a_pattern_that_finds_nothing_is_told_once(discover: Discover, logged: list[Any]) -> None:
    """A misspelt path shows in the log."""
    discovery = discover("nowhere.yaml")
    await discovery.check()
    await discovery.check()
    assert [line["event"] for line in logged] == ["No file with task ids"]


async def test_ignored_labels_are_told_once(discover: Discover, tmp_path: Path, logged: list[Any]) -> None:
    """Labels without a meaning are told when they first appear."""
    (tmp_path / "a.yaml").write_text("[{targets: [1], labels: {team: x, __meta_y: z}}]")
    discovery = discover()
    await discovery.refresh()
    await discovery.refresh()
    assert [(line["event"], line["labels"]) for line in logged] == [("Ignored labels of task ids", "team")]


async def test_only_regular_files_are_opened(discover: Discover, tmp_path: Path) -> None:
    """A pipe, a folder or a dangling link of a matching name neither blocks nor breaks."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    assert await texts(discover()) == []


async def test_the_loop_publishes_what_is_new(discover: Discover, tmp_path: Path, loop: Loop) -> None:
    """The first list is published, and then each change, within seconds."""
    published = await loop.run(
        discover().run(loop.publish),
        lambda: write(tmp_path / "a.yaml", "1"),
        lambda: None,
        lambda: write(tmp_path / "a.yaml", "1", "2"),
    )
    assert published == [[], ["1"], ["1", "2"]]
    assert loop.clock.seconds <= 10.0


async def test_the_loop_refreshes_after_the_interval(
    discover: Discover, tmp_path: Path, loop: Loop, failures: Failures
) -> None:
    """Once the refresh interval is over, all files are read even if none has changed."""

    def wait(clock: HandClock) -> None:
        clock.seconds += 300.0

    (tmp_path / "a.yaml").write_text("[")
    await loop.run(discover().run(loop.publish), lambda: None, lambda: wait(loop.clock))
    assert len(failures.mechanisms) == 2
