"""Runs the benchmarks: all of them, or the parts that are named."""

import argparse
import sys
import time
from importlib import import_module

from bench.figures import Part
from bench.machine import describe
from bench.report import save

PARTS = ("polls", "scrape", "blocking", "calls", "memory", "start", "commit")


def main() -> None:
    """Measure each part in turn, and write its results as soon as they are there."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (5)")
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in chosen.parts or PARTS:
        _measure(name, chosen.runs)


def _measure(name: str, runs: int) -> None:
    part: Part = import_module(f"bench.{name}").PART
    machine, began = describe(), time.monotonic()
    figures = part.run(runs)
    save(name, part.title, machine, figures)
    sys.stdout.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    for figure in figures:
        mark = {True: "reached", False: "NOT REACHED", None: ""}[figure.reached]
        sys.stdout.write(f"  {figure.what}: {figure.median:.4g} {figure.unit} {figure.target} {mark}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
