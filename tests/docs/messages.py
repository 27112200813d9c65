"""Collects from the source what the exporter may say to an operator: every text that is not known to be none.

A new message is found wherever and however it is written, be it raised, logged, kept in a table or put
together. What is no message is left out by where it stands, or by what it looks like.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "exporter"
HOLE = "…"
"""Stands for what is filled in."""
TELLS_NONE = (
    "alerts/conditions.py",  # the texts of notifications, not of errors
    "config/reference.py",  # writes docs/configuration.md
    "demo/",  # the simulated systems
    "demonstration.py",  # greets whoever runs the demo
    "metrics/",  # what metrics mean
    "store/schema.py",  # SQL and the meaning of columns
    "web/page.py",  # HTML, as the next two
    "web/config_page.py",
    "web/status_page.py",
)
"""Modules whose texts are not messages."""
_QUIET_WORDS = {"help", "description", "comment", "prog", "title"}
"""Arguments that explain something."""
_GOOD_NEWS = {"info", "debug"}
_LOGGERS = re.compile(r"(_log|log|logger|get_logger\(\))$")
_FIELD = re.compile(r"\{[a-z]*(?::\w+)?\}")
_NO_PROSE = re.compile(
    r"^(PRAGMA|SELECT|BEGIN|journal_mode|synchronous|cache_size|journal_size_limit|application/|text/|attachment|"
    r"default-src|Basic )|[<\\]|^event: "
)
_WORD = re.compile(r"[A-Za-z]{2,}")


def messages(package: Path = PACKAGE) -> dict[str, str]:
    """Each message in a package, with a hole for what is filled in, and where it is."""
    found: dict[str, str] = {}
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package))
        if not name.startswith(TELLS_NONE):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.update((text, f"{name}:{line}") for line, text in _texts(tree) if _is_prose(text))
    return found


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts below a node, without those that stand where no message does."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, shape(node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        yield node.lineno, shape("".join(map(str, parts)))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _texts(part.value)
    else:
        for child in _loud(node):
            yield from _texts(child)


def _loud(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that may hold messages."""
    if isinstance(node, ast.Call) and _is_good_news(node.func):
        return
    for child in ast.iter_child_nodes(node):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        explains = isinstance(child, ast.keyword) and child.arg in _QUIET_WORDS
        if not docstring and not explains:
            yield child


def _is_good_news(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in _GOOD_NEWS:
        return False
    return _LOGGERS.search(ast.unparse(function.value)) is not None


def shape(text: str) -> str:
    """The text on one line, its fields as holes, without holes and marks at its ends."""
    text = re.sub(f"{HOLE}+", HOLE, " ".join(_FIELD.sub(HOLE, text).split()))
    return re.sub(rf"^[{HOLE}:;,. ]+|[{HOLE}:;, ]+$", "", text)


def _is_prose(text: str) -> bool:
    """Whether it has two words at least, and is neither SQL nor HTML nor a header."""
    return len(_WORD.findall(text)) > 1 and " " in text and not _NO_PROSE.search(text)
