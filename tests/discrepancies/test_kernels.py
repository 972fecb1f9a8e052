"""Kernels of several widths, and discrepancies that no offset takes the digits from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward._gaussian_kernels import mean_gaussian
from pushforward.discrepancies import MMD, EnergyDistance, LearnedMMD
from pushforward.errors import InputError
from pushforward.metrics import energy_distance, mmd
from pushforward.ot import max_sliced_wasserstein, sliced_wasserstein


def normal(n: int, dim: int = 2, seed: int = 0) -> Tensor:
    """Normal numbers of few digits, which an offset of 2^14 leaves as they are in float32."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, dim, generator=generator, dtype=torch.float64) * 512).round() / 512


def exact(discrepancy: MMD | EnergyDistance, x: Tensor, y: Tensor) -> float:
    """The unbiased estimate from direct differences in double precision."""

    def mean(a: Tensor, b: Tensor) -> Tensor:
        square = (a[:, None] - b).square().sum(-1)
        if isinstance(discrepancy, EnergyDistance):
            return -square.sqrt()
        return torch.stack([(-square / (2 * w * w)).exp() for w in discrepancy.widths]).mean(0)

    within = [
        (mean(z, z).sum() - mean(z, z).diagonal().sum()) / (len(z) * (len(z) - 1)) for z in (x, y)
    ]
    return float(within[0] + within[1] - 2 * mean(x, y).mean())


@pytest.mark.parametrize("discrepancy", [MMD(), EnergyDistance()])
@pytest.mark.parametrize("sizes", [(20, 30), (300, 129), (128, 128)])
def test_any_two_sizes_give_the_estimate(
    discrepancy: MMD | EnergyDistance, sizes: tuple[int, int]
) -> None:
    x, y = normal(sizes[0], seed=1), normal(sizes[1], seed=2) + 0.5
    found = discrepancy.estimate(x, y)
    assert found.shape == (sizes[0],)
    assert float(found.mean()) == pytest.approx(exact(discrepancy, x, y), abs=1e-6)


@pytest.mark.parametrize("discrepancy", [MMD(), EnergyDistance()])
@pytest.mark.parametrize("apart", [0.0, 2.0**14])
def test_no_offset_takes_the_digits(discrepancy: MMD | EnergyDistance, apart: float) -> None:
    # Two modes far apart: no center takes the offset of both.
    x, y = normal(200, seed=1), normal(200, seed=2) + 0.25
    x[::2], y[::2] = x[::2] + apart, y[::2] + apart
    right = exact(discrepancy, x, y)
    for offset in (0.0, 2.0**14):
        found = discrepancy.estimate((x + offset).float(), (y + offset).float())
        assert float(found.double().mean()) == pytest.approx(right, abs=1e-6 + 1e-6 * apart)
        critic = discrepancy.critic_loss((x + offset).float(), (y + offset).float())
        assert float(critic.double().mean()) == pytest.approx(-right, abs=1e-6 + 1e-6 * apart)


@pytest.mark.parametrize("measure", [mmd, energy_distance])
def test_metrics_lose_none_either(measure: object) -> None:
    x, y = normal(300, seed=1), normal(200, seed=2) + 0.25
    near = measure(x.float(), y.float())
    far = measure((x + 2.0**14).float(), (y + 2.0**14).float())
    assert far.value == pytest.approx(near.value, abs=1e-9)
    assert far.stderr == pytest.approx(near.stderr, rel=1e-6)


@pytest.mark.parametrize("measure", [sliced_wasserstein, max_sliced_wasserstein])
def test_sliced_distances_lose_none(measure: object) -> None:
    x, y = normal(200, 3, seed=1), normal(200, 3, seed=2)
    near = measure(x.float(), y.float(), seed=0)
    far = measure((x + 2.0**14).float(), (y + 2.0**14).float(), seed=0)
    assert float(far) == pytest.approx(float(near), rel=1e-5)


@pytest.mark.parametrize("widths", [(0.1, 0.2, 0.5, 1.0, 2.0), (3.0,), (1.0, 0.7), (1.0, 1.0)])
def test_powers_are_the_exponentials(widths: tuple[float, ...]) -> None:
    square = torch.linspace(0, 300, 1000, dtype=torch.float64).requires_grad_()
    direct = torch.stack([(-square / (2 * w * w)).exp() for w in widths]).mean(0)
    powers = mean_gaussian(square, widths)
    torch.testing.assert_close(powers, direct, rtol=1e-12, atol=1e-100)
    for _ in range(2):  # and the derivatives, first and second
        powers, direct = (
            torch.autograd.grad(k.sum(), square, create_graph=True)[0] for k in (powers, direct)
        )
        torch.testing.assert_close(powers, direct, rtol=1e-11, atol=1e-100)
    single = mean_gaussian(square.detach().float(), widths)
    torch.testing.assert_close(
        single.double(), direct_of(square.detach(), widths), rtol=1e-4, atol=1e-7
    )


def direct_of(square: Tensor, widths: tuple[float, ...]) -> Tensor:
    return torch.stack([(-square / (2 * w * w)).exp() for w in widths]).mean(0)


def test_gradients_are_those_of_the_estimate() -> None:
    x, y = normal(10, seed=1).requires_grad_(), normal(7, seed=2)
    for discrepancy in (MMD(), EnergyDistance(), LearnedMMD()):
        assert torch.autograd.gradcheck(lambda x, d=discrepancy: d.estimate(x, y).mean(), x)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="two states"):
        MMD().estimate(normal(5), normal(1))
    with pytest.raises(InputError, match=r"\(2,\) and \(3,\)"):
        MMD().estimate(normal(5, 2), normal(5, 3))
