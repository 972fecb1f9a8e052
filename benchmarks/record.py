"""Results as a JSON file, and as a table in the documentation."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["environment", "parts", "save", "table", "taken_up"]

_HERE = Path(__file__).parent
_PAGE = _HERE.parent / "docs" / "benchmarks.md"


def environment(*packages: str) -> dict[str, str]:
    """What the numbers depend on beside the code."""
    found = {"date": time.strftime("%Y-%m-%d")}
    found |= {"machine": platform.machine(), "python": platform.python_version()}
    # How many programs wanted a processor in the last five minutes, this one among them.
    found |= {"load": f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"}
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


def parts(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The results in files that `--part` wrote, or that `save` did, together."""
    found: list[dict[str, Any]] = []
    for path in paths:
        if path.suffix == ".jsonl":
            found += taken_up(path)
        else:
            part = json.loads(path.read_text(encoding="utf-8"))
            found += part["results"] if isinstance(part, dict) else part
    return found


def taken_up(path: Path) -> list[dict[str, Any]]:
    """The results in a file of one on each line, to which further ones can be added.

    A last line that was cut short is taken away.
    """
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8")
    lines = whole[: whole.rfind("\n") + 1]
    if lines != whole:
        path.write_text(lines, encoding="utf-8")
    return [json.loads(line) for line in lines.splitlines()]


def save(name: str, results: dict[str, Any], text: str) -> None:
    """Write `results/NAME.json`, and put `text` between the marks of that name in the page.

    Below the text stand its date and `environment`, and the seeds of the `results`.
    """
    (_HERE / "results").mkdir(exist_ok=True)
    path = _HERE / "results" / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    page = _PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise SystemExit(f"{_PAGE} has no place for {name}: put {begin} and {end} there")
    text = f"{text}\n\n{_origin(results)}"
    _PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _origin(results: dict[str, Any]) -> str:
    environment = dict(results["environment"])
    facts = [f"Measured {environment.pop('date')}"]
    seeds = {row["seed"] for row in results.get("results", ()) if "seed" in row}
    if seeds:
        facts.append(f"seeds {', '.join(map(str, sorted(seeds)))}")
    facts += [f"{name} {value}" for name, value in environment.items()]
    return f"<small>{'; '.join(facts)}.</small>"
