"""Training standard deviations as the unit of length."""

from __future__ import annotations

import torch

from pushforward.metrics import units
from pushforward.metrics.units import training_units


def test_vectors_have_a_scale_per_feature() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(500, 3, generator=g) * torch.tensor([1e-3, 1.0, 1e4]) + 5
    shift, scale = training_units(x)
    torch.testing.assert_close(shift, x.double().mean(0))
    torch.testing.assert_close(scale, x.double().std(0))


def test_pixels_have_one_scale() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(200, 2, 4, 4, generator=g)
    x[:, :, 0, 0] = 0.3
    shift, scale = training_units(x, common_scale=True)
    assert (scale == scale[0]).all()
    spread = (x.flatten(1).double() - shift).square().sum() / (199 * 32)
    torch.testing.assert_close(scale[0], spread.sqrt())


def test_constant_features_keep_their_unit() -> None:
    x = torch.full((100, 2), 1e6 + 0.1)
    x[:, 1] = torch.arange(100.0)
    _, scale = training_units(x)
    assert scale[0] == 1.0
    assert scale[1] > 20


def test_parts_add_up() -> None:
    g = torch.Generator().manual_seed(0)
    x = 1e4 + torch.randn(20_000, 2, generator=g)
    shift, scale = training_units(x)
    torch.testing.assert_close(shift, x.double().mean(0))
    torch.testing.assert_close(scale, x.double().std(0))
    torch.testing.assert_close(
        units.sum_of(x, shift, 1), torch.zeros(2).double(), atol=1e-4, rtol=0
    )
