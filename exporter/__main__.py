"""The program: ``asynctask-exporter``, or ``python -m exporter``."""

import sys

from exporter.cli import run


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
