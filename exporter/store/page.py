"""What the metrics wrote of the runs on a board, kept so that only what has changed is written anew.

Nothing here is ever altered, only replaced, so that two threads may write at once. Pure: no clock, no I/O.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from exporter.store.entry import Entry


@dataclass(frozen=True, slots=True)
class Column:
    """The lines of one metric for the runs of a page, in one piece: that is quick to copy, and small."""

    text: bytes
    lengths: "array[int]"
    """How many bytes of it are about each run."""

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> "Column":
        """Put together what was written of each run."""
        known = tuple(texts)
        return cls(b"".join(known), array("I", map(len, known)))

    def patched(self, changes: Mapping[int, bytes]) -> "Column":
        """The same with other texts for some runs; the numbers of these runs rise."""
        if not changes:
            return self
        ends = [0, *accumulate(self.lengths)]
        lengths, copied = self.lengths[:], 0
        parts: list[bytes] = []
        for run, text in changes.items():
            parts += (self.text[copied : ends[run]], text)
            copied = ends[run + 1]
            lengths[run] = len(text)
        return Column(b"".join((*parts, self.text[copied:])), lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs and their lines. A run keeps its place on it until it goes, and then leaves a gap."""

    ids: tuple[str, ...]
    """The task ids."""
    entries: tuple[Entry | None, ...]
    """What was written; None for a gap."""
    runs: int
    """How many there are, without the gaps."""
    blocks: tuple[str, ...]
    """The labels that all lines of a run have in common."""
    columns: tuple[Column, ...]
    """By metric."""
    until: tuple[float, ...]
    """How long the lines hold of a run that does not change, in seconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Written:
    """All that is kept for a board."""

    own: tuple[tuple[str, str], ...] = ()
    """The source's own labels, with which it was written."""
    pages: tuple[Page, ...] = ()
