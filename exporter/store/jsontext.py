"""The board's rows and transitions as JSON text, for the database."""

import json
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from exporter.model import Transition
from exporter.store.entry import Entry

T = TypeVar("T")


def entry_to_json(entry: Entry) -> str:
    """Write a row of the board as JSON."""
    return _to_json(_entry(), entry)


def entry_from_json(text: str) -> Entry:
    """Read a row of the board.

    Raises:
        ValueError: it is not what `entry_to_json` writes.
    """
    return _entry().validate_json(text)


def transition_to_json(transition: Transition) -> str:
    """Write a transition as JSON."""
    return _to_json(_transition(), transition)


def transition_from_json(text: str) -> Transition:
    """Read a transition.

    Raises:
        ValueError: it is not what `transition_to_json` writes.
    """
    return _transition().validate_json(text)


@cache
def _entry() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


@cache
def _transition() -> TypeAdapter[Transition]:
    return TypeAdapter(Transition)


def _to_json(adapter: TypeAdapter[T], value: T) -> str:
    """Write JSON; what is no Unicode text, as JSON can contain it, becomes a question mark."""
    try:
        return adapter.dump_json(value).decode()
    except PydanticSerializationError:
        plain = json.dumps(adapter.dump_python(value, mode="json"), ensure_ascii=False)
        return plain.encode("utf-8", "replace").decode()
