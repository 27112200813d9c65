"""Every mistake in ``tests/configs`` is told with its place and cure, and never with a secret."""

from pathlib import Path

import pytest

from exporter.config import load
from exporter.errors import ConfigError

FILES = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
SECRETS = ("geheim", "12345")


def expected(path: Path) -> tuple[str, ...]:
    """The mistakes that the file says it has, in its first lines, each with the file's name."""
    lines = path.read_text().splitlines()
    told = (line.removeprefix("# error: ") for line in lines if line.startswith("# error: "))
    return tuple(f"{path}: {mistake}" for mistake in told)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mistake_is_told_in_exactly_these_words(path: Path) -> None:
    """Each file is refused with exactly the lines that it begins with."""
    with pytest.raises(ConfigError) as told:
        load(path)
    assert told.value.mistakes == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_mistake_tells_a_secret(path: Path) -> None:
    """What the files have in place of a password is in no message and no cause of it."""
    with pytest.raises(ConfigError) as told:
        load(path)
    chain = [told.value, told.value.__cause__]
    assert not [word for word in SECRETS for error in chain if word in repr(error)]


def test_there_are_files_to_try() -> None:
    """The folder of mistakes has not moved away under the tests."""
    assert len(FILES) > 80


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A configuration that is not there is refused with its path, not with a traceback."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file or directory"):
        load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    """A configuration that is not UTF-8 is refused."""
    (tmp_path / "config.yaml").write_bytes(b"sources: \xff\xfe")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        load(tmp_path / "config.yaml")
