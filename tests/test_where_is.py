"""The page "Where is ...?": every object it names exists, in the file it names."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "where-is.md"
SOURCE = ROOT / "src" / "pushforward"

# What strangers from diffusers, zuko, POT, torchcfm, sbi and blackjax were seen to look for.
WANTED = """
Anderson's reversal|DDIM|DDIM inversion|DPM-Solver++|UniPC|DEIS|EDM|EMA|Hutchinson|IMF|IPF|DSBM|R1
gradient penalty|mixed precision|trajectory|batch size|classifier-free guidance|dynamic thresholding
min-SNR|v-prediction|zero terminal SNR|timestep shift|OT-CFM|[SF]2M|stochastic interpolants
rectified flow|reflow|Sinkhorn divergence|ODE likelihood|ELBO|IWAE|VampPrior|AIS|MALA|HMC|NUTS
masked diffusion|tau-leaping|Riemannian flow matching|checkpoints|resume|MAF|FID|ESS|cost matrix
"""


class Row(NamedTuple):
    """What is looked for, what it is here, and where."""

    words: str
    objects: tuple[str, ...]
    files: tuple[str, ...]
    absent: bool


def _rows() -> list[Row]:
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or line.startswith(("| ---", "| looking for")):
            continue
        words, objects, files = cells[:3]
        quoted = [tuple(re.findall(r"`([^`]+)`", cell)) for cell in (objects, files)]
        rows.append(Row(words, *quoted, objects == "not there"))
    return rows


def _found(name: str) -> Any:
    """The object at a dotted path inside `pushforward`."""
    parts = name.split(".")
    where: Any = importlib.import_module(f"pushforward.{parts[0]}")
    for k, part in enumerate(parts[1:], start=1):
        if not hasattr(where, part):
            importlib.import_module(f"pushforward.{'.'.join(parts[: k + 1])}")
        where = getattr(where, part)
    return where


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row.words)
def test_objects_are_where_the_page_says(row: Row) -> None:
    assert row.absent != bool(row.objects)
    texts = {file: (SOURCE / file).read_text(encoding="utf-8") for file in row.files}
    for name in row.objects:
        _found(name)
        # The class or function, not a method that it may have inherited.
        defined = re.compile(rf"^\s*(class|def) {name.split('.')[-1]}\b", re.MULTILINE)
        assert any(defined.search(text) for text in texts.values()), f"{name} not in {row.files}"
    assert row.absent or texts


def test_the_page_has_the_words_that_people_look_for() -> None:
    words = "\n".join(row.words for row in _rows()).lower()
    wanted = [word for line in WANTED.split("\n") for word in line.split("|") if word]
    alone = r"(?<!\w){}(?!\w)"
    assert not [w for w in wanted if not re.search(alone.format(re.escape(w.lower())), words)]
