"""MMD and energy distance: closed forms, no bias, honest errors."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import energy_distance as scipy_energy

from pushforward.errors import InputError
from pushforward.metrics import _points
from pushforward.metrics._ustatistic import u_statistic
from pushforward.metrics.energy_distance import energy_distance
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.mmd import median_distance, mmd


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mmd_of_gaussians(shift: float, scale: float, d: int, width: float) -> float:
    """Squared MMD of N(shift e, scale^2 I) and N(0, I): each term is a Gaussian integral."""

    def term(variance: float, squared_mean: float) -> float:
        total = width**2 + variance
        return (width**2 / total) ** (d / 2) * math.exp(-squared_mean / (2 * total))

    return term(2 * scale**2, 0) + term(2, 0) - 2 * term(1 + scale**2, shift**2)


def repeat(metric, shift: float, scale: float, runs: int, n: int, m: int):
    """Values and standard errors over independent draws."""
    estimates = [
        metric(scale * normal(n, 2, 2 * r) + shift / math.sqrt(2), normal(m, 2, 2 * r + 1))
        for r in range(runs)
    ]
    values = torch.tensor([e.value for e in estimates])
    return values, torch.tensor([e.stderr for e in estimates])


def fixed_mmd(x: torch.Tensor, y: torch.Tensor) -> Estimate:
    return mmd(x, y, bandwidths=[0.7, 2.0])


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize(("n", "m"), [(60, 60), (40, 120)])
def test_mmd_has_the_closed_form_as_its_mean(shift, scale, n, m) -> None:
    truth = sum(mmd_of_gaussians(shift, scale, 2, width) for width in (0.7, 2.0)) / 2
    values, _ = repeat(fixed_mmd, shift, scale, 300, n, m)
    assert abs(values.mean() - truth) < 3.5 * values.std() / math.sqrt(300)


def test_energy_distance_has_the_closed_form_as_its_mean() -> None:
    # |N(0, s^2)| has mean s sqrt(2 / pi) on a line.
    values = torch.tensor(
        [
            energy_distance(2 * normal(50, 1, 2 * r), normal(80, 1, 2 * r + 1)).value
            for r in range(300)
        ]
    )
    truth = math.sqrt(2 / math.pi) * (2 * math.sqrt(5) - 2 * math.sqrt(2) - math.sqrt(2))
    assert abs(values.mean() - truth) < 3.5 * values.std() / math.sqrt(300)


@pytest.mark.parametrize("metric", [fixed_mmd, energy_distance])
def test_no_bias_at_equal_laws(metric) -> None:
    values, stderrs = repeat(metric, 0.0, 1.0, 400, 50, 70)
    assert abs(values.mean()) < 3.5 * values.std() / math.sqrt(400)
    assert values.min() < 0 < values.max()
    # On the safe side, by a documented factor of about 1.4 and no more.
    assert 1.0 < stderrs.square().mean().sqrt() / values.std() < 1.7


@pytest.mark.parametrize("metric", [fixed_mmd, energy_distance])
@pytest.mark.parametrize(("shift", "scale"), [(0.7, 1.0), (2.0, 1.5)])
def test_standard_errors_match_the_spread_over_draws(metric, shift, scale) -> None:
    values, stderrs = repeat(metric, shift, scale, 400, 50, 100)
    assert stderrs.square().mean().sqrt() / values.std() == pytest.approx(1.0, abs=0.13)


def test_energy_distance_agrees_with_scipy() -> None:
    # scipy gives the square root of the biased form: diagonals included.
    x, y = normal(40, 1, 0), 2 * normal(30, 1, 1) + 1
    biased = (
        energy_distance(x, y).value
        + torch.cdist(x, x).sum() / 40 * (1 / 39 - 1 / 40)
        + torch.cdist(y, y).sum() / 30 * (1 / 29 - 1 / 30)
    )
    assert biased.sqrt().item() == pytest.approx(scipy_energy(x[:, 0], y[:, 0]), rel=1e-6)


def test_mmd_agrees_with_a_direct_sum() -> None:
    x, y = normal(12, 3, 0), normal(9, 3, 1) + 0.3
    total = 0.0
    for width in (0.5, 1.5):
        for left, right, sign in ((x, x, 1), (y, y, 1), (x, y, -2)):
            table = torch.exp(-torch.cdist(left, right).square() / (2 * width**2))
            count = table.numel()
            if left is right:
                table, count = table - torch.eye(len(left)), count - len(left)
            total += sign * table.sum().item() / count / 2
    assert mmd(x, y, bandwidths=[0.5, 1.5]).value == pytest.approx(total, abs=1e-9)


def test_blocks_do_not_change_the_number(monkeypatch) -> None:
    x, y = normal(37, 3, 0), normal(23, 3, 1)
    whole = u_statistic(x, y, torch.neg)
    monkeypatch.setattr(_points, "_BLOCK", 100)
    parts = u_statistic(x, y, torch.neg)
    assert parts.value == pytest.approx(whole.value, abs=1e-6)
    assert parts.stderr == pytest.approx(whole.stderr, rel=1e-6)


def test_second_order_variance_matches_its_definition() -> None:
    # For k(u, v) = u v the doubly centered kernel is (u - E)(v - E): at equal means the projections
    # vanish and Var U = S = 2/(n (n-1)) + 2/(m (m-1)) + 4/(n m) for unit variance.
    n, m, runs = 20, 30, 2000
    x, y = normal(runs, n, 0), normal(runs, m, 1)
    pairs_x = (x.sum(1) ** 2 - (x**2).sum(1)) / (n * (n - 1))
    pairs_y = (y.sum(1) ** 2 - (y**2).sum(1)) / (m * (m - 1))
    exact = 2 / (n * (n - 1)) + 2 / (m * (m - 1)) + 4 / (n * m)
    spread = (pairs_x + pairs_y - 2 * x.mean(1) * y.mean(1)).var().item()
    assert spread == pytest.approx(exact, rel=0.15)
    # The same kernel through -|u - v|^2 / 2, whose centered form is u v as well.
    squares = [
        u_statistic(x[r, :, None], y[r, :, None], lambda t: -t.square() / 2).stderr ** 2
        for r in range(200)
    ]
    assert exact < sum(squares) / 200 < 3 * exact


def test_median_bandwidth_is_taken_from_the_reference() -> None:
    x, y = normal(50, 2, 0), normal(50, 2, 1)
    median = torch.pdist(y).median().item()
    assert median_distance(y) == pytest.approx(median, rel=1e-6)
    widths = [median * factor for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert mmd(9 * x, y).value == pytest.approx(mmd(9 * x, y, bandwidths=widths).value, abs=1e-7)


def test_references_of_copies_still_have_a_bandwidth() -> None:
    constant = torch.ones(20, 2)
    assert mmd(constant, constant).value == pytest.approx(0.0, abs=1e-12)
    mostly = torch.cat([torch.ones(18, 2), torch.zeros(2, 2)]).double()
    assert 0 < median_distance(mostly) < 1


def test_bandwidths_are_positive() -> None:
    for bad in ([], [1.0, 0.0], [-1.0]):
        with pytest.raises(InputError, match="bandwidths"):
            mmd(normal(9, 2, 0), normal(9, 2, 1), bandwidths=bad)
