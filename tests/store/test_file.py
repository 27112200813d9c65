"""The ledger's file: created, migrated, or refused in one line and left as it is."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.errors import StorageError
from exporter.model import Status, WatchedId
from exporter.store import schema, sqlite
from exporter.store.ledger import Change, Ledger, Scraper
from exporter.store.totals import DISCOVERED, DURATION, ERRORS, Latest
from tests.store.given import FakeClock, finished, opened, query, settings, transition, value

FILE = "ledger.sqlite3"


def refusal(path: Path) -> str:
    """The one line with which a start is refused; the file must stay as it is, byte by byte."""
    file = path / FILE
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(StorageError) as refused:
        Ledger.open(settings(path), FakeClock())
    assert before == (file.read_bytes() if file.is_file() else None)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def write(path: Path, sql: str) -> None:
    """Create or change a file as another program would."""
    with closing(sqlite3.connect(path / FILE)) as connection:
        connection.executescript(sql)


async def test_the_directory_is_created_for_this_user(tmp_path: Path) -> None:
    """A first start needs no preparation, and others have no business in the directory."""
    directory = tmp_path / "a" / "data"
    async with opened(directory):
        pass
    assert (directory.stat().st_mode & 0o777, (directory / FILE).is_file()) == (0o750, True)


async def test_the_file_is_marked_and_in_wal_mode(tmp_path: Path) -> None:
    """Other programs can tell whose file it is and which schema it has."""
    async with opened(tmp_path):
        assert query(tmp_path, "PRAGMA application_id") == [(sqlite.APPLICATION_ID,)]
        assert query(tmp_path, "PRAGMA journal_mode") == [("wal",)]
        version = query(tmp_path, "SELECT value FROM meta WHERE key = 'schema_version'")
        assert version == [(str(schema.VERSION),)]


async def test_memory_only_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the same code counts, and forgets."""
    monkeypatch.chdir(tmp_path)
    async with opened(None) as ledger:
        await ledger.record(Change(transitions=[transition(Status.ERROR, None)]))
        assert finished(ledger) == {"error": 1}
    async with opened(None) as ledger:
        assert finished(ledger) == {}
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no await for it


async def test_a_second_process_is_refused_at_once(tmp_path: Path) -> None:
    """Two exporters on one file would show two halves of the truth; the first goes on undisturbed."""
    async with opened(tmp_path) as ledger:
        assert "in use by another" in refusal(tmp_path)
        await ledger.record(Change(transitions=[transition(Status.SUCCESS, None)]))
    async with opened(tmp_path) as ledger:
        assert finished(ledger) == {"success": 1}


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    """No lock file has to be removed by hand after kill -9."""
    holder = (
        "import sys, os, signal; from pathlib import Path; from exporter.store.sqlite import FileLock;"
        "FileLock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", holder, tmp_path], check=False)
    assert (tmp_path / sqlite.LOCK).exists()
    sqlite.FileLock(tmp_path).release()


@pytest.mark.parametrize("place", [".", "below"])
def test_a_path_that_is_a_file_is_refused(tmp_path: Path, place: str) -> None:
    """--storage.path is a directory."""
    file = tmp_path / "data"
    file.touch()
    assert "give --storage.path a directory" in refusal(file / place)


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """Somebody's odd mount is told as what it is."""
    (tmp_path / FILE).mkdir()
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("which", ["directory", "file"])
def test_what_cannot_be_written_is_refused(tmp_path: Path, which: str) -> None:
    """A read-only volume or a file of another user stops the start with the cure in the message."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    (tmp_path / sqlite.LOCK).touch(0o666)
    tmp_path.chmod(0o555 if which == "directory" else 0o777)
    (tmp_path / FILE).chmod(0o444)
    if which == "directory":
        (tmp_path / sqlite.LOCK).unlink()
    told = as_nobody(tmp_path)
    assert "cannot be written" in told
    assert "writable for this user" in told


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    """A ledger that is there cannot even be read then, which is no question of permissions."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    write(tmp_path, "PRAGMA journal_mode = WAL")
    program = (
        "import resource, signal, sys; from pathlib import Path; from exporter.errors import StorageError;"
        "from exporter.store import sqlite\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: sqlite.prepare(Path(sys.argv[1]))\n"
        "except StorageError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, check=True
    )
    told = "cannot be read (disk I/O error); see that there is room and nothing else uses it"
    assert ran.stdout == f"{tmp_path / FILE}: {told}\n"


