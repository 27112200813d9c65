"""Reads the YAML file into a `Config`, or tells every mistake in it."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exporter.config.client import AUTHENTICATION
from exporter.config.document import Config
from exporter.config.expansion import expand, fitted
from exporter.config.huawei import KEY_LOGIN, PASSWORD_LOGIN
from exporter.config.mistakes import describe
from exporter.config.section import Place
from exporter.config.source import Defaults
from exporter.errors import ConfigError
from exporter.yamltext import YamlMistake, load_yaml

_DISPLACES: dict[str, tuple[str, ...]] = {
    **{kind: tuple(other for other in AUTHENTICATION if other != kind) for kind in AUTHENTICATION},
    **dict.fromkeys(PASSWORD_LOGIN, KEY_LOGIN),
    **dict.fromkeys(KEY_LOGIN, PASSWORD_LOGIN),
    "project_id": ("project_name",),
    "project_name": ("project_id",),
    "proxy_from_environment": ("proxy_url", "no_proxy"),
    "proxy_url": ("proxy_from_environment",),
}
_FLAT = ("http_headers", "labels", "proxy_connect_header", "endpoint_params")
"""Mappings whose keys are the user's own names, each value taken whole."""


class ConfigFile:
    """The configuration file, and what it was when it was read last.

    Args:
        path: where it is.
        environment: the variables to put into its values; None leaves every ``$`` as it is.
    """

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._environment = environment
        self._digest = b""

    def load(self) -> Config:
        """Read it.

        Raises:
            ConfigError: it cannot be read, or has mistakes; one line each, with the file's name.
        """
        self._digest = b""
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise ConfigError([f"{self.path}: {error.strerror or error}"]) from None
        self._digest = sha256(text).digest()
        try:
            return parse(text, self.path.parent, self._environment)
        except ConfigError as error:
            raise ConfigError([f"{self.path}: {mistake}" for mistake in error.mistakes]) from None

    def has_changed(self) -> bool:
        """Whether it holds another text than when it was read last, with or without mistakes."""
        try:
            digest = sha256(self.path.read_bytes()).digest()
        except OSError:
            digest = b""
        return digest != self._digest


def load(path: Path) -> Config:
    """Read the configuration file at *path*, without environment variables.

    Raises:
        ConfigError: it cannot be read, or has mistakes; one line each, with the file's name.
    """
    return ConfigFile(path).load()


def parse(text: str | bytes, base_dir: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read a configuration; relative paths in it are seen from *base_dir*.

    Args:
        text: the YAML.
        base_dir: the folder of relative paths.
        environment: the variables to put into the values; None leaves every ``$`` as it is.

    Raises:
        ConfigError: it has mistakes; one line each.
    """
    try:
        raw = load_yaml(text)
    except YamlMistake as mistake:
        raise ConfigError([str(mistake)]) from None
    if raw is None:
        raise ConfigError(["the file is empty; it needs at least 'sources'"])
    if not isinstance(raw, dict):
        raise ConfigError(["the file must be a mapping with the key 'sources'"])
    given = {key: value for key, value in raw.items() if value is not None}
    context = {"base_dir": base_dir.absolute()}
    expanded: frozenset[Place] = frozenset()
    if environment is not None:
        given, expanded = expand(given, environment)
    return _validate(given, context, expanded)


def _validate(given: dict[str, Any], context: dict[str, Any], expanded: frozenset[Place]) -> Config:
    """Validate; what variables told as text is read as a number where a number is wanted."""
    try:
        return Config.model_validate(_with_defaults(given, context), context=context)
    except ValidationError as error:
        if places := fitted(given, error, expanded):
            return _validate(given, context, expanded - places)
        raise ConfigError(describe(error, Config)) from None


def _with_defaults(raw: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Merge the defaults into the sources; where they have mistakes, those are told once, in their place."""
    shared, sources = raw.get("defaults", {}), raw.get("sources")
    try:
        Defaults.model_validate(shared, context=context)
    except ValidationError:
        return raw
    if not isinstance(sources, list):
        return raw
    return raw | {"sources": [inherit(own, shared) if isinstance(own, dict) else own for own in sources]}


def inherit(own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings, deep; what is in *own* wins, and displaces what excludes it in *shared*.

    A key displaces its ``_file`` twin; one kind of authentication, login or proxy displaces the other.
    """
    merged = {key: value for key, value in shared.items() if not _displaced(key, own)}
    for key, value in own.items():
        inherited = merged.get(key)
        if isinstance(value, Mapping) and isinstance(inherited, Mapping):
            merged[key] = {**inherited, **value} if key in _FLAT else inherit(value, inherited)
        else:
            merged[key] = value
    return merged


def _displaced(key: str, own: Mapping[str, Any]) -> bool:
    twin = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
    return bool(own.get(twin)) or any(own.get(other) and key in _DISPLACES[other] for other in _DISPLACES)
