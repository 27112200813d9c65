"""Lists of task ids are read as Prometheus writes file_sd and http_sd, and refused with place and cure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from exporter.discovery.ids import ignored_labels, read_groups, unique
from exporter.errors import DiscoveryError
from exporter.model import WatchedId

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: (
        some.lists(inner)
        | some.dictionaries(
            some.sampled_from(["targets", "labels", "operation", "name", "x"]) | some.text(), inner
        )
    ),
)


def test_groups_become_ids_with_what_is_known() -> None:
    """Each target is an id with its group's operation and name."""
    data = [{"targets": ["1", "2"], "labels": {"operation": "import", "name": "HR"}}, {"targets": ["3"]}]
    assert read_groups(data) == (
        WatchedId(id="1", operation="import", name="HR"),
        WatchedId(id="2", operation="import", name="HR"),
        WatchedId(id="3"),
    )


def test_an_empty_list_is_a_list() -> None:
    """Nothing to watch is no mistake."""
    assert read_groups([]) == ()


def test_whole_numbers_become_text() -> None:
    """An unquoted id keeps its digits, however many."""
    assert read_groups([{"targets": [244591, 10**30]}]) == (
        WatchedId(id="244591"),
        WatchedId(id="1" + "0" * 30),
    )


def test_an_id_that_comes_twice_is_watched_once() -> None:
    """The first mention wins, in order."""
    ids = [WatchedId(id="2", name="a"), WatchedId(id="1"), WatchedId(id="2", name="b")]
    assert unique(ids) == (ids[0], ids[1])


def test_foreign_labels_are_ignored_and_told() -> None:
    """Labels without a meaning here are named, those of Prometheus' own kind are not."""
    data = [{"targets": ["1"], "labels": {"__meta_x": "1", "team": "a", "operation": "x"}}, {"targets": []}]
    assert read_groups(data) == (WatchedId(id="1", operation="x"),)
    assert ignored_labels(data) == {"team"}


@pytest.mark.parametrize(
    ("data", "mistake"),
    [
        (None, "must be a list of groups such as"),
        ({"targets": []}, "must be a list of groups such as"),
        (["1"], r"\[0\]: must be a mapping with targets and labels"),
        ([{}], r"\[0\].targets: must be a list of task ids"),
        ([{"targets": "1"}], r"\[0\].targets: must be a list of task ids"),
        ([{"targets": [], "label": {}}], r"\[0\]: unknown key 'label'; a group has targets and labels"),
        ([{"targets": [1], "labels": [1]}], r"\[0\].labels: must be a mapping such as {operation: import}"),
        ([{"targets": [1], "labels": {"operation": "a\nb"}}], r"\[0\].labels.operation: must be one line"),
        ([{"targets": [1], "labels": {"name": None}}], r"\[0\].labels.name: must be one line of text"),
        ([{"targets": [1]}, {"targets": ["1", ""]}], r"\[1\].targets\[1\]: a task id is empty"),
        ([{"targets": [" \t"]}], r"\[0\].targets\[0\]: a task id is empty"),
        ([{"targets": [" 1"]}], r"\[0\].targets\[0\]: task id ' 1' has blanks around it"),
        ([{"targets": ["1\x00"]}], r"\[0\].targets\[0\]: task id '1\\x00' has blanks"),
        ([{"targets": ["x" * 257]}], r"\[0\].targets\[0\]: a task id is longer than 256 characters"),
        ([{"targets": [1.5]}], r"\[0\].targets\[0\]: a task id must be text or a whole number; quote it"),
        ([{"targets": [True]}], r"\[0\].targets\[0\]: a task id must be text or a whole number; quote it"),
        ([{"targets": [None]}], r"\[0\].targets\[0\]: a task id must be text or a whole number; quote it"),
    ],
)
def test_what_is_no_such_list_is_refused(data: Any, mistake: str) -> None:  # noqa: ANN401 - whatever is in a file
    """Each mistake is told with its place."""
    with pytest.raises(DiscoveryError, match=mistake):
        read_groups(data)


@given(JSON | some.lists(some.fixed_dictionaries({"targets": some.lists(JSON)}, optional={"labels": JSON})))
def test_nothing_in_a_list_breaks_the_reader(data: Any) -> None:  # noqa: ANN401 - whatever is in a file
    """Whatever is decoded from a file is read or refused, and what is read can be a label's value."""
    try:
        ids = read_groups(data)
    except DiscoveryError:
        return
    assert all(one.id.isprintable() and 0 < len(one.id) <= 256 for one in ids)
    ignored_labels(data)
