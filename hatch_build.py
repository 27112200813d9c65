"""Notes in the wheel and the sdist which commit they are built from; hatchling runs this.

The commit is found by git in a checkout. Whoever builds without one may write ``exporter/REVISION`` before,
as the sdist has it and the Dockerfile does. An editable installation changes with its tree: it gets no note.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NOTE = "exporter/REVISION"


class RevisionHook(BuildHookInterface[BuilderConfig]):
    """Adds the note."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the build: take the note of the tree, or make one if there is something to tell."""
        self._folder = TemporaryDirectory()
        root = Path(self.root)
        note = root / NOTE
        if not note.exists() and (revision := _revision(root)):
            note = Path(self._folder.name, "REVISION")
            note.write_text(f"{revision}\n", encoding="utf-8")
        if note.exists() and version != "editable":
            # Either way it comes last in the wheel, which is the same to the byte then.
            build_data["force_include"][str(note)] = NOTE

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """After the build: take it away."""
        self._folder.cleanup()


def _revision(root: Path) -> str:
    """The commit, marked as Go marks it if the tree is not as committed; "" if git cannot tell."""
    if not (root / ".git").exists():
        return ""  # Git would look for a repository further up, which is somebody else's.
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return f"{commit}-modified" if _git(root, "status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
