"""Statements that are compiled once, and then given to the driver as they are, with their values by position.

SQLAlchemy's own way makes a dictionary of every row and a tuple of every dictionary, by way of each column's
type. That takes longer than SQLite takes to insert the row. Our columns need none of it: what we keep is text
and integers already. The driver has to take values by position, as psycopg does with ``paramstyle="format"``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.sql.compiler import SQLCompiler

Values = tuple[object, ...]
"""What a statement takes, in the order in which it names them; of a table, the order of its columns."""


class Prepared:
    """A statement, in the words of each dialect that it was needed in so far."""

    def __init__(self, build: Callable[[Connection], ClauseElement], names: Sequence[str]) -> None:
        """Take what builds the statement, and the *names* of its values in their order."""
        self._build = build
        self._names = list(names)
        self._texts: dict[str, str] = {}

    def write(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it for each of these rows."""
        if rows:
            connection.exec_driver_sql(self._text(connection), list(rows))

    def read(self, connection: Connection, values: Values) -> Sequence[tuple[Any, ...]]:
        """Execute it once; return the rows."""
        return [tuple(row) for row in connection.exec_driver_sql(self._text(connection), values)]

    def _text(self, connection: Connection) -> str:
        dialect = connection.dialect
        text = self._texts.get(dialect.name)
        if text is None:
            compiled = self._build(connection).compile(dialect=dialect, column_keys=self._names)
            if not isinstance(compiled, SQLCompiler) or compiled.positiontup != self._names:
                raise TypeError(f"{compiled} does not take its values in the order {self._names}")
            text = self._texts[dialect.name] = str(compiled)
        return text
