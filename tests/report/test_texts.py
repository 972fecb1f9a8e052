"""Rows about texts in an evaluation: named by what the symbols are, with values that are known."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.data.alphabet import Alphabet
from pushforward.data.dataset import Data
from pushforward.data.schema import Schema
from pushforward.report.texts import rows_of_texts

N, LENGTH = 400, 50
USUAL, OTHER = (0.4, 0.1, 0.1, 0.4), (0.1, 0.4, 0.4, 0.1)


def _drawn(law: tuple[float, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(law), N * LENGTH, True, generator=generator).view(N, -1)


def _data(form: str, seed: int) -> Data:
    coding = "upper" if form == "fasta" else "characters"
    schema = Schema(alphabet=Alphabet(("A", "C", "G", "T"), coding, False, form))
    return Data(_drawn(USUAL, seed), kind="state", schema=schema)


def test_records_of_fasta_are_compared_by_k_mers():
    rows = {
        row.name: row
        for row in rows_of_texts(_drawn(OTHER, 0), *(_data("fasta", s) for s in (1, 2)))
    }
    entropy = -sum(p * math.log2(p) for p in USUAL)
    for k in (1, 2, 3, 4):
        # Letters one by one: k of them have k times the entropy, of either law.
        row = rows[f"entropy of {k}-mers"]
        assert row.value == pytest.approx(k * entropy, abs=0.02)
        assert row.floor == pytest.approx(k * entropy, abs=0.02)
    # The strong letters are 0.8 of one, and 0.2 of the other.
    assert rows["1-mers"].value == pytest.approx(0.6, abs=0.02)
    assert rows["1-mers"].floor == pytest.approx(0.0, abs=0.02)
    # Of two letters: |.16 - .01| for the four pairs of weak and of strong ones, on both sides.
    assert rows["2-mers"].value == pytest.approx(0.5 * 8 * 0.15, abs=0.02)
    assert not any("grams" in name for name in rows)


def test_other_texts_are_compared_by_n_grams():
    rows = [
        row.name for row in rows_of_texts(_drawn(USUAL, 0), _data("lines", 1), _data("lines", 2))
    ]
    assert "3-grams" in rows
    assert not any("mers" in name for name in rows)
