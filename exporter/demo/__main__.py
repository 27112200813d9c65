"""Runs the simulated task APIs alone and prints where they are: ``python -m exporter.demo --seed 7``."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from exporter.demo.simulation import CREDENTIALS, Simulation


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m exporter.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="which of many possible courses of events")
    parser.add_argument("--speed", type=_speed, default=1.0, help="how much faster than in reality")
    parser.add_argument("--port-base", type=int, default=0, help="the first of four ports; 0 for free ones")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(_run(chosen.seed, chosen.speed, chosen.port_base))
    except OSError as error:
        sys.stderr.write(f"cannot listen: {error}; choose another --port-base\n")
        return 1
    return 0


async def _run(seed: int, speed: float, port_base: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Simulation(seed=seed, speed=speed, port_base=port_base) as simulation:
        for source, url in simulation.urls.items():
            sys.stdout.write(f"{source:10} {url}  {_shown(source)}\n")
        sys.stdout.flush()
        await ended.wait()


def _shown(source: str) -> str:
    """The made-up credentials of a source, for whoever wants to look with curl."""
    return str(dict(CREDENTIALS[source]))


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 1000:  # noqa: PLR2004 - beyond it, tasks last less than a poll
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1000")
    return speed


if __name__ == "__main__":
    sys.exit(main())
