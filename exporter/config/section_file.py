"""Reads a file of its own into one section, or tells every mistake in it with the file's name."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from exporter.config.mistakes import describe
from exporter.config.section import Section
from exporter.errors import ConfigError
from exporter.yamltext import YamlMistake, load_yaml

S = TypeVar("S", bound=Section)


def read_section(path: Path, kind: type[S], example: str) -> S:
    """Read the YAML file at *path*; relative paths in it are seen from its folder.

    Args:
        path: where it is; an empty file has nothing but defaults.
        kind: the section.
        example: a line that could stand in it.

    Raises:
        ConfigError: it cannot be read, or has mistakes; one line each, with the file's name.
    """
    try:
        raw = load_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or error}"]) from None
    except YamlMistake as mistake:
        raise ConfigError([f"{path}: {mistake}"]) from None
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError([f"{path}: must be a mapping such as '{example}'"])
    given = {key: value for key, value in (raw or {}).items() if value is not None}
    try:
        return kind.model_validate(given, context={"base_dir": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError([f"{path}: {mistake}" for mistake in describe(error, kind)]) from None
