"""Measures of tables against laws where they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pushforward.errors import InputError
from pushforward.metrics.tables import (
    association,
    column_distance,
    copied_rows,
    pair_distance,
    table_rows,
    usefulness,
)


def table(rows: int, seed: int, rho: float = 0.8, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Two correlated normal numbers and a word that says the sign of the first."""
    g = np.random.default_rng(seed)
    a, noise = g.standard_normal((2, rows))
    b = rho * a + math.sqrt(1 - rho**2) * noise + shift
    b[::10] = np.nan
    return {"a": a, "b": b, "w": np.where(a > 0, "plus", "minus").astype(object)}


def test_associations_of_normal_numbers() -> None:
    x = table(20_000, 0)
    # Spearman's rank correlation of a normal law, (6 / pi) arcsin(rho / 2).
    assert association(x["a"], x["b"]) == pytest.approx(6 / math.pi * math.asin(0.4), abs=0.02)
    # The ranks of the two halves differ by 1/2 in the mean, and have the variance 1/12 in all.
    assert association(x["a"], x["w"]) == pytest.approx(math.sqrt(3 / 4), abs=0.01)
    g = np.random.default_rng(1)
    p = np.where(g.random(20_000) < 0.5, "u", "v").astype(object)
    q = np.where(g.random(20_000) < 0.8, p, "u").astype(object)
    # phi of the table (1/2, 0; 1/10, 2/5): (det) / sqrt(product of the margins).
    assert association(p, q) == pytest.approx(0.2 / math.sqrt(0.5 * 0.5 * 0.6 * 0.4), abs=0.02)
    assert association(p, p[::-1].copy()) < 0.05


def test_distances_of_columns() -> None:
    x, y = table(20_000, 0), table(20_000, 1, shift=1.0)
    # Kolmogorov-Smirnov of normal laws one apart, 2 Phi(1/2) - 1, for 9 of 10 rows.
    exact = 0.9 * (2 * 0.691462 - 1) / 3
    assert column_distance(x, y) == pytest.approx(exact, abs=0.01)
    weaker = table(20_000, 2, rho=0.0)
    known = abs(6 / math.pi * math.asin(0.4))
    eta = association(x["b"], x["w"]) - association(weaker["b"], weaker["w"])
    assert pair_distance(x, weaker) == pytest.approx((known + eta) / 3, abs=0.02)


def test_what_is_learned() -> None:
    x, other = table(4000, 0), table(4000, 1)
    good, bad = usefulness(x, other), usefulness(table(4000, 2, rho=-0.8), other)
    assert good > 0.7
    assert bad < good - 0.3


def test_rows_have_floors_and_find_copies() -> None:
    train, test = table(1000, 0), table(300, 1)
    copies = {name: own[:400] for name, own in train.items()}
    rules = {"a <= b": lambda t: float(np.mean(t["a"] > t["b"]))}
    found = {row.name: row for row in table_rows(copies, test, train, broken=rules)}
    assert found["copied rows"].value == 1.0
    assert found["copied rows"].floor == 0.0
    assert found["columns"].excess < 3
    assert found["breaks a <= b"].value == pytest.approx(np.mean(copies["a"] > copies["b"]))
    turned = {row.name: row for row in table_rows(table(400, 3, rho=-0.8), test, train)}
    assert turned["pairs of columns"].excess > 3
    assert turned["learned from them"].excess > 3
    assert turned["copied rows"].value == 0.0
    # A right model is within its errors of the floor.
    right = {row.name: row for row in table_rows(table(400, 4), test, train)}
    assert all(abs(row.excess) < 4 for row in right.values())


def test_tables_of_other_columns_are_refused() -> None:
    x = table(100, 0)
    with pytest.raises(InputError, match="have the same columns"):
        column_distance(x, {"a": x["a"]})
    with pytest.raises(InputError, match="have the same columns"):
        copied_rows({}, {})
