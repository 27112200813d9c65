"""A text that is never shown: a password, a token."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself as ``<secret>`` wherever it is printed, logged or formatted."""

    _text: str

    def reveal(self) -> str:
        """Tell the text, to be sent to whom it is meant for."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"
