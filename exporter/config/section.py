"""The base of every section of the configuration: strict, unchangeable, and silent about its values."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Section(BaseModel):
    """A mapping of the YAML file with known keys only."""

    cures: ClassVar[Mapping[str, str]] = {}
    """What to do about keys that Prometheus takes in such a section, and we do not."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=False,
    )

    def only_one_of(self, *names: str) -> None:
        """Check that at most one of the fields is set.

        Raises:
            ValueError: several are.
        """
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one")

    def one_of(self, *names: str) -> None:
        """Check that at least one of the fields is set.

        Raises:
            ValueError: none is.
        """
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"needs {' or '.join(names)}")


Place = tuple[str | int, ...]


def mistakes_at(mistakes: Mapping[Place, str]) -> ValidationError:
    """Build the error that tells each text at its place below the section."""
    return ValidationError.from_exception_data(
        "section",
        [
            InitErrorDetails(
                type=PydanticCustomError("mistake", "{text}", {"text": text}), loc=place, input=None
            )
            for place, text in mistakes.items()
        ],
        hide_input=True,
    )
