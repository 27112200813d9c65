"""The ledger's tables, their version, and the way from each earlier version to this one.

Times are microseconds since 1970 (UTC), and durations microseconds, both integers: exact, small,
and the same in SQLite and PostgreSQL.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    ClauseElement,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import Insert

from exporter.store.prepared import Prepared, Values

VERSION = 2
"""
1  runs, totals, the board's rows, watched ids, scrapers, outbox
2  the last durations of each operation, for estimates; an index for pruning; an outbox whose numbers never
   come again, the receivers' places in it, and the alerts that fire
"""

Row = dict[str, object]

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up by itself only what it calls INTEGER."""
Name = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is sorted by its characters' numbers, as by SQLite and Python, and by no language's rules."""

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""``schema_version``, ``released``, and ``bounds:<metric>`` of each histogram as JSON."""

sources = Table(
    "sources",
    metadata,
    Column("source", Text, primary_key=True),
    Column("first_start", BigInteger, nullable=False),
    Column("watermark", BigInteger),
)

runs = Table(
    "runs",
    metadata,
    Column("source", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("run", Name, primary_key=True),
    Column("opened", Boolean, nullable=False, comment="seen before it ended, so discovered by then"),
    Column("counted", Boolean, nullable=False, comment="as against unfinished, or history"),
    Column("status", Text, comment="null until it ends"),
    Column("operation", Text),
    Column("finished_at", BigInteger, comment="only where the API tells it"),
    Column("duration", BigInteger),
    Column("queued", BigInteger),
    Index("runs_by_end", "source", "finished_at"),
    sqlite_with_rowid=False,  # The key is most of the row; without a row id it is stored once.
)
"""Every run that was discovered, counted, or taken for history: what makes counting exact."""

series = Table(
    "series",
    metadata,
    Column("birth", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("labels", Text, nullable=False, comment="the values as a JSON list"),
    Column("value", BigInteger, nullable=False, comment="a counter's count, a histogram's sum"),
    UniqueConstraint("name", "labels"),
)

buckets = Table(
    "buckets",
    metadata,
    Column("birth", BigInteger, primary_key=True),
    Column("bucket", Integer, primary_key=True, comment="its position in the metric's bounds"),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The buckets of histograms that are not empty."""

latest = Table(
    "latest",
    metadata,
    Column("source", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("success_at", BigInteger),
    Column("finish_at", BigInteger),
    Column("duration", BigInteger),
    Column("durations", Text, nullable=False, comment="JSON, of the last successes, oldest first"),
)

entries = Table(
    "entries",
    metadata,
    Column("source", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("entry", Text, nullable=False, comment="board.Entry as JSON, of the schema's version"),
)

watched = Table(
    "watched",
    metadata,
    Column("source", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("name", Text, nullable=False),
)

scrapers = Table(
    "scrapers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("seen", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("interval", Double, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("event", Text, nullable=False, unique=True, comment="the same for the same news, always"),
    Column("status", Text, nullable=False, comment="the status that is the news"),
    Column("payload", Text, nullable=False, comment="model.Transition as JSON"),
    sqlite_autoincrement=True,  # The number of a row that was deleted must never come again: see receivers.
)

receivers = Table(
    "receivers",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="the id in the outbox up to which it was told"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("event", Text, primary_key=True, comment="as in the outbox"),
    Column("source", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("labels", Text, nullable=False, comment="JSON; never changes, for it is the alert's identity"),
    Column("annotations", Text, nullable=False, comment="JSON"),
    Column("ended_at", BigInteger, nullable=False, comment="when the run ended, by its API where it tells"),
    Column("starts_at", BigInteger, nullable=False, comment="when the end was seen, by our clock"),
    Column("accepted_at", BigInteger, comment="when an Alertmanager first took it"),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("resolved_at", BigInteger),
)
"""What Alertmanager is told, for as long as it is told."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(at: datetime) -> int:
    """A time as the tables keep it."""
    return (at - _EPOCH) // _MICROSECOND


def micros(span: timedelta) -> int:
    """A duration as the tables keep it."""
    return span // _MICROSECOND


def time(stamped: int) -> datetime:
    """A time from the tables."""
    return _EPOCH + stamped * _MICROSECOND


def span(micros: int) -> timedelta:
    """A duration from the tables."""
    return micros * _MICROSECOND


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT that knows ON CONFLICT: the one thing that is spelled differently by dialect.

    PostgreSQL's has the same methods as SQLite's. Only the dialect in use is loaded: each takes some 2 MiB.
    """
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    return cast("type[Insert]", dialect.Insert)(table)


def put(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Write whole rows by their primary key, over those that are there."""
    _putting(table).write(connection, rows)


def take(connection: Connection, table: Table, keys: Sequence[Values]) -> None:
    """Delete rows by their primary key."""
    _taking(table).write(connection, keys)


@cache
def _putting(table: Table) -> Prepared:
    key = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns]

    def build(connection: Connection) -> ClauseElement:
        statement = insert(connection, table)
        values = {name: statement.excluded[name] for name in names if name not in key}
        return statement.on_conflict_do_update(index_elements=key, set_=values)

    return Prepared(build, names)


@cache
def _taking(table: Table) -> Prepared:
    key = list(table.primary_key)
    statement = delete(table).where(*(column == bindparam(f"of_{column.name}") for column in key))
    return Prepared(lambda _: statement, [f"of_{column.name}" for column in key])


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Note a value in the table ``meta``, over an earlier one."""
    put(connection, meta, [(key, value)])


def get_meta(connection: Connection, key: str) -> str | None:
    """Look up a value in the table ``meta``."""
    return connection.scalar(select(meta.c.value).where(meta.c.key == key))


def create(connection: Connection) -> None:
    """Create every table in an empty database."""
    metadata.create_all(connection)
    set_meta(connection, "schema_version", str(VERSION))


def _to_2(connection: Connection) -> None:
    """The last durations of each operation are kept beside its latest end."""
    connection.execute(text("ALTER TABLE latest ADD COLUMN durations TEXT NOT NULL DEFAULT '[]'"))
    last = text(
        "SELECT duration / 1000000.0 FROM runs WHERE source = :source AND operation = :operation"
        " AND status = 'success' AND counted AND duration IS NOT NULL"
        " ORDER BY finished_at DESC LIMIT 50"
    )
    update = text(
        "UPDATE latest SET durations = :durations WHERE source = :source AND operation = :operation"
    ).bindparams(bindparam("durations"))
    for source, operation in connection.execute(text("SELECT source, operation FROM latest")).all():
        key = {"source": source, "operation": operation}
        newest_first = [str(float(seconds)) for seconds in connection.scalars(last, key)]
        connection.execute(update, {**key, "durations": f"[{', '.join(reversed(newest_first))}]"})
    _create_notifications(connection)
    connection.execute(text("CREATE INDEX runs_by_end ON runs (source, finished_at)"))


def _create_notifications(connection: Connection) -> None:
    """The tables for notifications; nobody has ever read the outbox of version 1."""
    for statement in (
        "DROP TABLE outbox",
        (
            "CREATE TABLE outbox (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL,"
            " status TEXT NOT NULL, payload TEXT NOT NULL, UNIQUE (event))"
        ),
        "CREATE TABLE receivers (receiver TEXT NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (receiver))",
        (
            "CREATE TABLE alerts (event TEXT NOT NULL, source TEXT NOT NULL, task_id TEXT NOT NULL,"
            " run TEXT NOT NULL, operation TEXT NOT NULL, status TEXT NOT NULL, labels TEXT NOT NULL,"
            " annotations TEXT NOT NULL, ended_at BIGINT NOT NULL, starts_at BIGINT NOT NULL,"
            " accepted_at BIGINT, acknowledged_at BIGINT, acknowledged_by TEXT NOT NULL,"
            " comment TEXT NOT NULL, resolved_at BIGINT, PRIMARY KEY (event))"
        ),
    ):
        connection.execute(text(statement))


MIGRATIONS: Sequence[Callable[[Connection], None]] = (_to_2,)
"""The first leads from version 1 to 2, and so on; what is in it never changes again."""


def migrate(connection: Connection, version: int) -> None:
    """Bring the tables of an earlier *version* to this one, within the caller's transaction."""
    for step in MIGRATIONS[version - 1 :]:
        step(connection)
    set_meta(connection, "schema_version", str(VERSION))
