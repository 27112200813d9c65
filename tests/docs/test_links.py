"""Links within the documents lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_dead(document: Path, link: str) -> bool:
    """Whether a link of a document leads nowhere; addresses elsewhere are not asked."""
    if "://" in link:
        return False
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    return not target.exists() or (anchor != "" and anchor not in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each link to a file or a heading of ours finds it."""
    assert [link for link in LINK.findall(prose(document)) if is_dead(document, link)] == []


def test_dead_links_are_told(tmp_path: Path) -> None:
    """A missing file and a missing heading are found, in another document or the same."""
    document = tmp_path / "a.md"
    document.write_text("# One, two\n\n[x](#one-two) [y](#three) [z](b.md) [w](a.md#d)\n", encoding="utf-8")
    dead = [link for link in LINK.findall(prose(document)) if is_dead(document, link)]
    assert dead == ["#three", "b.md", "a.md#d"]


def test_readme_leads_to_every_document() -> None:
    """Whoever reads the README finds each page in docs."""
    linked = set(LINK.findall(prose(ROOT / "README.md")))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - linked == set()
