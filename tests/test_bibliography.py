"""One bibliography: every citation in sources and pages is one paper of `bibliography.md`."""

from __future__ import annotations

import ast
import functools
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bibliography.md"

_NAME = r"(?:(?:de|De|del|den|van|von) )*[A-ZÀ-Þ][\w'’-]+"
_AUTHORS = rf"{_NAME}(?:(?:, {_NAME})*,? (?:&|and) {_NAME}| et al\.)?"
CITATION = re.compile(rf"({_AUTHORS}),? \(?((?:19|20)\d\d[a-z]?)\b(?:, ((?:19|20)\d\d[a-z]?)\b)?")
"""Authors and a year, perhaps a second one: "Bao et al. 2022a, 2022b"."""

_NO_AUTHORS = {"Measured"}


def cited(text: str) -> Iterator[str]:
    """The citations of a text: authors and year, with `&` before the last author."""
    for match in CITATION.finditer(re.sub(r"\s+", " ", text)):
        authors = match[1].replace(" and ", " & ")
        if authors not in _NO_AUTHORS:
            yield from (f"{authors} {year}" for year in (match[2], match[3]) if year)


def _prose(path: Path) -> Iterator[str]:
    """What is written for readers: a page, or the docstrings and comments of a module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        # A table has its citations in cells of their own.
        yield text.replace("|", "\n|\n")
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    # A comment is a line. To find out what is one takes long; few files have years behind a "#".
    if not re.search(r"#.*\b(?:19|20)\d\d", text):
        return
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string


@functools.cache
def _citations() -> dict[str, set[str]]:
    """Each citation, and the files it is in."""
    found: dict[str, set[str]] = {}
    sources = sorted((ROOT / "src").rglob("*.py"))
    pages = sorted(p for p in (ROOT / "docs").rglob("*.md") if p != PAGE)
    for path in [*sources, *pages, ROOT / "README.md", *sorted((ROOT / "examples").glob("*.py"))]:
        for text in _prose(path):
            for citation in cited(text):
                found.setdefault(citation, set()).add(str(path.relative_to(ROOT)))
    return found


def _entries() -> list[tuple[str, list[str]]]:
    """Each key of the page and the citations that stand for it."""
    rows = re.findall(r"^\| `([^`|]+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    return [(key, [part.strip() for part in parts.split(";")]) for key, parts in rows]


def test_every_citation_is_one_paper() -> None:
    known: dict[str, list[str]] = {}
    for key, citations in _entries():
        for citation in citations:
            known.setdefault(citation, []).append(key)
    assert {c: keys for c, keys in known.items() if len(keys) > 1} == {}
    missing = {c: sorted(files) for c, files in _citations().items() if c not in known}
    assert missing == {}


def test_every_paper_is_cited() -> None:
    found = _citations()
    assert [key for key, citations in _entries() if not set(citations) & set(found)] == []
    assert {c for _, citations in _entries() for c in citations} - set(found) == set()


def test_keys_are_in_order_and_unique() -> None:
    keys = [key for key, _ in _entries()]
    assert keys == sorted(set(keys))


def test_citations_are_found() -> None:
    text = "(Ho et al. 2020; Song, Meng & Ermon 2021), of Bao et al. (2022a, 2022b) and Neal 2001."
    assert list(cited(text)) == [
        "Ho et al. 2020",
        "Song, Meng & Ermon 2021",
        "Bao et al. 2022a",
        "Bao et al. 2022b",
        "Neal 2001",
    ]
