"""Sliced W2: closed forms between Gaussians, unequal sizes, honest errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from pushforward.errors import InputError
from pushforward.metrics.sliced_wasserstein import _on_lines, sliced_wasserstein


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian_truth(shift: float, scale: float, d: int) -> float:
    """SW_2 of N(shift e, scale^2 I) and N(0, I): E (u.e)^2 = 1 / d on the sphere."""
    return math.sqrt(shift**2 / d + (scale - 1) ** 2)


@pytest.mark.parametrize("d", [1, 2, 16])
@pytest.mark.parametrize(("shift", "scale"), [(2.0, 1.0), (0.0, 2.0), (1.0, 0.5)])
def test_gaussians(d, shift, scale) -> None:
    x = scale * normal(4000, d, 0)
    x[:, 0] += shift
    estimate = sliced_wasserstein(x, normal(3000, d, 1), seed=2)
    assert abs(estimate.value - gaussian_truth(shift, scale, d)) < 3.5 * estimate.stderr
    assert estimate.stderr < 0.1 * estimate.value


def test_on_a_line_a_shift_is_the_distance_exactly() -> None:
    x = normal(50, 1, 0)
    assert sliced_wasserstein(x + 2.5, x).value == pytest.approx(2.5, abs=1e-12)


def test_unequal_sizes_agree_with_linear_programming() -> None:
    x, y = normal(5, 1, 0), normal(7, 1, 1)
    costs = (x - y.T).square().numpy().ravel()
    rows = np.kron(np.eye(5), np.ones(7))
    columns = np.kron(np.ones(5), np.eye(7))
    plan = linprog(costs, A_eq=np.vstack([rows, columns]), b_eq=[1 / 5] * 5 + [1 / 7] * 7)
    squares, _, _ = _on_lines(x, y)
    assert squares.item() == pytest.approx(plan.fun, rel=1e-8)


def test_repeating_every_point_changes_nothing() -> None:
    x, y = normal(30, 3, 0), normal(20, 3, 1)
    once = sliced_wasserstein(x, y).value
    assert sliced_wasserstein(x.repeat(2, 1), y.repeat(3, 1)).value == pytest.approx(once)


def test_bounded_below_by_the_first_order_distance() -> None:
    x, y = normal(40, 1, 0), 2 * normal(30, 1, 1) + 1
    assert sliced_wasserstein(x, y).value >= wasserstein_distance(x[:, 0], y[:, 0])


def test_potentials_are_the_derivative_in_the_mass_of_a_point() -> None:
    # Doubling the weight of one point moves W_2^2 by (phi_i - mean phi) / n, to first order.
    n = 2000
    x, y = normal(n, 1, 0), 1.5 * normal(n, 1, 1) + 1
    base, potential, _ = _on_lines(x, y)
    potential = potential[:, 0] - potential.mean()
    for i in (0, 500, 1500):
        more, _, _ = _on_lines(torch.cat([x, x[i : i + 1]]), y)
        assert (more - base).item() == pytest.approx(potential[i].item() / n, abs=2e-4)


@pytest.mark.parametrize(("shift", "scale"), [(2.0, 1.0), (0.0, 1.5), (1.0, 2.0)])
@pytest.mark.parametrize("d", [1, 4])
def test_standard_errors_match_the_spread_over_draws(shift, scale, d) -> None:
    estimates = [
        sliced_wasserstein(
            scale * normal(100, d, 2 * r) + shift / math.sqrt(d), normal(150, d, 2 * r + 1), seed=r
        )
        for r in range(300)
    ]
    spread = torch.tensor([e.value for e in estimates]).std()
    typical = torch.tensor([e.stderr for e in estimates]).square().mean().sqrt()
    assert typical / spread == pytest.approx(1.0, abs=0.15)


def test_equal_laws_have_a_floor_of_order_one_over_root_n() -> None:
    small, large = (
        sum(sliced_wasserstein(normal(n, 2, r), normal(n, 2, 99 + r)).value for r in range(20))
        for n in (100, 1600)
    )
    assert small / large == pytest.approx(4.0, rel=0.25)


def test_identical_sets() -> None:
    estimate = sliced_wasserstein(normal(9, 2, 0), normal(9, 2, 0))
    assert (estimate.value, estimate.stderr) == (0.0, 0.0)


def test_directions_are_positive() -> None:
    with pytest.raises(InputError, match="directions=0"):
        sliced_wasserstein(normal(9, 2, 0), normal(9, 2, 1), directions=0)
