"""The ledger's SQLite file: opened safely, or refused in one line and left as it is."""

import fcntl
import os
import sqlite3
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.pool import StaticPool

from exporter.errors import StorageError
from exporter.store import schema

_log = structlog.get_logger()
FILE = "ledger.sqlite3"
LOCK = "ledger.lock"
APPLICATION_ID = 0x41544558
"""Marks the file as ours: "ATEX", for ``file(1)`` and for the next start."""
BUSY_MS = 1000
"""How long to wait for another program that has the file open, such as a backup."""


_ABOUT_PERMISSIONS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


class FileLock:
    """A lock that goes with its process, however that ends."""

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            StorageError: another process has it.
            OSError: the lock file cannot be written.
        """
        self._file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StorageError(
                f"{directory}: in use by another asynctask-exporter; give each its own --storage.path"
            ) from None

    def release(self) -> None:
        """Let the next process have it."""
        os.close(self._file)


def prepare(directory: Path) -> FileLock:
    """Create the directory where it is missing, lock it, and look at the file that is there.

    Raises:
        StorageError: it cannot be written, is in use, or the file is not a ledger that we can read.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = FileLock(directory)
    except (FileExistsError, NotADirectoryError):
        raise StorageError(f"{directory}: not a directory; give --storage.path a directory") from None
    except OSError as error:
        raise StorageError(
            f"{directory}: cannot be written ({error.strerror}); "
            "make it writable for this user, or give another --storage.path"
        ) from None
    try:
        check(directory / FILE)
    except StorageError:
        lock.release()
        raise
    return lock


def check(file: Path) -> None:
    """Check that a file that is there is a ledger of this version or an earlier one; change nothing.

    Only the small tables are checked whole: a table of a million runs would hold up every start.

    Raises:
        StorageError: it is not.
    """
    if not file.is_dir() and (not file.exists() or file.stat().st_size == 0):
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if tables:  # An empty database is what a start that was killed leaves behind.
                _check_ours(file, connection, tables)
                _check_version(file, connection)
                _check_pages(file, connection, tables)
    except sqlite3.OperationalError as error:
        raise StorageError(f"{file}: cannot be read ({error}); {_cure(error)}") from None
    except sqlite3.DatabaseError as error:
        raise _broken(file, str(error)) from None
    if not os.access(file, os.W_OK):
        raise StorageError(f"{file}: cannot be written; make it writable for this user")


def _cure(error: sqlite3.OperationalError) -> str:
    """What helps. Even to read, SQLite writes an index of the log, for which a full disk has no room."""
    if error.sqlite_errorcode & 0xFF in _ABOUT_PERMISSIONS:
        return "check its permissions"
    return "see that there is room and nothing else uses it"


def _check_ours(file: Path, connection: sqlite3.Connection, tables: AbstractSet[str]) -> None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID or schema.meta.name not in tables:
        raise StorageError(f"{file}: a database of another program; give another --storage.path")


def _check_version(file: Path, connection: sqlite3.Connection) -> None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is not None and int(row[0]) > schema.VERSION:
        raise StorageError(
            f"{file}: written by a newer version (schema {row[0]}, this one knows {schema.VERSION}); "
            "upgrade asynctask-exporter, or give another --storage.path"
        )


def _check_pages(file: Path, connection: sqlite3.Connection, tables: AbstractSet[str]) -> None:
    for table in tables & schema.metadata.tables.keys() - {schema.runs.name}:
        for (told,) in connection.execute(f"PRAGMA quick_check({table})"):
            if told != "ok":
                raise _broken(file, told)


def set_up(connection: Connection) -> None:
    """Bring the database to this version's schema, within the caller's transaction."""
    if not inspect(connection).has_table(schema.meta.name):
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        schema.create(connection)
        if file := connection.engine.url.database:  # Whoever expects an old one shall not have to guess.
            _log.info("Began a new ledger", file=file)
        return
    version = int(schema.get_meta(connection, "schema_version") or 1)
    if version < schema.VERSION:
        schema.migrate(connection, version)
        _log.info("Brought the ledger to this version's schema", before=version, now=schema.VERSION)


def _broken(file: Path, what: str) -> StorageError:
    return StorageError(f"{file}: broken ({what}); restore it from a backup, or move it away to start anew")


def engine(file: Path | None) -> Engine:
    """An engine with one connection, to *file* or to memory, for whichever thread is writing.

    Journal mode WAL alone survives ``kill -9``; synchronous=FULL adds the fsync after each commit
    that survives a power cut too. Commits go in groups, so it costs little.
    """
    made = create_engine(
        "sqlite://" if file is None else f"sqlite:///{file}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )
    event.listen(made, "connect", _configure)
    event.listen(made, "begin", _begin)
    return made


def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
    connection.isolation_level = None  # Python would begin transactions too late for our DDL.
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "cache_size = -4000",
        "journal_size_limit = 67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
    connection.exec_driver_sql("BEGIN IMMEDIATE")
