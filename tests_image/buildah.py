"""Builds an image with Debian's buildah, without a container engine, in a store that is thrown away."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Buildah:
    """Buildah with a store of its own; root only."""

    store: Path

    def run(self, command: str, *words: str | Path, stdin: str = "") -> str:
        """Run one of its commands, and return what it printed.

        Raises:
            RuntimeError: it failed; tells its last words.
        """
        place = ("--root", self.store / "root", "--runroot", self.store / "run", "--storage-driver", "vfs")
        done = subprocess.run(
            ["buildah", *place, command, *words], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"buildah {command} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def take_in(self, archive: Path, name: str) -> None:
        """Make an image of an archive of a root file system."""
        self._build(name, archive.parent, "--file", "-", stdin=f"FROM scratch\nADD {archive.name} /\n")

    def build(
        self, name: str, context: Path, arguments: Mapping[str, str], secrets: Mapping[str, Path]
    ) -> None:
        """Build the Dockerfile of *context*; *secrets* are files that only its RUN lines see."""
        told = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        mounted = [f"--secret=id={key},src={path}" for key, path in secrets.items()]
        self._build(name, context, *told, *mounted)

    def settings(self, image: str) -> dict[str, Any]:
        """What the image says of itself: its user, its command and so on, as Docker calls them."""
        said = json.loads(self.run("inspect", "--type", "image", image))
        settings: dict[str, Any] = said["Docker"]["config"]
        return settings

    def unpacked(self, image: str) -> Path:
        """The folder of a new container's root file system."""
        return Path(self.run("mount", self.run("from", image).strip()).strip())

    def _build(self, name: str, context: Path, *words: str | Path, stdin: str = "") -> None:
        # Docker's format, because that of OCI knows no health check.
        fixed = ("--isolation", "chroot", "--layers=false", "--format", "docker", "--tag", name)
        self.run("bud", *fixed, *words, context, stdin=stdin)
