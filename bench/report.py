"""Writes the results: as a table to read, and as JSON to compare."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figures import Figure

_FOLDER = Path(__file__).parent
_JSON = _FOLDER / "results.json"
_TABLE = _FOLDER / "results.md"


def save(part: str, title: str, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Replace the results of one part, and write the table anew."""
    known = json.loads(_JSON.read_text()) if _JSON.exists() else {}
    told = [{**asdict(figure), "median": figure.median} for figure in figures]
    known[part] = {"title": title, "machine": machine, "figures": told}
    _JSON.write_text(json.dumps(known, indent=1) + "\n")
    _TABLE.write_text(table(known))


def table(results: Mapping[str, Mapping[str, object]]) -> str:
    """All results as Markdown."""
    lines = ["# Results", "", "Written by `make bench`; `docs/performance.md` explains them.", ""]
    for part, result in results.items():
        machine = result["machine"]
        told = ", ".join(f"{k} {v}" for k, v in machine.items()) if isinstance(machine, Mapping) else ""
        lines += [f"## {result['title']}", "", f"`make bench PART={part}`. {told}.", ""]
        lines += [
            "| what | median | least to most | unit | to reach | reached |",
            "|---|---|---|---|---|---|",
        ]
        figures = result["figures"]
        lines += [_row(figure) for figure in figures] if isinstance(figures, list) else []
        lines.append("")
    return "\n".join(lines)


def _row(figure: Mapping[str, object]) -> str:
    values = figure["values"]
    low, high = (min(values), max(values)) if isinstance(values, list | tuple) else (math.nan, math.nan)
    reached = {True: "yes", False: "**no**", None: ""}[figure["reached"]]  # type: ignore[index]
    spread = f"{_short(low)} to {_short(high)}"
    middle = _short(figure["median"])
    return f"| {figure['what']} | {middle} | {spread} | {figure['unit']} | {figure['target']} | {reached} |"


def _short(number: object) -> str:
    if not isinstance(number, int | float) or math.isnan(number):
        return ""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"  # noqa: PLR2004 - four digits and more
