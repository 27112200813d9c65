"""A database that cannot be asked just now is asked again, and nothing else is."""

import pytest

from exporter.errors import StorageError
from exporter.store.patience import insist


class Database:
    """Fails with these errors, one after the other, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.heard: list[str] = []

    async def ask(self) -> int:
        """Answer, or fail."""
        if self._errors:
            raise self._errors.pop(0)
        return 42

    def complain(self, *, err: str) -> None:
        """Hear of a failure."""
        self.heard.append(err)


async def test_it_is_asked_until_it_answers() -> None:
    """Each failure is told, and the answer is returned."""
    database = Database(StorageError("disk full"), StorageError("locked"))
    assert await insist(database.ask, database.complain, again=0.0) == 42
    assert database.heard == ["disk full", "locked"]


async def test_a_defect_is_not_asked_again() -> None:
    """What is no trouble of the database goes through."""
    database = Database(KeyError("no such column"))
    with pytest.raises(KeyError, match="no such column"):
        await insist(database.ask, database.complain, again=0.0)
    assert database.heard == []
