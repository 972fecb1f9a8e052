"""Several weight vectors at once have the plans that each has alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import ot as peer
from pushforward import ot
from pushforward.errors import InputError


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Y = normal(30, 2, 0), normal(40, 2, 1) + 1
A, B = normal(30, 5, 2).softmax(0).mT, (2 * normal(40, 5, 3)).softmax(0).mT


@pytest.mark.parametrize("tau", [math.inf, 1.0])
@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.005])
def test_each_plan_is_the_one_alone(epsilon, tau) -> None:
    clouds = ot.PointClouds(X, Y)
    found = ot.sinkhorn_batch(clouds, epsilon, A, B, tolerance=1e-9, tau=tau)
    assert found.converged
    assert len(found) == 5
    assert found.marginal_error <= 1e-9
    for k, plan in enumerate(found):
        alone = ot.sinkhorn(clouds, epsilon, A[k], B[k], tolerance=1e-9, tau=tau)
        torch.testing.assert_close(plan.matrix(), alone.matrix(), atol=1e-8, rtol=0)
        assert float(found.regularized_cost[k]) == pytest.approx(
            float(alone.regularized_cost), abs=1e-7
        )
    assert found.f.shape == (5, 30)
    assert found.g.shape == (5, 40)
    assert torch.equal(found[1:3].cost, found.cost[1:3])


def test_what_is_given_once_serves_all_and_gradients_are_those_alone() -> None:
    a = A.clone().requires_grad_()
    costs = ((X[:, None] - Y) ** 2).sum(-1).requires_grad_()
    found = ot.sinkhorn_batch(ot.CostMatrix(costs), 0.3, a, B[0], tolerance=1e-10)
    found.regularized_cost.sum().backward()
    plans = sum(plan.matrix() for plan in found)
    torch.testing.assert_close(costs.grad, plans, atol=1e-9, rtol=0)
    for k in range(5):
        one = A[k].clone().requires_grad_()
        alone = ot.sinkhorn(ot.PointClouds(X, Y), 0.3, one, B[0], tolerance=1e-10)
        alone.regularized_cost.backward()
        gap = a.grad[k] - one.grad
        torch.testing.assert_close(gap, gap.mean().expand_as(gap), atol=1e-7, rtol=0)


def test_the_peers_columns_are_the_rows_here() -> None:
    costs = ((X[:, None] - Y) ** 2).sum(-1)
    values = peer.sinkhorn(A[0].numpy(), B.mT.numpy(), costs.numpy(), 0.5, stopThr=1e-12)
    found = ot.sinkhorn_batch(ot.CostMatrix(costs), 0.5, A[0], B, tolerance=1e-11)
    torch.testing.assert_close(found.cost, torch.from_numpy(values), atol=1e-8, rtol=0)


def test_weights_without_common_mass_are_no_trouble() -> None:
    """Of which one problem has points that another lacks, far away, and one is a single point."""
    a = torch.zeros(4, 6, dtype=torch.float64)
    a[0, :2], a[1, 2:4], a[2, 5], a[3] = 0.5, 0.5, 1, 1 / 6
    x = torch.arange(6.0).double() * 30
    clouds = ot.PointClouds(x, x)
    found = ot.sinkhorn_batch(clouds, 0.5, a, a.flip(0), tolerance=1e-9)
    assert found.converged
    lines = ot.wasserstein_1d(x[:, None].expand(6, 4), x[:, None].expand(6, 4), a.mT, a.flip(0).mT)
    torch.testing.assert_close(found.cost, lines, atol=1e-6, rtol=1e-6)


def test_histograms_of_a_grid_come_in_batches_too() -> None:
    line = torch.linspace(0, 1, 7, dtype=torch.float64)
    grid = ot.CartesianGrid([line, line])
    a, b = (normal(49, 3, k).softmax(0).mT.reshape(3, 7, 7) for k in (0, 1))
    found = ot.sinkhorn_batch(grid, 0.01, a, b, tolerance=1e-9)
    for k in range(3):
        alone = ot.sinkhorn(grid, 0.01, a[k], b[k], tolerance=1e-9)
        torch.testing.assert_close(found[k].matrix(), alone.matrix(), atol=1e-8, rtol=0)


def test_the_budget_is_that_of_each_problem_and_not_converging_is_said() -> None:
    for budget in (1, 5, 9, 40):
        with pytest.warns(UserWarning, match=r"5 of 5: Sinkhorn stopped .* raise max_iterations"):
            found = ot.sinkhorn_batch(
                ot.PointClouds(X, Y), 0.005, A, B, tolerance=1e-12, max_iterations=budget
            )
        assert not found.converged
        assert max(plan.iterations for plan in found) <= budget


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (A, B[:3], "5 weight vectors a and 3 b"),
        (A[:0], B, "holds no weights"),
        (A[:, :4], B, r"shape \(4,\) for 30 points"),
        (2 * A, B, "sums to 2"),
        (A, "none", "b is 'none'"),
        (A[None], B, "shape"),
    ],
)
def test_bad_weights_are_named(a, b, message) -> None:
    with pytest.raises(InputError, match=message):
        ot.sinkhorn_batch(ot.PointClouds(X, Y), 0.3, a, b)
    with pytest.raises(InputError, match="geometry"):
        ot.sinkhorn_batch(X, 0.3, A)
