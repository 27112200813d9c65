"""Secrets made for a test, and the search for them: as they are, and in the usual encodings."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus


class Secrets:
    """Hands out secrets and remembers them; ``secrets("of what")`` is the same text each time."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """A secret whose encodings all differ from it, and that no pattern takes for a credential."""
        return self._texts.setdefault(name, f"hush/{name}+{len(self._texts)}~&")

    def add(self, name: str, text: str) -> None:
        """Search for this text as well."""
        self._texts[name] = text

    def names(self) -> set[str]:
        """What there is to search for."""
        return set(self._texts)

    def found(self, shown: Mapping[str, bytes]) -> list[str]:
        """Which of them is shown where, and in which form; nothing of the secret itself."""
        return [
            f"{name}, {form}, in {place}"
            for name, text in self._texts.items()
            for form, shape in _forms(text)
            for place, content in shown.items()
            if shape in content
        ]


def _forms(secret: str) -> Iterator[tuple[str, bytes]]:
    yield "as it is", secret.encode()
    yield "percent-encoded", quote(secret, safe="").encode()
    yield "percent-encoded but for slashes", quote(secret).encode()
    yield "as in a form", quote_plus(secret).encode()
    yield "as in JSON", json.dumps(secret)[1:-1].replace("/", "\\/").encode()
    yield "as in HTML", escape(secret).encode()
    yield "as repr", repr(secret)[1:-1].encode()
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            yield f"in base64 after {before} bytes", _inner(encode(bytes(before) + secret.encode()), before)


def _inner(encoded: bytes, before: int) -> bytes:
    """What is the same of a base64 text whatever comes before and after: whole groups of the secret alone."""
    return encoded.rstrip(b"=")[4 if before else 0 : -4]
