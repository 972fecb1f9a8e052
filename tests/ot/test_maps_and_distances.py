"""Divergences, maps, sliced and exact distances, against closed forms and linear programs."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor

from pushforward import ot
from pushforward.errors import CapabilityError, InputError, SamplingError
from pushforward.metrics import sliced_wasserstein as judged


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def simplex(n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.softmax(torch.randn(n, generator=g, dtype=torch.float64), 0)


def program(a: Tensor, b: Tensor, costs: Tensor) -> float:
    """The transport cost by linear programming."""
    n, m = costs.shape
    rows = torch.eye(n).repeat_interleave(m, 1)
    columns = torch.eye(m).repeat(1, n)
    done = linprog(
        costs.flatten().numpy(),
        A_eq=torch.cat([rows, columns]).numpy(),
        b_eq=torch.cat([a, b]).numpy(),
    )
    return done.fun


def test_assignment_is_the_linear_program() -> None:
    x, y = normal(12, 2, 0), normal(12, 2, 1)
    costs = (x[:, None] - y).square().sum(-1)
    plan = ot.exact(x, y)
    equal = torch.full((12,), 1 / 12, dtype=torch.float64)
    assert float(plan.cost) == pytest.approx(program(equal, equal, costs), abs=1e-9)
    assert torch.equal(plan.target.sort().values, torch.arange(12))
    assert float((plan.matrix() * costs).sum()) == pytest.approx(float(plan.cost))


@pytest.mark.parametrize("kind", ["clouds", "far", "repeated", "one point"])
def test_long_assignments_are_as_good_from_potentials(kind: str) -> None:
    n = 260
    x, y = normal(n, 2, 0).float(), normal(n, 2, 1).float() + 1
    if kind == "far":
        x, y = 100 * x, 100 * y + 1e4
    if kind == "repeated":
        x, y = x.round(), y.round()
    if kind == "one point":
        x, y = torch.ones_like(x), torch.ones_like(y)
    found = ot.assignment(x, y)
    assert torch.equal(found.sort().values, torch.arange(n))
    costs = (x.double()[:, None] - y.double()).square().sum(-1).numpy()
    rows, columns = linear_sum_assignment(costs)
    total = float((x.double() - y.double()[found]).square().sum())
    # The costs themselves are in single precision.
    assert total == pytest.approx(costs[rows, columns].sum(), rel=1e-6, abs=1e-9)


def test_weighted_plans_are_the_linear_program() -> None:
    x, y, a, b = normal(9, 2, 0), normal(12, 2, 1), simplex(9, 2), simplex(12, 3)
    costs = (x[:, None] - y).square().sum(-1)
    assert float(ot.exact(x, y, a, b).cost) == pytest.approx(program(a, b, costs), abs=1e-9)


def test_a_simplex_that_is_cut_short_is_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["pushforward.ot.exact"], "_PIVOTS", 3)
    with pytest.raises(SamplingError, match="9 and 12 points"):
        ot.exact(normal(9, 2, 0), normal(12, 2, 1), simplex(9, 2), simplex(12, 3))


def test_the_line_is_the_linear_program() -> None:
    x, y, a, b = normal(9, 1, 0), normal(12, 1, 1), simplex(9, 2), simplex(12, 3)
    for p in (1.0, 2.0, 3.0):
        costs = (x[:, None] - y).abs().pow(p)[..., 0]
        value = ot.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=p)
        assert float(value) == pytest.approx(program(a, b, costs), abs=1e-9)


def test_the_exact_gradient_moves_points_to_their_partners() -> None:
    x, y = normal(20, 2, 0).requires_grad_(), normal(20, 2, 1)
    ot.exact(x, y).cost.backward()
    torch.testing.assert_close(x.grad, 2 * (x.detach() - y[ot.assignment(x, y)]) / 20)


def test_entropic_plans_tend_to_the_line() -> None:
    x, y = normal(40, 1, 0), normal(40, 1, 1) + 1
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.002, tolerance=1e-6)
    assert float(plan.cost) == pytest.approx(float(ot.wasserstein_1d(x[:, 0], y[:, 0])), abs=4e-3)


def test_the_divergence_of_a_law_from_itself_is_zero_and_a_shift_is_exact() -> None:
    """Of a shifted law it is the squared shift at every `epsilon`; the entropic cost is not."""
    x, shift = normal(50, 2, 0), torch.tensor([1.0, -2.0], dtype=torch.float64)
    for epsilon in (0.1, 10.0):
        same = ot.sinkhorn_divergence(x, x, epsilon, tolerance=1e-9)
        moved = ot.sinkhorn_divergence(x, x + shift, epsilon, tolerance=1e-9)
        assert float(same) == pytest.approx(0, abs=1e-9)
        assert float(moved) == pytest.approx(5, abs=1e-7)


def test_the_divergence_is_stationary_at_equal_laws_and_falls_to_them() -> None:
    x = normal(50, 2, 0)
    moving = (x + 0.3 * normal(50, 2, 1)).requires_grad_()
    value = ot.sinkhorn_divergence(moving, x, 0.5, tolerance=1e-9)
    value.backward()
    value = value.detach()
    stepped = ot.sinkhorn_divergence(moving.detach() - 10 * moving.grad, x, 0.5, tolerance=1e-9)
    assert 0 < float(stepped) < float(value)
    same = x.clone().requires_grad_()
    ot.sinkhorn_divergence(same, x, 0.5, tolerance=1e-11).backward()
    assert float(same.grad.abs().max()) < 1e-9


def test_wide_entropy_is_an_energy_distance_of_means() -> None:
    """For squared distances the divergence tends to the squared difference of means."""
    x, y = normal(30, 2, 0), 2 * normal(40, 2, 1) + 1
    value = ot.sinkhorn_divergence(x, y, 1e5, tolerance=1e-12)
    means = (x.mean(0) - y.mean(0)).square().sum()
    assert float(value) == pytest.approx(float(means), rel=1e-3)


def test_the_entropic_map_is_the_plan_at_its_own_points() -> None:
    x, y = normal(30, 2, 0), normal(40, 2, 1) + 5
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.3, tolerance=1e-11)
    push = ot.EntropicMap(plan, y)
    torch.testing.assert_close(push.weights(x), plan.matrix() * 30, atol=1e-9, rtol=0)
    torch.testing.assert_close(push(x), 30 * plan.apply(y), atol=1e-8, rtol=0)
    torch.testing.assert_close(push.potential(x), plan.f, atol=1e-9, rtol=0)


def test_the_entropic_map_is_the_gradient_of_its_potential() -> None:
    x, y = normal(30, 2, 0), normal(40, 2, 1) + 5
    push = ot.EntropicMap(ot.sinkhorn(ot.PointClouds(x, y), 0.3), y)
    new = normal(7, 2, 2).requires_grad_()
    (slope,) = torch.autograd.grad(push.potential(new).sum(), new)
    torch.testing.assert_close(push(new), new - slope / 2)


def test_samples_of_the_map_have_its_mean() -> None:
    x, y = normal(30, 1, 0), normal(40, 1, 1) + 5
    push = ot.EntropicMap(ot.sinkhorn(ot.PointClouds(x, y), 0.5), y)
    at = torch.zeros(4000, 1, dtype=torch.float64)
    drawn = push.sample(at, torch.Generator().manual_seed(0))
    error = float(drawn.std()) / math.sqrt(4000)
    assert abs(float(drawn.mean() - push(at[:1]))) < 4 * error


def test_only_points_have_maps() -> None:
    x, y = normal(5, 2, 0), normal(6, 2, 1)
    costs = torch.rand(5, 6, generator=torch.Generator())
    with pytest.raises(CapabilityError, match="points"):
        ot.EntropicMap(ot.sinkhorn(ot.CostMatrix(costs), 0.3), y)
    push = ot.EntropicMap(ot.sinkhorn(ot.PointClouds(x, y), 1.0), y)
    with pytest.raises(InputError, match="events"):
        push(x[:, :1])


def test_sliced_agrees_with_the_metric() -> None:
    x, y = normal(300, 3, 0), 2 * normal(200, 3, 1) + 1
    value = float(ot.sliced_wasserstein(x, y, directions=2000, seed=0)) ** 0.5
    estimate = judged(x, y, directions=2000, seed=0)
    assert value == pytest.approx(estimate.value, rel=1e-9)


def test_sliced_gradients_are_finite_differences() -> None:
    x, y, step = normal(20, 3, 0).requires_grad_(), normal(30, 3, 1), 1e-6 * normal(20, 3, 2)
    (slope,) = torch.autograd.grad(ot.sliced_wasserstein(x, y, seed=0), x)
    ends = [ot.sliced_wasserstein(x.detach() + s * step, y, seed=0) for s in (1, -1)]
    change = float(ends[0] - ends[1]) / 2
    assert float((slope * step).sum()) == pytest.approx(change, rel=1e-3)


def test_the_largest_slice_of_a_shift_is_the_shift() -> None:
    x, shift = normal(20, 3, 0).requires_grad_(), torch.tensor([1.0, 2.0, -2.0]).double()
    value = ot.max_sliced_wasserstein(x, x.detach() + shift, seed=0)
    value.backward()
    assert float(value.detach()) == pytest.approx(9, abs=1e-9)
    torch.testing.assert_close(x.grad, (-2 * shift / 20).expand(20, 3))


def test_the_largest_slice_of_a_stretched_law() -> None:
    """Laws that differ by a linear map of one coordinate differ most along it."""
    x = normal(2000, 4, 0)
    y = x * torch.tensor([1.0, 3.0, 1.0, 1.0], dtype=torch.float64)
    expected = float(ot.wasserstein_1d(x[:, 1], y[:, 1]))
    found = float(ot.max_sliced_wasserstein(x, y, seed=0))
    assert expected * 0.999 < found < expected * 1.05
    assert found > 2 * float(ot.sliced_wasserstein(x, y, seed=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: ot.assignment(x, y[:4]), "assignment"),
        (lambda x, y: ot.exact(x[:0], y), "0 points"),
        (lambda x, y: ot.exact(x, y, simplex(5, 0) * 3), "sums to 3"),
        (lambda x, y: ot.wasserstein_1d(x, y, p=0.5), "at least 1, not 0.5"),
        (lambda x, y: ot.sliced_wasserstein(x, y, directions=0), "directions"),
        (lambda x, y: ot.sliced_wasserstein(x, y, directions=torch.ones(3, 1)), "directions"),
        (lambda x, y: ot.sliced_wasserstein(x, y * math.nan), "NaN"),
        (lambda x, y: ot.sinkhorn_divergence(x, y[:, :1], 1.0), "same"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call(normal(5, 2, 0), normal(5, 2, 1))
