"""Texts from elsewhere are short, clean and free of credentials before they reach a pager."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.alerts import texts


def test_a_log_is_its_last_lines() -> None:
    """The end says most: at most 20 lines."""
    log = "\n".join(f"line {number}" for number in range(100)) + "\n\n"
    assert texts.tail(log).split("\n") == [f"line {number}" for number in range(80, 100)]


def test_long_lines_count_in_bytes() -> None:
    """At most 2 KiB, in whole lines where there are any."""
    kept = texts.tail("\n".join("\u00e4" * 300 for _ in range(20)))
    assert kept.split("\n") == ["\u00e4" * 300] * 3


def test_one_endless_line_keeps_its_end() -> None:
    """A log without line ends is cut in characters, never within one."""
    kept = texts.tail("\u20ac\u20ac\u20ac " * 100_000 + "end")
    assert kept.startswith("...")
    assert kept.endswith("\u20ac end")
    assert len(kept.encode()) <= texts.BYTES


def test_what_a_terminal_would_obey_is_gone() -> None:
    """Colours, titles, bells and returns do nothing on a pager's screen."""
    assert (
        texts.tail("\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07\r\nnext\u202egnp.exe")
        == "red bell\nnext gnp.exe"
    )


def test_no_secret_survives() -> None:
    """What looks like a credential is blotted out, also in the line where the cut would be."""
    log = "x" * 70_000 + " password=geheim1\n" + "Authorization: Bearer geheim2geheim2geheim2\n" * 3
    log += "https://user:geheim3@host/\n" + "password=geheim4 " + "y" * texts.BYTES
    assert "geheim" not in texts.tail(log)
    assert "geheim" not in texts.message("token=geheim5 " * 200)
    assert "geheim" not in texts.printable(log)


def test_a_message_keeps_its_beginning() -> None:
    """A message says first what is wrong."""
    kept = texts.message("Import failed: " + "x" * 5000)
    assert kept.startswith("Import failed: ")
    assert kept.endswith("...")
    assert len(kept.encode()) <= texts.MESSAGE_BYTES


@given(st.text())
def test_any_text_can_be_sent(text: str) -> None:
    """Whatever comes, what goes out is UTF-8, printable and within the limits."""
    for kept, most in ((texts.tail(text), texts.BYTES), (texts.message(text), texts.MESSAGE_BYTES)):
        assert len(kept.encode()) <= most
        assert kept.replace("\n", "").replace("\t", "").isprintable()
        assert kept.count("\n") < texts.LINES or most == texts.MESSAGE_BYTES
