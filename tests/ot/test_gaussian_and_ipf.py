"""Closed forms between normal laws, against grids and samples; what fitting does to divergences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import ot
from pushforward.errors import InputError
from pushforward.metrics import frechet_of_moments


def covariance(d: int, seed: int) -> Tensor:
    factor = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return factor @ factor.mT / d + 0.1 * torch.eye(d, dtype=torch.float64)


ZERO, SHIFT = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 0.0, -2.0]).double()
A, B = covariance(3, 0), covariance(3, 1)


def test_without_entropy_it_is_the_frechet_distance_and_the_map_transports() -> None:
    plan = ot.GaussianPlan(ZERO, A, SHIFT, B)
    assert plan.cost == pytest.approx(frechet_of_moments(ZERO, A, SHIFT, B), rel=1e-10)
    assert plan.regularized_cost == pytest.approx(plan.cost)
    slope = plan.map(torch.eye(3, dtype=torch.float64)) - SHIFT
    torch.testing.assert_close(slope.mT, slope)  # the gradient of a convex function
    torch.testing.assert_close(slope.mT @ A @ slope, B)


@pytest.mark.parametrize("epsilon", [0.3, 3.0])
def test_on_a_grid_sinkhorn_finds_the_closed_form(epsilon) -> None:
    """The trapezoidal rule is exact on analytic laws up to rounding."""
    x = torch.linspace(-7, 7, 141, dtype=torch.float64)
    y = torch.linspace(-5, 7, 121, dtype=torch.float64)
    a, b = torch.exp(-(x**2) / 2), torch.exp(-((y - 1) ** 2) / 0.72)
    found = ot.sinkhorn(ot.PointClouds(x, y), epsilon, a / a.sum(), b / b.sum(), tolerance=1e-11)
    one = torch.ones(1, 1, dtype=torch.float64)
    plan = ot.GaussianPlan(0 * one[0], one, one[0], 0.36 * one, epsilon)
    assert float(found.regularized_cost) == pytest.approx(plan.regularized_cost, abs=1e-7)
    assert float(found.cost) == pytest.approx(plan.cost, abs=1e-7)
    inner = x[60:81, None]
    pushed = ot.EntropicMap(found, y)(inner[:, 0])
    torch.testing.assert_close(pushed, plan.map(inner)[:, 0], atol=1e-7, rtol=0)


def test_the_plan_is_the_normal_law_with_least_objective() -> None:
    """Any other cross-covariance costs more, in second order."""
    epsilon = 0.7
    plan = ot.GaussianPlan(ZERO, A, SHIFT, B, epsilon)

    def objective(cross: Tensor) -> float:
        joint = torch.cat([torch.cat([A, cross], 1), torch.cat([cross.mT, B], 1)])
        information = 0.5 * (torch.logdet(A) + torch.logdet(B) - torch.logdet(joint))
        cost = SHIFT.square().sum() + A.trace() + B.trace() - 2 * cross.trace()
        return float(cost + epsilon * information)

    best = plan.cross_covariance
    assert objective(best) == pytest.approx(plan.regularized_cost, abs=1e-10)
    change = torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rises = [objective(best + s * change) - objective(best) for s in (1e-3, -1e-3, 2e-3)]
    assert min(rises) > 0
    assert rises[0] == pytest.approx(rises[1], rel=0.1)
    assert rises[2] / rises[0] == pytest.approx(4, rel=0.1)


def test_samples_of_the_plan_have_its_moments() -> None:
    plan = ot.GaussianPlan(ZERO, A, SHIFT, B, 0.5)
    x, y = plan.sample(40_000, seed=0)
    mean, cov = plan.joint()
    both = torch.cat([x, y], 1)
    error = cov.diagonal().sqrt() / 200
    assert bool(((both.mean(0) - mean).abs() < 4 * error).all())
    spread = (cov.diagonal()[:, None] * cov.diagonal() + cov**2).sqrt() / 200
    assert bool(((both.T.cov() - cov).abs() < 4.5 * spread).all())


def test_the_bridge_between_equal_laws_and_its_ends() -> None:
    eye = torch.eye(5)
    bridge = ot.GaussianBridge(-0.1 * torch.ones(5), eye, 0.1 * torch.ones(5), eye, sigma=1.0)
    expected = (math.sqrt(5) - 1) / 2 * eye.double()
    torch.testing.assert_close(bridge.plan.cross_covariance, expected)
    for t, sign in ((0.0, -1), (1.0, 1)):
        mean, cov = bridge.marginal(t)
        torch.testing.assert_close(mean, torch.full((5,), 0.1 * sign).double())
        torch.testing.assert_close(cov, eye.double())


def test_fitting_a_normal_law_ends_at_the_bridge() -> None:
    """The reference is Brownian motion from the first law."""
    sigma, eye = 0.8, torch.eye(3, dtype=torch.float64)
    reference = torch.cat([torch.cat([A, A], 1), torch.cat([A, A + sigma**2 * eye], 1)])
    fits = ot.ipf_gaussian(torch.cat([ZERO, ZERO]), reference, ((ZERO, A), (SHIFT, B)), 400)
    plan = ot.GaussianPlan(ZERO, A, SHIFT, B, 2 * sigma**2)
    mean, cov = plan.joint()
    torch.testing.assert_close(fits.joint, cov, atol=1e-8, rtol=0)
    torch.testing.assert_close(fits.mean, mean, atol=1e-8, rtol=0)


def test_a_reference_with_less_noise_takes_longer() -> None:
    """After each fit but the first, which only moves the end that noise has spread."""
    eye = torch.eye(3, dtype=torch.float64)
    lacking = []
    for sigma in (0.3, 1.0, 3.0):
        reference = torch.cat([torch.cat([A, A], 1), torch.cat([A, A + sigma**2 * eye], 1)])
        fits = ot.ipf_gaussian(torch.cat([ZERO, ZERO]), reference, ((ZERO, A), (SHIFT, B)), 12)
        lacking.append(fits.marginals[1:])
    for k, (few, some, much) in enumerate(zip(*lacking, strict=True)):
        assert few > some > much, k


def test_fitting_a_table_ends_at_the_entropic_plan() -> None:
    x = torch.linspace(-1, 1, 15, dtype=torch.float64)
    a, b = torch.softmax(3 * x, 0), torch.softmax(-(x**2), 0)
    costs = (x[:, None] - x).square()
    fits = ot.ipf(torch.exp(-costs / 0.1), a, b, 4000)
    plan = ot.sinkhorn(ot.PointClouds(x, x), 0.1, a, b, tolerance=1e-11)
    torch.testing.assert_close(fits.joint, plan.matrix(), atol=1e-9, rtol=0)


def fitted(case: str) -> ot.Fits:
    if case == "table":
        x = torch.linspace(-1, 1, 15, dtype=torch.float64)
        a, b = torch.softmax(3 * x, 0), torch.softmax(-(x**2), 0)
        table = torch.softmax(-((x[:, None] - x) ** 2) / 0.2, 1)
        return ot.ipf(a[:, None] * table, a, b, 400)
    if case == "random table":
        g = torch.Generator().manual_seed(3)
        table = torch.rand(8, 12, generator=g, dtype=torch.float64) ** 8 + 1e-6
        a, b = (torch.softmax(torch.randn(k, generator=g).double(), 0) for k in (8, 12))
        return ot.ipf(a[:, None] * table / table.sum(1, keepdim=True), a, b, 2000)
    reference = torch.cat([torch.cat([A, A], 1), torch.cat([A, A + 0.3 * torch.eye(3)], 1)])
    return ot.ipf_gaussian(torch.cat([ZERO, ZERO]), reference, ((ZERO, A), (SHIFT, B)), 200)


@pytest.mark.parametrize("case", ["table", "random table", "normal"])
def test_divergences_fall_and_marginals_faster_than_one_over_n(case) -> None:
    """De Bortoli et al. 2021, Proposition 4."""
    fits = fitted(case)
    rounding = 1e-15
    for sequence in (fits.forward, fits.backward):
        assert bool((sequence >= 0).all())
        assert bool((sequence.diff() <= rounding).all())
    n = torch.arange(1, len(fits.marginals) + 1)
    scaled = n * fits.marginals
    assert float(scaled[-1]) < 1e-3 * float(scaled.max())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ot.GaussianPlan(ZERO, A[:2], SHIFT, B), "shapes"),
        (lambda: ot.GaussianPlan(ZERO, -A, SHIFT, B), "eigenvalue"),
        (lambda: ot.GaussianPlan(ZERO, A + torch.ones(3, 3).triu(), SHIFT, B), "symmetric"),
        (lambda: ot.GaussianPlan(ZERO, 0 * A, SHIFT, B), "singular"),
        (lambda: ot.GaussianPlan(ZERO, A, SHIFT, B, -1.0), "epsilon"),
        (lambda: ot.GaussianPlan(ZERO, A, SHIFT * math.nan, B), "NaN"),
        (lambda: ot.GaussianBridge(ZERO, A, SHIFT, B, 0.0), "sigma"),
        (lambda: ot.GaussianBridge(ZERO, A, SHIFT, B, 1.0).marginal(2.0), "not 2.0"),
        (lambda: ot.ipf(torch.zeros(3, 3), torch.ones(3) / 3, torch.ones(3) / 3, 5), "positive"),
        (lambda: ot.ipf(torch.ones(3, 3), torch.ones(3), torch.ones(3) / 3, 5), "sums to 3"),
        (lambda: ot.ipf(torch.ones(3, 3), torch.ones(3) / 3, torch.ones(3) / 3, 0), "fits"),
        (lambda: ot.ipf_gaussian(ZERO, A, ((ZERO, A), (ZERO, A)), 5), "pairs"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_fits_say_whether_they_have_converged() -> None:
    eye = torch.eye(3)
    reference = torch.cat([torch.cat([A, A], 1), torch.cat([A, A + eye.to(A)], 1)])
    ends = ((ZERO, A), (SHIFT, B))
    start = torch.cat([ZERO, ZERO])
    assert not ot.ipf_gaussian(start, reference, ends, 1).converged
    assert ot.ipf_gaussian(start, reference, ends, 400).converged
    table, half = torch.tensor([[99.0, 1.0], [1.0, 1.0]]), torch.tensor([0.5, 0.5])
    assert [ot.ipf(table, half, half, k).converged for k in (1, 2, 100)] == [False, False, True]
