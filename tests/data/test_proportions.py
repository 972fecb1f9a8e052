"""Tables of parts of a whole: shares, and back to rows that sum to the total exactly."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import Schema
from pushforward.distributions import Dirichlet
from pushforward.errors import InputError
from pushforward.spaces import FisherRao, LogRatios, Simplex
from pushforward.spaces.coordinates import Proportions, parse
from pushforward.spaces.coordinates.proportions import rounded_parts


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


TABLES = {
    "percent": ("a,b,c\n20.5,30.0,49.5\n10.0,80.2,9.8\n", "percent", "100.0"),
    "whole percent": ("a,b,c\n20,30,50\n10,80,10\n", "percent", "100"),
    "fractions": ("a,b\n0.125,0.875\n0.500,0.500\n", "fractions", "1.000"),
    "counts": ("cod,eel,ray\n150,40,10\n7,3,190\n", "counts", "200"),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_become_shares_and_the_same_text_again(name: str, tmp_path: Path) -> None:
    text, kind, total = TABLES[name]
    data = pf.data.load(_file(tmp_path, text), space=Simplex())
    assert f"in {kind}" in str(data)
    assert data.x.dtype == torch.float32
    assert torch.allclose(data.x.sum(1), torch.ones(2))
    back = tmp_path / "back.csv"
    pf.data.write(back, data.x, space=Simplex(), schema=data.schema)
    same = [[Decimal(cell) for cell in row] for row in _rows(back)[1:]]
    assert same == [[Decimal(cell) for cell in row.split(",")] for row in text.split()[1:]]
    assert Schema.from_description(data.schema.describe()) == data.schema
    x = Dirichlet(torch.ones(data.x.shape[1])).sample(300, seed=0)
    pf.data.write(back, x, space=Simplex(), schema=data.schema)
    sums = {sum(map(Decimal, row)) for row in _rows(back)[1:]}
    assert sums == {Decimal(total)}
    assert _rows(back)[0] == text.split()[0].split(",")


def test_digits_without_end_are_cut_so_that_sums_are_exact(tmp_path: Path) -> None:
    rows = Dirichlet(torch.ones(5).double()).sample(40, seed=0).numpy()
    names = [f"p{k}" for k in range(5)]
    path = tmp_path / "table.csv"
    np.savetxt(path, rows, "%.17g", ",", header=",".join(names), comments="")
    data = pf.data.load(path, space=FisherRao())
    pf.data.write(tmp_path / "back.csv", data.x, space=FisherRao(), schema=data.schema)
    sums = {sum(map(Decimal, row)) for row in _rows(tmp_path / "back.csv")[1:]}
    assert sums == {Decimal(1)}


def test_counts_of_other_totals_are_written_for_their_median(tmp_path: Path) -> None:
    data = pf.data.load(_file(tmp_path, "a,b\n1,3\n10,10\n50,50\n"), space=Simplex())
    assert "in counts of 20" in str(data)
    assert torch.allclose(data.x[:, 0], torch.tensor([0.25, 0.5, 0.5]))
    back = tmp_path / "back.csv"
    pf.data.write(back, data.x, space=Simplex(), schema=data.schema)
    assert _rows(back)[1:] == [["5", "15"], ["10", "10"], ["10", "10"]]


def test_zeros_are_replaced_by_the_rule_that_is_said(tmp_path: Path) -> None:
    path = _file(tmp_path, "a,b,c\n0,30,70\n10,40,50\n2,48,50\n")
    data = pf.data.load(path, space=LogRatios())
    assert "1 zero replaced by 65% of the least share of the column" in str(data)
    assert float(data.x[0, 0]) == pytest.approx(0.65 * 0.02)
    assert float(data.x[0, 1] / data.x[0, 2]) == pytest.approx(3 / 7)
    # Other data get what the first had, and spaces with zeros keep them.
    later = pf.data.load(_file(tmp_path, "a,b,c\n0,50,50\n"), space=LogRatios(), like=data)
    assert float(later.x[0, 0]) == pytest.approx(0.65 * 0.02)
    assert float(pf.data.load(path, space=Simplex()).x[0, 0]) == 0


MISTAKES = {
    "a,b\n0.5,0.5\n0.7,-0.1\n0.4,0.6\n": "line 3, column 'b' holds -0.1: fractions are not neg",
    "a,b\n50,50\n60,30\n40,60\n": "line 3: columns a, b sum to 90, not to 100; 1 of 3 rows",
    # Not what rounding to no digits could have left of a half each.
    "a,b,c\n1,0,0\n1,1,0\n0,0,1\n0,1,0\n": "line 3: columns a, b, c sum to 2, not to 1",
    "a,b\n0.5,0.5\n0,0\n0.4,0.6\n": "line 3 holds nothing but zeros",
    "a,b\n1.5,2.25\n7.25,3.5\n": "not to 1 .fractions. nor to 100 .percent.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_is_no_composition_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=MISTAKES[text]):
        pf.data.load(_file(tmp_path, text), space=Simplex())


def test_a_part_that_never_is_there_has_no_log_ratio(tmp_path: Path) -> None:
    path = _file(tmp_path, "a,b,c\n0,50,50\n0,40,60\n")
    with pytest.raises(InputError, match="column 'a' is zero in every row"):
        pf.data.load(path, space=LogRatios())
    assert len(pf.data.load(path, space=Simplex())) == 2


def test_any_amounts_are_divided_by_their_sums_on_request(tmp_path: Path) -> None:
    path = _file(tmp_path, "a,b\n1.5,4.5\n2.0,2.0\n")
    data = pf.data.load(path, space=Simplex(), coordinates="fractions", project=True)
    assert torch.allclose(data.x, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    with pytest.raises(InputError, match="whole numbers"):
        pf.data.load(path, space=Simplex(), coordinates="counts")


def test_rounding_keeps_the_sum_and_stays_within_a_unit() -> None:
    x = Dirichlet(torch.full((7,), 0.3).double()).sample(500, seed=0)
    found = rounded_parts(x, 100)
    assert bool((found.sum(1) == 100).all())
    assert float((found - 100 * x).abs().max()) < 1
    assert bool((found >= 0).all())


def test_texts_of_parts() -> None:
    assert parse("percent") == Proportions("percent")
    assert parse("counts 3").spec == "counts 3"
    assert parse("fractions, numbers").spec == "fractions, numbers"
