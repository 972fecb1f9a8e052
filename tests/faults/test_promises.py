"""The page of promises names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/promises.md"


def test_every_promise_has_its_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z_0-9]+)`", text)
    assert len(named) >= 20
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"
    for section in text.split("\n## ")[1:5]:
        rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
        assert rows
        assert all("`tests/" in row for row in rows), section


def test_the_campaign_on_the_page_found_nothing_wrong() -> None:
    campaign = PAGE.read_text(encoding="utf-8").partition("<!-- campaign -->")[2]
    about = re.search(
        r"(\d+) planted faults, ([\d,]+) damaged inputs, .* and (\d+) kills", campaign
    )
    assert about is not None
    assert int(about[1]) >= 500
    assert int(about[2].replace(",", "")) >= 10_000
    assert int(about[3]) >= 200
    assert "None went wrong;" in campaign
