"""The long waves of a field on a coarse grid: one object, whose projections are exact."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.errors import InputError
from pushforward.inverse import SpectralDownsample
from pushforward.metrics import energy_spectrum


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("factor", "sizes"), [(2, (8, 12)), (3, (9, 6)), (4, (16,)), (1, (4, 4))])
def test_projections_are_orthogonal(factor: int, sizes: tuple[int, ...]) -> None:
    operator, x = SpectralDownsample(factor), _random(3, *(() if len(sizes) == 1 else (2,)), *sizes)
    low = operator.low_pass(x)
    assert torch.allclose(operator.low_pass(low), low, atol=1e-12)
    inner = ((x - low) * low).flatten(1).sum(1)
    assert torch.allclose(inner, torch.zeros(3).double(), atol=1e-12)
    assert torch.allclose(operator(low), operator(x), atol=1e-12)


def test_a_wave_keeps_its_values_at_the_coarse_points() -> None:
    angle = 2 * math.pi * torch.arange(24, dtype=torch.float64) / 24
    x = 1.5 + torch.cos(2 * angle + 0.3) + torch.sin(7 * angle)
    coarse = SpectralDownsample(3)(x[None])[0]
    assert torch.allclose(coarse, 1.5 + torch.cos(2 * angle + 0.3)[::3], atol=1e-12)
    back = SpectralDownsample(3).upsample(coarse[None], (24,))[0]
    assert torch.allclose(back, 1.5 + torch.cos(2 * angle + 0.3), atol=1e-12)


def test_the_constraint_is_met_and_nothing_else_is_changed() -> None:
    operator, x, other = SpectralDownsample(4), _random(2, 1, 16, 16), _random(2, 1, 16, 16).flip(0)
    y = operator(other)
    found = operator.constrained(x, y)
    assert torch.allclose(operator(found), y, atol=1e-12)
    assert torch.allclose(operator.low_pass(found), operator.low_pass(other), atol=1e-12)
    assert torch.allclose(found - operator.low_pass(found), x - operator.low_pass(x), atol=1e-12)


def test_the_low_pass_cuts_the_spectrum() -> None:
    x = _random(5, 1, 32, 32)
    full, low = energy_spectrum(x), energy_spectrum(SpectralDownsample(4).low_pass(x))
    assert torch.allclose(low[..., :4], full[..., :4], rtol=1e-10)
    assert float(low[..., 6:].abs().max()) < 1e-20
    coarse = energy_spectrum(SpectralDownsample(4)(x))
    assert torch.allclose(coarse[..., :4], full[..., :4], rtol=1e-10)


def test_a_factor_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match="10 cells is no multiple of the factor 4: cut it to 8"):
        SpectralDownsample(4)(_random(1, 1, 8, 10))
    with pytest.raises(InputError, match="do not make fields"):
        SpectralDownsample(2).upsample(_random(1, 1, 8, 8), (1, 8, 8))
