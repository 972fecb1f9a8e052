"""Entropic plans: optimality, marginals, gradients, limits, and what cannot be transported."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import ot as peer
from pushforward import ot
from pushforward.errors import ConvergenceWarning, InputError


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def simplex(n: int, seed: int, spread: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.softmax(spread * torch.randn(n, generator=g, dtype=torch.float64), 0)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p / q) - p + q).sum()


X, Y = normal(40, 3, 0), 0.5 * normal(60, 3, 1) + 1
A, B = simplex(40, 2), simplex(60, 3)
C = (X[:, None] - Y).square().sum(-1)
TAUS = [math.inf, 2.0, (0.5, math.inf), (math.inf, 0.5)]


def primal(plan: ot.Plan, a: Tensor, b: Tensor, costs: Tensor) -> Tensor:
    """The objective, from the entries of the plan alone."""
    entries = plan.matrix()
    value = (entries * costs).sum() + plan.epsilon * divergence(entries, a[:, None] * b)
    for tau, found, weights in zip(plan.tau, (entries.sum(1), entries.sum(0)), (a, b), strict=True):
        value += 0.0 if math.isinf(tau) else tau * divergence(found, weights)
    return value


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("epsilon", [1.0, 0.03])
def test_there_is_no_duality_gap(tau, epsilon) -> None:
    """The dual value at the potentials is the primal one of the plan: both are optimal."""
    plan = ot.sinkhorn(ot.PointClouds(X, Y), epsilon, A, B, tau=tau, tolerance=1e-10)
    assert plan.converged
    assert float(primal(plan, A, B, C)) == pytest.approx(float(plan.regularized_cost), abs=1e-9)
    assert float((plan.matrix() * C).sum()) == pytest.approx(float(plan.cost), abs=1e-12)


@given(
    n=st.integers(2, 30),
    m=st.integers(2, 30),
    d=st.integers(1, 5),
    spread=st.floats(0, 5),
    epsilon=st.floats(0.02, 10),
    seed=st.integers(0, 1000),
)
@example(n=2, m=2, d=1, spread=0.0234375, epsilon=0.021484375, seed=2)  # a long plateau
@example(n=2, m=2, d=4, spread=0.0625, epsilon=0.0625, seed=2)  # and one of Newton's steps
@settings(max_examples=40, deadline=None)
def test_marginals_are_as_promised(n, m, d, spread, epsilon, seed) -> None:
    a, b = simplex(n, seed, spread), simplex(m, seed + 1, spread)
    plan = ot.sinkhorn(
        ot.PointClouds(normal(n, d, seed), normal(m, d, seed + 1)), epsilon, a, b, tolerance=1e-7
    )
    entries = plan.matrix()
    error = float((entries.sum(1) - a).abs().sum() + (entries.sum(0) - b).abs().sum())
    assert plan.converged
    assert plan.marginal_error <= 1e-7
    assert error == pytest.approx(plan.marginal_error, abs=1e-12)


def test_single_precision_keeps_its_promise() -> None:
    plan = ot.sinkhorn(ot.PointClouds(X.float(), Y.float()), 0.05, tolerance=1e-4)
    entries = plan.matrix().double()
    error = (entries.sum(1) - 1 / 40).abs().sum() + (entries.sum(0) - 1 / 60).abs().sum()
    assert plan.converged
    assert float(error) < 1.1e-4


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("name", ["x", "y", "a", "b"])
def test_the_gradient_is_the_finite_difference(name, tau) -> None:
    values = {"x": X, "y": Y, "a": A, "b": B}
    direction = torch.randn(
        values[name].shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    )
    if name in "ab":
        # Along the simplex, where weights live.
        direction = values[name] * direction
        direction -= values[name] * direction.sum()

    def value(step: float) -> Tensor:
        moved = values | {name: (values[name] + step * direction).requires_grad_(step == 0)}
        plan = ot.sinkhorn(
            ot.PointClouds(moved["x"], moved["y"]),
            0.3,
            moved["a"],
            moved["b"],
            tau=tau,
            tolerance=1e-11,
        )
        if step == 0:
            plan.regularized_cost.backward()
            return (moved[name].grad * direction).sum()
        return plan.regularized_cost

    slope = (value(1e-4) - value(-1e-4)) / 2e-4
    assert float(value(0)) == pytest.approx(float(slope), rel=1e-5, abs=1e-6)


def test_the_gradient_in_a_cost_matrix_is_the_plan() -> None:
    costs = C.clone().requires_grad_()
    plan = ot.sinkhorn(ot.CostMatrix(costs), 0.3, A, B, tolerance=1e-10)
    plan.regularized_cost.backward()
    torch.testing.assert_close(costs.grad, plan.matrix())
    same = ot.sinkhorn(ot.PointClouds(X, Y), 0.3, A, B, tolerance=1e-10)
    torch.testing.assert_close(plan.matrix(), same.matrix(), atol=1e-10, rtol=0)


def test_the_gradient_of_any_cost_is_the_finite_difference() -> None:
    x, step = X.clone().requires_grad_(), 1e-4 * normal(40, 3, 4)
    cost = ot.PowerNorm(p=1.5, power=1.5)
    ot.sinkhorn(
        ot.PointClouds(x, Y, cost, block_size=7), 0.3, tolerance=1e-11
    ).regularized_cost.backward()
    ends = [
        ot.sinkhorn(ot.PointClouds(X + s * step, Y, cost), 0.3, tolerance=1e-11).regularized_cost
        for s in (1, -1)
    ]
    assert float((x.grad * step).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2, rel=1e-5)


@pytest.mark.parametrize("tau", [math.inf, 1.0])
def test_blocks_equal_dense(tau) -> None:
    dense = ot.sinkhorn(ot.PointClouds(X, Y), 0.05, A, B, tau=tau)
    blocks = ot.sinkhorn(ot.PointClouds(X, Y, block_size=7), 0.05, A, B, tau=tau)
    torch.testing.assert_close(blocks.f, dense.f, atol=1e-10, rtol=0)
    assert blocks.iterations == dense.iterations
    vectors = normal(60, 2, 5)
    torch.testing.assert_close(dense.apply(vectors), dense.matrix() @ vectors)
    torch.testing.assert_close(dense.apply_transposed(X), dense.matrix().mT @ X)
    for rows, block in dense.blocks(11):
        torch.testing.assert_close(block, dense.matrix()[rows])


def test_strong_penalties_bind() -> None:
    """The unbalanced plan tends to the balanced one like `1 / tau`."""
    balanced = ot.sinkhorn(ot.PointClouds(X, Y), 0.2, A, B, tolerance=1e-11).matrix()
    gaps = [
        float(
            (
                ot.sinkhorn(ot.PointClouds(X, Y), 0.2, A, B, tau=tau, tolerance=1e-11).matrix()
                - balanced
            ).norm()
        )
        for tau in (1e3, 1e4)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.05)


def test_weak_penalties_transport_little() -> None:
    """As `tau` falls mass stays only where it costs nothing: with far clouds, nowhere."""
    masses = [
        float(ot.sinkhorn(ot.PointClouds(X, Y + 3), 0.1, A, B, tau=tau).matrix().sum())
        for tau in (10, 1, 0.1)
    ]
    assert 1 > masses[0] > masses[1] > masses[2]
    assert masses[2] < 1e-8


def test_small_epsilon_is_an_assignment() -> None:
    """The bias of the cost is below `epsilon log n`, and vanishes with it."""
    x, y = normal(50, 2, 6), normal(50, 2, 7)
    exact = float(ot.exact(x, y).cost)
    gaps = []
    for epsilon in (0.1, 0.01, 0.001):
        plan = ot.sinkhorn(ot.PointClouds(x, y), epsilon, tolerance=1e-6)
        gaps.append(float(plan.cost) - exact)
        assert plan.converged
        assert -1e-4 < gaps[-1] < epsilon * math.log(50)
    assert gaps[2] < 0.05 * gaps[0]
    partner = plan.matrix().argmax(1)
    assert torch.equal(partner, ot.assignment(x, y))


def test_plain_sinkhorn_contracts_geometrically() -> None:
    """At the rate of the second singular value of the scaled plan, squared (Knight 2008)."""
    x, y = normal(30, 1, 8), normal(30, 1, 9)
    limit = ot.sinkhorn(ot.PointClouds(x, y), 0.5, tolerance=1e-12).matrix() * 30
    rate = float(torch.linalg.svdvals(limit)[1]) ** 2
    errors = []
    for sweeps in (80, 100):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = ot.sinkhorn(
                ot.PointClouds(x, y),
                0.5,
                tolerance=1e-14,
                anneal=False,
                newton=False,
                max_iterations=sweeps,
            )
        assert plan.iterations == sweeps
        errors.append(plan.marginal_error)
    assert (errors[1] / errors[0]) ** 0.05 == pytest.approx(rate, rel=1e-3)


def test_newton_ends_sooner_at_the_same_plan() -> None:
    x, y = normal(200, 2, 10), normal(200, 2, 11)
    fast = ot.sinkhorn(ot.PointClouds(x, y), 0.02, tolerance=1e-8)
    plain = ot.sinkhorn(
        ot.PointClouds(x, y), 0.02, tolerance=1e-8, newton=False, max_iterations=100_000
    )
    assert plain.converged
    assert fast.iterations < 0.2 * plain.iterations
    torch.testing.assert_close(fast.matrix(), plain.matrix(), atol=1e-7, rtol=0)


def test_a_warm_start_takes_fewer_iterations() -> None:
    cold = ot.sinkhorn(ot.PointClouds(X, Y), 0.05, A, B)
    moved = X + 0.01 * normal(40, 3, 12)
    warm = ot.sinkhorn(ot.PointClouds(moved, Y), 0.05, A, B, init=cold)
    assert warm.iterations < 0.5 * ot.sinkhorn(ot.PointClouds(moved, Y), 0.05, A, B).iterations
    assert ot.sinkhorn(ot.PointClouds(X, Y), 0.05, A, B, init=cold.g).iterations == 1


def test_points_without_mass_change_nothing() -> None:
    a, b = torch.cat([A, A.new_zeros(3)]), torch.cat([B.new_zeros(2), B])
    x, y = torch.cat([X, normal(3, 3, 13)]), torch.cat([normal(2, 3, 14), Y])
    few = ot.sinkhorn(ot.PointClouds(X, Y), 0.1, A, B, tolerance=1e-10)
    many = ot.sinkhorn(ot.PointClouds(x, y), 0.1, a, b, tolerance=1e-10)
    torch.testing.assert_close(many.matrix()[:40, 2:], few.matrix(), atol=1e-10, rtol=0)
    extended = ot.EntropicMap(many, y).potential(x)
    torch.testing.assert_close(extended, many.f, atol=1e-8, rtol=0)


def test_a_common_shift_is_a_shift_of_potentials() -> None:
    """Far from zero, where squares of coordinates drown their differences in single precision."""
    near = ot.sinkhorn(ot.PointClouds(X.float(), Y.float()), 0.2)
    far = ot.sinkhorn(ot.PointClouds(X.float() + 2048, Y.float() + 2048), 0.2)
    # The points themselves are rounded to 2^-12.
    torch.testing.assert_close(far.cost, near.cost, rtol=1e-3, atol=0)


def test_clusters_far_apart_meet_their_marginals() -> None:
    """Without annealing the kernel underflows; only a step in the log domain brings it back."""
    x = torch.cat([X, X + 100])
    y = torch.cat([Y[:40], Y[:40] + 100])
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.5, anneal=False)
    assert plan.converged
    one = ot.sinkhorn(ot.PointClouds(X, Y[:40]), 0.5)
    torch.testing.assert_close(plan.matrix()[:40, :40], 0.5 * one.matrix(), atol=1e-4, rtol=0)


def test_not_converging_is_said() -> None:
    with pytest.warns(ConvergenceWarning, match="marginal error"):
        plan = ot.sinkhorn(ot.PointClouds(X, Y), 0.01, max_iterations=5, tolerance=1e-8)
    assert not plan.converged
    assert plan.marginal_error > 1e-8


def test_peers_agree() -> None:
    expected = peer.sinkhorn(A.numpy(), B.numpy(), C.numpy(), 0.3, stopThr=1e-12)
    plan = ot.sinkhorn(ot.PointClouds(X, Y), 0.3, A, B, tolerance=1e-11)
    torch.testing.assert_close(plan.matrix(), torch.from_numpy(expected), atol=1e-10, rtol=0)


BAD = {
    "shapes": (lambda: ot.sinkhorn(ot.PointClouds(X, Y[:, :2]), 0.1), "same"),
    "empty": (lambda: ot.sinkhorn(ot.PointClouds(X[:0], Y), 0.1), "0 points"),
    "epsilon": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.0), "epsilon"),
    "negative epsilon": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), -1.0), "epsilon"),
    "weights": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, a=A * 2), "sums to 2"),
    "weights' shape": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, a=B), "shape"),
    "negative weights": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, a=-A), "negative"),
    "no mass": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, a=0 * A, tau=1.0), "mass"),
    "NaN": (lambda: ot.sinkhorn(ot.PointClouds(X * math.nan, Y), 0.1), "NaN"),
    "NaN weights": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, b=B * math.nan), "NaN"),
    "tau": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, tau=0.0), "tau"),
    "tolerance": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, tolerance=0.0), "tolerance"),
    "iterations": (
        lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, max_iterations=0),
        "max_iterations",
    ),
    "blocks": (lambda: ot.PointClouds(X, Y, block_size=0), "block_size"),
    "init": (lambda: ot.sinkhorn(ot.PointClouds(X, Y), 0.1, init=A), "init"),
    "cost": (lambda: ot.PointClouds(X, Y, cost=3), "cost"),
    "cost's shape": (
        lambda: ot.sinkhorn(ot.PointClouds(X, Y, cost=lambda x, y: x), 0.1),
        "cost returns",
    ),
    "matrix": (lambda: ot.sinkhorn(ot.CostMatrix(C[0]), 0.1), "matrix"),
    "NaN matrix": (lambda: ot.sinkhorn(ot.CostMatrix(C * math.nan), 0.1), "NaN"),
    "no geometry": (lambda: ot.sinkhorn(X, 0.1), "PointClouds"),
    "power": (lambda: ot.PowerNorm(p=0.5), "p is .* at least 1, not 0.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case) -> None:
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()


def test_weights_whose_sums_differ_by_rounding_are_met() -> None:
    """No plan has both marginals as they are given."""
    x, y = (
        torch.randn(20, 2, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for k in range(2)
    )
    a = torch.full((20,), (1 + 4e-6) / 20, dtype=torch.float64)
    assert ot.sinkhorn(ot.PointClouds(x, y), 0.5, a, tolerance=1e-9).converged


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_another_way_down_that_ends_badly_is_not_taken(dtype: torch.dtype) -> None:
    """With 1000 sweeps a second descent begins, and ends at an error of 0.065."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(100, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    clouds = ot.PointClouds(x.to(dtype), y.to(dtype))
    errors = []
    for most in (400, 1000):
        with pytest.warns(ConvergenceWarning, match="marginal error"):
            plan = ot.sinkhorn(clouds, 0.003, tolerance=1e-9, max_iterations=most, newton=False)
        errors.append(plan.marginal_error)
    assert errors[1] < errors[0] < 1e-2
