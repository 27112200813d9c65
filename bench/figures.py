"""What was measured, against what, and whether it is enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that was measured several times."""

    what: str
    values: Sequence[float]
    """One by run, in the order of the runs."""
    unit: str
    target: str = ""
    """What it is to reach, in words; empty where there is no such thing."""
    reached: bool | None = None
    """Whether the median reaches it."""

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)


def at_most(what: str, values: Sequence[float], unit: str, most: float) -> Figure:
    """A number that is to be small."""
    return Figure(
        what=what, values=values, unit=unit, target=f"at most {most:g}", reached=median(values) <= most
    )


def at_least(what: str, values: Sequence[float], unit: str, least: float) -> Figure:
    """A number that is to be large."""
    return Figure(
        what=what, values=values, unit=unit, target=f"at least {least:g}", reached=median(values) >= least
    )


def ratios(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    """Ours by theirs, run by run."""
    return [one / other for one, other in zip(ours, others, strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the benchmarks."""

    title: str
    run: Callable[[int], Sequence[Figure]]
    """Measures so many times."""
