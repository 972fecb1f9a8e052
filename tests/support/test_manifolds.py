"""Known supports: projections, distances and posterior means against what they must be."""

from __future__ import annotations

import pytest
import torch
from scipy.special import ive

from pushforward.errors import CapabilityError, InputError
from pushforward.support import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    RingTorus,
    SwissRoll,
)
from pushforward.support.manifolds import _bessel_ratio

SUPPORTS = (
    Hypersphere(1),
    Hypersphere(4, radius=2.0),
    Circles(3),
    RingTorus(),
    SwissRoll(),
    SwissRoll(height=0.0),
    LinearSubspace(3, 6),
    Embedded(RingTorus(), 7),
)


@pytest.mark.parametrize("support", SUPPORTS, ids=str)
def test_a_projection_is_the_nearest_point(support: KnownSupport) -> None:
    generator = torch.Generator().manual_seed(0)
    on = support.points(20_000, generator)
    x = on[:50] + 0.15 * torch.randn(50, support.ambient, generator=generator, dtype=on.dtype)
    near = support.project(x)
    torch.testing.assert_close(support.project(near), near)
    assert support.distance(on[:50]).max() < 1e-9
    # No point of the support is nearer, and in few dimensions a drawn one is nearly as near.
    drawn = torch.cdist(x, on).amin(1)
    distance = support.distance(x)
    assert (drawn - distance).min() > -1e-9
    if support.dim == 1:
        assert (drawn - distance).max() < 1e-2


def test_noise_has_its_length() -> None:
    x = Embedded(Hypersphere(2), 12).sample(4000, noise=0.05, seed=0)
    away = Embedded(Hypersphere(2), 12).distance(x).square().mean()
    # Noise along the sphere is along the support: ten directions are left.
    assert abs(float(away) / (10 * 0.05**2) - 1) < 0.05


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 7.0])
def test_ratio_of_bessel_functions(order: float) -> None:
    x = torch.tensor([1e-3, 0.3, 2.0, 30.0, 1e3, 1e5], dtype=torch.float64)
    truth = torch.from_numpy(ive(order + 1, x.numpy()) / ive(order, x.numpy()))
    torch.testing.assert_close(_bessel_ratio(order, x), truth, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    "support", [Hypersphere(2), Circles(2), LinearSubspace(2, 3), Embedded(Hypersphere(1), 4)],
    ids=str,
)  # fmt: skip
def test_posterior_mean_is_that_of_many_draws(support: KnownSupport) -> None:
    generator = torch.Generator().manual_seed(1)
    on = support.points(40_000, generator)
    x = on[:5] + 0.4 * torch.randn(5, support.ambient, generator=generator, dtype=on.dtype)
    weights = (-torch.cdist(x, on).square() / (2 * 0.4**2)).softmax(1)
    torch.testing.assert_close(support.posterior_mean(x, 0.4), weights @ on, rtol=0, atol=0.03)


def test_the_center_of_a_sphere_has_a_nearest_point() -> None:
    assert Hypersphere(3).distance(torch.zeros(1, 4)).item() == 1.0


def test_refusals() -> None:
    with pytest.raises(CapabilityError, match="Hypersphere"):
        RingTorus().posterior_mean(torch.zeros(1, 3), 0.1)
    with pytest.raises(InputError, match="thinner"):
        RingTorus(ring=1.0, tube=2.0)
    with pytest.raises(InputError, match=r"\(n, 3\), not \(2, 2\)"):
        RingTorus().distance(torch.zeros(2, 2))
    with pytest.raises(InputError, match="does not fit in 2"):
        Embedded(RingTorus(), 2)
