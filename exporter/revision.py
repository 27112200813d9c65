"""Tells which commit the package was built from, as the build has noted it in the package."""

from functools import cache
from importlib.resources import files

UNKNOWN = "unknown"
_FILE = "REVISION"


@cache
def revision() -> str:
    """The commit, with ``-modified`` if the tree was not as committed.

    `UNKNOWN` where the build could not tell, or there was none, as in an editable installation.
    """
    try:
        return files(__package__).joinpath(_FILE).read_text(encoding="utf-8").strip() or UNKNOWN
    except FileNotFoundError:
        return UNKNOWN