def as_nobody(path: Path) -> str:
    """Open the ledger in a process without rights over others' files; tell its StorageError."""
    program = (
        "import os, sys; from pathlib import Path; from exporter.clock import SystemClock;"
        "from exporter.errors import StorageError; from exporter.store.ledger import Ledger, LedgerSettings\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: Ledger.open(LedgerSettings(path=Path('.')), SystemClock())\n"
        "except StorageError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    return ran.stdout


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """After a downgrade the file waits for the newer version."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    write(tmp_path, "PRAGMA journal_mode = WAL; UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    assert "schema 99" in refusal(tmp_path)
    assert "upgrade" in refusal(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It may be somebody's only copy of something."""
    (tmp_path / FILE).write_bytes(b"minutes of the meeting\n" * 100)
    assert "file is not a database" in refusal(tmp_path)


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """Our tables are not created among theirs."""
    write(tmp_path, "CREATE TABLE bookmarks (url TEXT)")
    assert "another program" in refusal(tmp_path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """Half a copy is not taken for a whole one."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    os.truncate(tmp_path / FILE, (tmp_path / FILE).stat().st_size // 2)
    assert "broken" in refusal(tmp_path)


def test_a_file_with_a_damaged_page_is_refused(tmp_path: Path) -> None:
    """Totals are checked at every start, whatever the number of runs."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    ((page,),) = query(tmp_path, "SELECT rootpage FROM sqlite_master WHERE name = 'series'")
    assert isinstance(page, int)
    with (tmp_path / FILE).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert "broken" in refusal(tmp_path)


@pytest.mark.parametrize("left", ["", "PRAGMA journal_mode = WAL"])
async def test_what_a_killed_first_start_leaves_is_used(tmp_path: Path, left: str) -> None:
    """An empty file, or an empty database, is created anew."""
    write(tmp_path, left)
    (tmp_path / FILE).touch()
    async with opened(tmp_path) as ledger:
        assert finished(ledger) == {}


async def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    """Everything in it goes on: totals, runs, board, watched ids, scrapers; and it gains durations."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    ledger = Ledger.open(settings(tmp_path, duration_buckets=(1, 10), queue_buckets=(1, 10)), FakeClock())
    state = ledger.declare("epm", [])
    assert state.watched == [WatchedId(id="4", operation="import", name="Nightly import")]
    assert [(e.task.id, e.task.status, e.run) for e in state.entries] == [("4", "running", "#0")]
    assert state.watermark == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert finished(ledger) == {"success": 2, "error": 1}
    assert (value(ledger, DISCOVERED, "epm", "import"), value(ledger, ERRORS, "epm", "import", "E7")) == (
        4,
        1,
    )
    assert ledger.totals.histograms[DURATION]["epm", "import", "success"].counts == [1, 1, 0]
    assert list(ledger.totals.durations["epm", "import"]) == [0.5, 5.0]
    assert ledger.totals.latest["epm", "import"] == Latest(
        datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 6, tzinfo=UTC),
        timedelta(seconds=20),
    )
    at = datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert ledger.scrapers() == (9, [Scraper(key="10.0.0.1", seen=9, last=at, interval=15.0)])
    await ledger.start()
    again = [transition(Status.ERROR, task_id="4"), transition(Status.SUCCESS, task_id="1")]
    await ledger.record(Change(transitions=again))
    assert finished(ledger) == {"success": 2, "error": 2}
    await ledger.close()


async def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    """Migration and creation meet: same tables, columns and indexes."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write(old, (Path(__file__).parent / "ledger-v1.sql").read_text())
    columns = (
        "SELECT m.name, c.name, c.type, c.pk FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY 1, 2"
    )
    found = []
    for path in (old, new):
        async with opened(path):
            found.append(query(path, columns) + query(path, "SELECT name FROM sqlite_master ORDER BY 1"))
    assert found[0] == found[1]


async def test_a_start_tells_whether_the_ledger_is_new(tmp_path: Path) -> None:
    """So that a lost volume, or a copy without its log, does not pass for the ledger that it was."""
    said = []
    for path in (tmp_path, tmp_path):
        with capture_logs() as logs:
            async with opened(path):
                said.append([(log["event"], log["file"]) for log in logs if "file" in log])
    assert said == [[("Began a new ledger", str(tmp_path / sqlite.FILE))], []]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Steps run in one transaction; there is no half of a schema."""
    write(tmp_path, (Path(__file__).parent / "ledger-v1.sql").read_text())
    write(tmp_path, "CREATE INDEX runs_by_end ON runs (finished_at)")  # What the last step wants to create.
    with pytest.raises(StorageError, match="already exists"):
        Ledger.open(settings(tmp_path), FakeClock())
    assert query(tmp_path, "SELECT value FROM meta WHERE key = 'schema_version'") == [("1",)]
    assert "durations" not in str(query(tmp_path, "SELECT name FROM pragma_table_info('latest')"))
