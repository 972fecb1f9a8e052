"""Results as a JSON file, and as a table in the documentation."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["environment", "save", "table"]

_HERE = Path(__file__).parent
_PAGE = _HERE.parent / "docs" / "benchmarks.md"


def environment(*packages: str) -> dict[str, str]:
    """What the numbers depend on beside the code."""
    found = {"machine": platform.machine(), "python": platform.python_version()}
    for package in ("torch", "pushforward", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def save(name: str, results: dict[str, Any], text: str) -> None:
    """Write `results/NAME.json`, and put `text` between the marks of that name in the page."""
    (_HERE / "results").mkdir(exist_ok=True)
    path = _HERE / "results" / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    page = _PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise SystemExit(f"{_PAGE} has no place for {name}: put {begin} and {end} there")
    _PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
