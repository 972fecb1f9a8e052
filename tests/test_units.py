"""Standardization: what it brings to unit variance, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.spaces import Standardize


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1e-13), (101325.0, 0.05), (1.7e9, 1000.0)])
def test_small_variation_on_a_large_offset_is_variation(mean: float, spread: float) -> None:
    x = mean + spread * _normal(1000, 1)
    units = Standardize((1,))
    units.fit(x)
    assert float(units.scale) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_comes_out_as_it_is(value: float) -> None:
    x = torch.full((10, 1), value)
    units = Standardize((1,))
    units.fit(x)
    z, log_det = units.inverse(x)
    assert torch.equal(z, torch.zeros_like(z))
    assert torch.equal(units(z + _normal(10, 1)).to(x), x)
    assert torch.equal(log_det, torch.zeros(10))


def test_the_last_digits_of_single_precision_are_variation() -> None:
    """Two numbers next to each other: what comes out is as often the one as the other."""
    x = torch.tensor([[1e4], [1e4 + 2.0**-10]]).repeat(50, 1)
    units = Standardize((1,))
    units.fit(x)
    assert float(units(units.standardized(x)).std()) == pytest.approx(float(x.std()), rel=1e-3)
    assert float(units.standardized(x).std()) == pytest.approx(1.0, rel=0.1)


def test_pictures_share_one_scale() -> None:
    x = _normal(500, 2, 3, 3) * 4 + torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    units = Standardize((2, 3, 3))
    units.fit(x)
    z, _ = units.inverse(x)
    assert units.scale.flatten().unique().numel() == 1
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(2, dtype=z.dtype), atol=1e-5)
    assert float(z.square().mean()) == pytest.approx(1.0, abs=1e-4)


def test_there_and_back_with_the_volume_it_changes() -> None:
    x = 3 + 2 * _normal(100, 4)
    units = Standardize((4,)).double()
    units.fit(x)
    z, log_det = units.inverse(x)
    assert torch.allclose(units(z), x)
    jacobian = torch.autograd.functional.jacobian(lambda y: units.inverse(y)[0], x[:1])
    exact = torch.linalg.slogdet(jacobian.reshape(4, 4))[1]
    assert float(log_det[0]) == pytest.approx(float(exact))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 5), r"\(5,\), not \(2,\)"),
        (torch.zeros(1, 2), "two data points"),
        (torch.tensor([[0.0, 1.0], [float("nan"), 1.0]]), "non-finite"),
    ],
)
def test_what_cannot_be_standardized(x: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Standardize((2,)).fit(x)
