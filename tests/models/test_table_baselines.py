"""A copula and rows drawn again, against laws where they are known."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics.tables import association
from pushforward.models import Bootstrap, GaussianCopula


def data(rows: int = 3000) -> pf.data.Data:
    """Two normal numbers of correlation 0.8, and a word for the upper third of the first."""
    g = np.random.default_rng(0)
    a = g.standard_normal(rows)
    b = 0.8 * a + 0.6 * g.standard_normal(rows)
    word = np.where(a > 0.43, "high", "low")
    return pf.data.load(
        {"a": [f"{v:.4f}" for v in a], "b": [f"{v:.4f}" for v in np.exp(b)], "w": word.tolist()},
        kinds="auto",
    )


def test_a_copula_has_the_marginals_and_the_correlation() -> None:
    known = data()
    model = pf.fit(GaussianCopula.for_data(known), known, progress=False).model
    table = known.schema.mixed
    drawn, real = table.values(model.sample(4000, seed=0)), table.values(known.x)
    assert abs(np.mean(drawn["w"] == "high") - np.mean(real["w"] == "high")) < 0.04
    for name in "ab":
        quantiles = [np.quantile(x[name], [0.1, 0.5, 0.9]) for x in (drawn, real)]
        assert np.abs(quantiles[0] - quantiles[1]).max() < 0.25
    pair = [association(x["a"], x["b"]) for x in (drawn, real)]
    assert abs(pair[0] - pair[1]) < 0.03
    with pytest.raises(CapabilityError, match="no densities"):
        model.log_prob(known.x)


def test_rows_drawn_again_are_rows() -> None:
    known = data(200)
    model = Bootstrap.for_data(known)
    with pytest.raises(InputError, match="has not been fitted"):
        model.sample(3)
    model = pf.fit(model, known, progress=False).model
    rows = {tuple(row) for row in zip(*known.schema.mixed.cells(known.x).values(), strict=True)}
    drawn = known.schema.mixed.cells(model.sample(300, seed=0))
    assert {tuple(row) for row in zip(*drawn.values(), strict=True)} <= rows


def test_a_copula_of_words_alone(tmp_path) -> None:
    known = pf.data.load(
        {"a": ["x", "y", "x", "x"] * 9, "b": ["u", "u", "v", "v"] * 9}, kinds="auto"
    )
    model = pf.fit(GaussianCopula.for_data(known), known, progress=False).model
    model.save(tmp_path / "saved")
    again = pf.models.load(tmp_path / "saved")
    assert (again.sample(50, seed=1) == model.sample(50, seed=1)).all()
