"""Two systems that answer, and configurations that watch them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import config
from tests.app.fake_api import SYSTEMS, System

Source = dict[str, Any]


def source(name: str, *ids: str, **more: object) -> Source:
    """A source that watches these ids, and takes others over HTTP."""
    return {
        "name": name,
        "api": "tests.app.fake_api:Fake",
        "url": "http://127.0.0.1:9",
        "options": {"system": name},
        "registration": True,
        "polling": {"min_interval": "20ms", "max_interval": "40ms"},
        "static_configs": [{"targets": list(ids)}],
        **more,
    }


def text(*sources: Source) -> str:
    """A configuration of these sources."""
    return yaml.safe_dump({"sources": list(sources)})


def configured(*sources: Source) -> tuple[config.Source, ...]:
    """The same, as it is read."""
    return config.parse(text(*sources), Path()).sources


@pytest.fixture(autouse=True)
def systems() -> Iterator[dict[str, System]]:
    """The systems ``a``, ``b`` and ``c``, which answer."""
    SYSTEMS.update({name: System() for name in "abc"})
    for system in SYSTEMS.values():
        system.answers.set()
    yield SYSTEMS
    SYSTEMS.clear()
