"""Checks that every source goes through: finite values, float32 range, levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import load
from pushforward.errors import InputError


def test_the_first_row_that_is_not_finite_is_named() -> None:
    x = np.ones((6, 3))
    x[4, 0] = np.nan
    x[2, 1] = -np.inf
    with pytest.raises(InputError, match=r"row 2 .*, column 1 holds -inf; 2 of 6 rows.*drop_nonf"):
        load(x)
    data = load(x, drop_nonfinite=True, label=[0, 1, 2, 3, 4, 5])
    assert (len(data), data.dropped) == (4, 2)
    assert data.c is not None
    assert [data.classes[k] for k in data.c.tolist()] == [0, 1, 3, 5]
    assert "2 of 6 rows left out" in str(data)
    assert data.describe()["dropped"] == 2


def test_places_in_images_are_named() -> None:
    x = np.ones((3, 1, 4, 5))
    x[1, 0, 2, 3] = np.nan
    with pytest.raises(InputError, match=r"row 1 .*, entry \(0, 2, 3\) holds nan"):
        load(x)
    y = np.moveaxis(np.repeat(x, 3, 1), 1, 3)
    with pytest.raises(InputError, match=r"entry \(0, 2, 3\)"):
        load(y)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(InputError, match="every one of the 3 rows"):
        load(np.full((3, 1), np.nan), drop_nonfinite=True)


def test_one_row_is_read_and_refused_by_training(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for one in (np.ones((1, 3)), tmp_path / "t.csv", np.array([[np.nan], [1], [np.inf]])):
        data = load(one, drop_nonfinite=True)
        assert len(data) == 1
        model = pf.Diffusion(pf.nn.MLP(data.event_shape[0], width=8))
        for holdout in (0.0, 0.1):
            with pytest.raises(InputError, match=r"one row of .* shows no distribution"):
                pf.fit(model, data, steps=1, holdout=holdout, progress=False)


def test_values_whose_squares_overflow_are_not_made_infinite() -> None:
    x = np.array([[1.0, 2.0], [3.0, -1e160], [np.nan, 1e200], [1.0, 1.0]])
    with pytest.raises(InputError, match=r"row 1 .*, column 1 holds -1e\+160, beyond 1e\+150"):
        load(x, drop_nonfinite=True)
    for largest, kept in ((3.4e38, torch.float32), (1e39, torch.float64)):
        x[1, 1] = largest
        data = load(x, drop_nonfinite=True)
        assert (len(data), data.x.dtype) == (3, kept)
        assert float(data.x.max()) == pytest.approx(largest)


def test_levels_are_checked_against_the_values() -> None:
    x = np.array([[0, 1 / 3], [2 / 3, 1]], dtype=np.float32)
    data = load(x, levels=4, value_range=(0, 1))
    assert (data.levels, data.value_range) == (4, (0.0, 1.0))
    with pytest.raises(InputError, match=r"row 0 .* holds 0.333333, not one of the 5 levels"):
        load(x, levels=5, value_range=(0, 1))
    with pytest.raises(InputError, match=r"row 1 .* holds 1, outside value_range \(0, 0.9\)"):
        load(x, value_range=(0, 0.9))
    with pytest.raises(InputError, match="value_range"):
        load(x, levels=4)
    with pytest.raises(InputError, match=r"\(low, high\)"):
        load(x, value_range=(1, 2, 3))
    with pytest.raises(InputError, match="finite"):
        load(x, value_range=(0, float("inf")))


def test_eight_bit_fractions_are_levels() -> None:
    x = (np.arange(256) / 255).astype(np.float32).reshape(16, 16)
    assert load(x, levels=256, value_range=(0, 1)).levels == 256


@pytest.mark.parametrize(("shape", "kind"), [((3, 2), "image"), ((3, 2), "sound")])
def test_kinds_that_do_not_fit(shape: tuple, kind: str) -> None:
    with pytest.raises(InputError, match="image"):
        load(np.ones(shape), kind=kind)
