"""Runs one measurement in a process of its own, so that none warms up or bloats another."""

import json
import subprocess
import sys
from importlib import import_module
from typing import Any

from exporter import pauses


def measure(function: str, **arguments: object) -> Any:  # noqa: ANN401 - what the function returns, as JSON
    """Call a function of this package, such as ``polls:ours``, in a new process; return what it returns."""
    command = [sys.executable, "-m", "bench.isolated", function, json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own code
    return json.loads(done.stdout.splitlines()[-1])


def _main(function: str, arguments: str) -> None:
    pauses.shorten()  # As the program does.
    module, _, name = function.partition(":")
    found = getattr(import_module(f"bench.{module}"), name)(**json.loads(arguments))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
