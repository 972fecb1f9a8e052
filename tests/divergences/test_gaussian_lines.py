"""Distances of normal distributions along lines: against integrals, draws and dense searches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.divergences import gaussian

Moments = tuple[Tensor, Tensor, Tensor, Tensor]


def some(d: int, seed: int, rank: int | None = None) -> Moments:
    generator = torch.Generator().manual_seed(seed)
    gap = 0.5 * torch.randn(d, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, d, rank or d, generator=generator, dtype=torch.float64)
    p, q = roots @ roots.mT / d
    return gap, p, torch.zeros(d, dtype=torch.float64), q


def squares(moments: Moments, units: Tensor) -> Tensor:
    """`W_2^2` along unit vectors `(k, d)`."""
    mean_p, p, mean_q, q = moments
    spreads = [(units @ c * units).sum(1).clamp(min=0).sqrt() for c in (p, q)]
    return (units @ (mean_p - mean_q)).square() + (spreads[0] - spreads[1]).square()


def circle(n: int) -> Tensor:
    angle = (torch.arange(n, dtype=torch.float64) + 0.5) * math.pi / n
    return torch.stack([angle.cos(), angle.sin()], 1)


def sphere(n: int, d: int) -> Tensor:
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return z / z.norm(dim=1, keepdim=True)


def stretched(ratio: float) -> Moments:
    axes = torch.tensor([1.0, ratio], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    return zero, axes.diag(), zero, axes.flip(0).diag()


@pytest.mark.parametrize("moments", [some(2, 0), some(2, 1), stretched(1e-4), some(2, 2, rank=1)])
def test_both_agree_with_all_lines_of_the_plane(moments: Moments) -> None:
    values = squares(moments, circle(200_000))
    mean, largest = float(values.mean().sqrt()), float(values.max().sqrt())
    # The rule on the circle has kinks to pass where a variance is 0.
    assert gaussian.sliced_wasserstein(*moments) == pytest.approx(mean, abs=1e-8)
    assert gaussian.max_sliced_wasserstein(*moments) == pytest.approx(largest, abs=1e-6)
    assert gaussian.max_sliced_wasserstein(*moments) >= largest - 1e-12


@pytest.mark.parametrize("d", [3, 8])
def test_the_average_agrees_with_draws(d: int) -> None:
    moments = some(d, 3)
    values = squares(moments, sphere(200_000, d))
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(gaussian.sliced_wasserstein(*moments) ** 2 - float(values.mean())) < 4 * error


def test_multiples_and_their_neighbors_are_one_formula() -> None:
    mean, p, zero, _ = some(4, 4)
    for factor in (1.0, 4.0):
        c = math.sqrt(factor)
        square = (float(mean.square().sum()) + (1 - c) ** 2 * float(p.trace())) / 4
        exact = gaussian.sliced_wasserstein(mean, p, zero, factor * p)
        assert exact == pytest.approx(math.sqrt(square), rel=1e-12)
        moved = factor * p + 1e-9 * torch.diag(torch.arange(4.0, dtype=torch.float64))
        assert gaussian.sliced_wasserstein(mean, p, zero, moved) == pytest.approx(exact, abs=1e-7)
        top = torch.outer(mean, mean) + (1 - c) ** 2 * p
        largest = math.sqrt(float(torch.linalg.eigvalsh(top)[-1]))
        for q in (factor * p, moved):
            found = gaussian.max_sliced_wasserstein(mean, p, zero, q)
            assert found == pytest.approx(largest, abs=1e-7)
    assert gaussian.sliced_wasserstein(zero, p, zero, p) == 0
    assert gaussian.max_sliced_wasserstein(zero, 0 * p, zero, p) == pytest.approx(
        math.sqrt(float(torch.linalg.eigvalsh(p)[-1]))
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_line_is_farther_than_the_best(seed: int) -> None:
    moments = some(3, seed)
    largest = float(squares(moments, sphere(100_000, 3)).max().sqrt())
    found = gaussian.max_sliced_wasserstein(*moments)
    assert largest <= found < 1.01 * largest
    assert gaussian.sliced_wasserstein(*moments) < found <= gaussian.wasserstein(*moments)


def test_independent_axes_without_a_shift_are_best_along_one_of_them() -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    p, q = torch.rand(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = float((p.sqrt() - q.sqrt()).abs().max())
    found = gaussian.max_sliced_wasserstein(zero, p.diag(), zero, q.diag())
    assert found == pytest.approx(exact, rel=1e-9)
