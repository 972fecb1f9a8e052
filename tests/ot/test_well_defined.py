"""Transport that is well defined is found: no mass, far clouds, one point, forbidden pairs."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

import ot as peer
from pushforward import ot
from pushforward.errors import InputError


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quiet(*args, **options) -> ot.Plan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ot.sinkhorn(*args, **options)


# -- the iteration ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_more_sweeps_give_no_worse_a_plan(seed: int) -> None:
    """Near an assignment, where conjugate gradients do not get through."""
    clouds = ot.PointClouds(normal(100, 2, seed), normal(100, 2, seed + 100) + 1)
    plans = [quiet(clouds, 0.01, tolerance=1e-8, max_iterations=k) for k in (100, 1000, 10_000)]
    errors = [plan.marginal_error for plan in plans]
    assert errors[0] >= errors[1] >= errors[2]
    assert plans[1].converged
    entries = plans[1].matrix()
    truth = (entries.sum(1) - 0.01).abs().sum() + (entries.sum(0) - 0.01).abs().sum()
    assert float(truth) == pytest.approx(errors[1], abs=1e-13)
    assert errors[1] <= 1e-8


def test_the_plan_at_tight_tolerance_is_the_one_of_the_log_domain() -> None:
    x, y = normal(60, 2, 0), normal(60, 2, 1) + 1
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.1, tolerance=1e-11)
    equal = np.full(60, 1 / 60)
    costs = ((x[:, None] - y) ** 2).sum(-1).numpy()
    found = peer.sinkhorn(
        equal, equal, costs, 0.1, method="sinkhorn_log", stopThr=1e-12, numItermax=50_000
    )
    torch.testing.assert_close(plan.matrix(), torch.from_numpy(found), atol=1e-9, rtol=0)


@pytest.mark.parametrize("newton", [True, False])
@pytest.mark.parametrize("anneal", [True, False])
@pytest.mark.parametrize("budget", [1, 2, 3, 7, 50, 130])
def test_the_budget_is_what_was_said(budget: int, anneal: bool, newton: bool) -> None:
    clouds = ot.PointClouds(normal(30, 2, 0), normal(40, 2, 1) + 1)
    plan = quiet(
        clouds, 0.003, tolerance=1e-12, max_iterations=budget, anneal=anneal, newton=newton
    )
    assert plan.iterations <= budget
    assert math.isfinite(plan.marginal_error)


def test_the_best_plan_is_kept_where_tolerance_cannot_be_reached() -> None:
    clouds = ot.PointClouds(normal(80, 2, 0).float(), normal(80, 2, 1).float() + 1)
    errors = [
        quiet(clouds, 0.02, tolerance=1e-9, max_iterations=k).marginal_error
        for k in (500, 2000, 8000)
    ]
    assert max(errors) < 5e-5
    # Within the roundings of single precision.
    assert errors[2] < 1.5 * errors[0]


def test_the_advice_fits_the_case() -> None:
    x, y = normal(40, 2, 0), normal(40, 2, 1)
    with pytest.warns(UserWarning, match="raise max_iterations or epsilon$"):
        ot.sinkhorn(ot.PointClouds(x, y), 0.01, tolerance=1e-8, max_iterations=20)
    with pytest.warns(UserWarning, match="raise epsilon or the tolerance$"):
        ot.sinkhorn(ot.PointClouds(x, y), 0.01, tolerance=1e-18)
    with pytest.warns(UserWarning, match="or use double precision$"):
        ot.sinkhorn(ot.PointClouds(x.float(), y.float()), 0.01, tolerance=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_error_that_is_reported_is_the_one_tested(seed: int) -> None:
    x, y = normal(60, 2, seed).float(), normal(50, 2, seed + 50).float() + 1
    for epsilon in (0.3, 0.03, 0.01):
        plan = quiet(ot.PointClouds(x, y), epsilon, tolerance=1e-4)
        entries = plan.matrix().double()
        error = float(
            (entries.sum(1) - plan.a.double()).abs().sum()
            + (entries.sum(0) - plan.b.double()).abs().sum()
        )
        assert error == pytest.approx(plan.marginal_error, rel=1e-6)
        assert plan.converged == (error <= 1e-4)


@pytest.mark.parametrize("newton", [True, False])
@pytest.mark.parametrize("taus", [(1e2, 1e2), (1e6, 1e6), (1e4, math.inf), (math.inf, 1e4)])
def test_unequal_masses_are_met_whatever_the_penalty(taus, newton) -> None:
    """The constant between the potentials is in closed form, and not found by a crawl."""
    x, y = normal(40, 2, 0), normal(60, 2, 1) + 1
    a, b = x.new_full((40,), 1 / 40), x.new_full((60,), 3 / 60)
    plan = ot.sinkhorn(
        ot.PointClouds(x, y), 0.1, a, b, tau=taus, tolerance=1e-8, newton=newton,
        max_iterations=1000,
    )  # fmt: skip
    assert plan.converged
    mass = float(plan.matrix().sum())
    if math.isinf(taus[0]):
        assert mass == pytest.approx(1, abs=1e-8)
    elif math.isinf(taus[1]):
        assert mass == pytest.approx(3, abs=1e-8)
    elif taus[0] == 1e6:
        # The mass nearest to both in Kullback-Leibler divergence.
        assert mass == pytest.approx(math.sqrt(3), rel=1e-3)


def test_the_unbalanced_plan_is_the_peers() -> None:
    x, y = normal(20, 2, 0), normal(30, 2, 1) + 1
    a, b = x.new_full((20,), 1 / 20), x.new_full((30,), 2 / 30)
    costs = ((x[:, None] - y) ** 2).sum(-1)
    found = peer.unbalanced.sinkhorn_unbalanced(
        a.numpy(), b.numpy(), costs.numpy(), 0.5, 2.0, reg_type="kl", stopThr=1e-13,
        numItermax=100_000,
    )  # fmt: skip
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.5, a, b, tau=2.0, tolerance=1e-11)
    torch.testing.assert_close(plan.matrix(), torch.from_numpy(found), atol=1e-9, rtol=0)


# -- what is given ------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [math.inf, 1.0])
@pytest.mark.parametrize("block", [None, 7])
def test_pairs_without_any_mass_change_nothing(block, tau) -> None:
    """Two points without mass near each other would have an infinite entry, times nothing."""
    x, y, w = normal(20, 2, 0), normal(25, 2, 1), normal(1, 2, 2) + 1000
    a, b = x.new_full((20,), 1 / 20), x.new_full((25,), 1 / 25)
    none = x.new_zeros(1)
    few = ot.sinkhorn(ot.PointClouds(x, y, None, block), 0.1, a, b, tau=tau, tolerance=1e-9)
    given = [torch.cat(parts).requires_grad_() for parts in ((x, w), (y, w), (a, none), (b, none))]
    many = ot.sinkhorn(
        ot.PointClouds(given[0], given[1], None, block), 0.1, given[2], given[3], tau=tau,
        tolerance=1e-9,
    )  # fmt: skip
    torch.testing.assert_close(many.matrix()[:20, :25], few.matrix(), atol=1e-9, rtol=0)
    assert float(many.matrix()[20:].abs().sum() + many.matrix()[:, 25:].abs().sum()) == 0
    assert float(many.cost) == pytest.approx(float(few.cost), abs=1e-8)
    assert float(many.regularized_cost.detach()) == pytest.approx(
        float(few.regularized_cost), abs=1e-8
    )
    many.regularized_cost.backward()
    assert all(bool(value.grad.isfinite().all()) for value in given)
    assert float(given[0].grad[20].abs().sum() + given[1].grad[25].abs().sum()) == 0


def test_weights_that_are_all_but_nothing_are_nothing() -> None:
    """Subnormal ones, of which no product keeps its digits."""
    x, y = normal(20, 2, 0).float(), normal(25, 2, 1).float()
    a, b = torch.full((20,), 1 / 18), torch.full((25,), 1 / 24)
    a[:2], b[3] = 1e-40, 1e-41
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.1, a, b)
    same = ot.sinkhorn(ot.PointClouds(x, y), 0.1, a.where(a > 1e-30, 0), b.where(b > 1e-30, 0))
    assert plan.converged
    torch.testing.assert_close(plan.matrix(), same.matrix())


def test_grids_have_empty_cells_on_both_sides() -> None:
    line = torch.linspace(0, 100, 12, dtype=torch.float64)
    a, b = torch.zeros(12).double(), torch.zeros(12).double()
    a[:3], b[4:9] = 1 / 3, 1 / 5
    plan = ot.sinkhorn(ot.CartesianGrid([line]), 0.5, a, b, tolerance=1e-9)
    same = ot.wasserstein_1d(line, line, a, b)
    assert bool(plan.matrix().isfinite().all())
    assert float(plan.cost) == pytest.approx(float(same), rel=1e-3)


def test_far_clouds_cost_their_means_more() -> None:
    """`W_2^2` is that of centered clouds and the squared distance of the means."""
    x, y = normal(60, 2, 0).float(), normal(60, 2, 1).float()
    shift = torch.tensor([100.0, -50.0])
    near = ot.sinkhorn(ot.PointClouds(x, y), 0.05, tolerance=1e-4)
    far = ot.sinkhorn(ot.PointClouds(x, y + shift), 0.05, tolerance=1e-4)
    assert far.converged
    torch.testing.assert_close(far.matrix(), near.matrix(), atol=3e-5, rtol=0)
    gap = (x.double().mean(0) - y.double().mean(0)).square().sum()
    apart = (x.double().mean(0) - (y + shift).double().mean(0)).square().sum()
    assert float(far.cost) == pytest.approx(float(near.cost + apart - gap), rel=1e-6)
    exact, moved = ot.exact(x, y), ot.exact(x, y + shift)
    assert torch.equal(exact.target, moved.target)
    assert float(moved.cost) == pytest.approx(float(exact.cost + apart - gap), rel=1e-6)


def test_far_clouds_have_the_maps_of_near_ones() -> None:
    x, y = normal(60, 2, 0).requires_grad_(), normal(50, 2, 1)
    shift = torch.tensor([100.0, -50.0], dtype=torch.float64)
    near = ot.EntropicMap(ot.sinkhorn(ot.PointClouds(x, y), 0.3, tolerance=1e-10), y)
    plan = ot.sinkhorn(ot.PointClouds(x, y + shift), 0.3, tolerance=1e-10)
    far = ot.EntropicMap(plan, y + shift)
    torch.testing.assert_close(far(x), near(x) + shift, atol=1e-7, rtol=0)
    torch.testing.assert_close(far.potential(x), plan.f, atol=1e-7, rtol=0)
    (slope,) = torch.autograd.grad(far.potential(x).sum(), x)
    torch.testing.assert_close(far(x), x - slope / 2, atol=1e-8, rtol=0)
    plan.regularized_cost.backward()
    expected = 2 * (x.detach() / 60 - plan.apply(y + shift))
    torch.testing.assert_close(x.grad, expected, atol=1e-8, rtol=0)
    assert float(plan.f @ plan.a + plan.g @ plan.b) == pytest.approx(
        float(plan.regularized_cost.detach()), abs=1e-7
    )


def test_one_point_is_a_cloud() -> None:
    y = normal(7, 2, 1)
    costs = y.square().sum(1)
    plan = ot.sinkhorn(ot.PointClouds(torch.zeros(1, 2, dtype=torch.float64), y), 0.1)
    torch.testing.assert_close(plan.matrix(), torch.full((1, 7), 1 / 7, dtype=torch.float64))
    assert float(plan.cost) == pytest.approx(float(costs.mean()))
    origin = torch.zeros(1, 2, dtype=torch.float64)
    assert float(ot.exact(origin, y).cost) == pytest.approx(float(costs.mean()))
    assert float(ot.exact(origin, y[:1]).cost) == pytest.approx(float(costs[0]))
    line = ot.wasserstein_1d(torch.zeros(1).double(), y[:, 0])
    assert float(line) == pytest.approx(float(y[:, 0].square().mean()))
    assert float(ot.sinkhorn(ot.CostMatrix([[3.0]]), 0.1).cost) == 3


def test_arrays_and_lists_are_points_and_weights() -> None:
    x, y = normal(6, 2, 0), normal(7, 2, 1)
    a = np.full(6, 1 / 6)
    a.flags.writeable = False
    want = ot.sinkhorn(ot.PointClouds(x, y), 0.1, tolerance=1e-9).matrix()
    for kind in (lambda t: t.numpy()[::-1], lambda t: t.flip(0).tolist()):
        plan = ot.sinkhorn(ot.PointClouds(kind(x), kind(y)), 0.1, a, [1 / 7] * 7, tolerance=1e-9)
        torch.testing.assert_close(plan.matrix().flip(0, 1), want, atol=1e-7, rtol=0)
    costs = ((x[:, None] - y) ** 2).sum(-1)
    plan = ot.sinkhorn(ot.CostMatrix(costs.numpy()), 0.1, tolerance=1e-9)
    torch.testing.assert_close(plan.matrix(), want, atol=1e-7, rtol=0)
    assert float(ot.exact(x.numpy(), y.tolist(), a).cost) == pytest.approx(
        float(ot.exact(x, y).cost)
    )
    assert float(ot.wasserstein_1d([0.0, 1.0], [3.0, 2.0])) == 4


def test_a_pair_of_scalings_starts_where_it_ended() -> None:
    x, y = normal(30, 2, 0), normal(40, 2, 1)
    costs = ((x[:, None] - y) ** 2).sum(-1)
    a, b = np.full(30, 1 / 30), np.full(40, 1 / 40)
    _, log = peer.sinkhorn(a, b, costs.numpy(), 0.5, stopThr=1e-13, log=True)
    start = ot.Scalings(log["u"], log["v"])
    plan = ot.sinkhorn(ot.CostMatrix(costs), 0.5, tolerance=1e-9, init=start)
    assert plan.iterations == 1
    again = ot.sinkhorn(ot.PointClouds(x, y), 0.5, tolerance=1e-8, init=plan.scalings())
    assert again.iterations == 1
    pair = (plan.f.numpy(), plan.g.numpy())
    assert ot.sinkhorn(ot.PointClouds(x, y), 0.5, tolerance=1e-8, init=pair).iterations == 1
    with pytest.raises(InputError, match="tuple of 3"):
        ot.sinkhorn(ot.PointClouds(x, y), 0.5, init=(1, 2, 3))
    u, v = plan.scalings()
    torch.testing.assert_close(u[:, None] * (-costs / 0.5).exp() * v, plan.matrix())


# -- forbidden pairs ----------------------------------------------------------------------------


def test_forbidden_pairs_carry_nothing_and_the_plan_is_best_without_them() -> None:
    costs = normal(8, 9, 0).square()
    forbidden = normal(8, 9, 1) > 0.5
    table = costs.masked_fill(forbidden, math.inf)
    rows, columns = torch.eye(8).repeat_interleave(9, 1), torch.eye(9).repeat(1, 8)
    program = linprog(
        costs.flatten().numpy(),
        A_eq=torch.cat([rows, columns]).numpy(),
        b_eq=np.concatenate([np.full(8, 1 / 8), np.full(9, 1 / 9)]),
        bounds=[(0, 0 if f else None) for f in forbidden.flatten().tolist()],
    )
    given = table.clone().requires_grad_()
    plan = ot.sinkhorn(ot.CostMatrix(given), 0.002, tolerance=1e-9)
    assert float(plan.matrix()[forbidden].sum()) == 0
    assert float(plan.cost) == pytest.approx(program.fun, abs=5e-3)
    plan.regularized_cost.backward()
    torch.testing.assert_close(given.grad, plan.matrix())
    x, y = torch.arange(8.0).double(), torch.arange(9.0).double()
    assert float(ot.exact(x, y, cost=lambda x, y: table).cost) == pytest.approx(program.fun)
    mean = float(costs[~forbidden].mean())
    assert ot.CostMatrix(table).mean_cost() == pytest.approx(mean)


def test_a_distance_may_forbid() -> None:
    x, y = normal(20, 2, 0), normal(20, 2, 1)

    def near(x: Tensor, y: Tensor) -> Tensor:
        gaps = (x[:, None] - y).square().sum(-1)
        return gaps.where(gaps < 9, math.inf)

    found = ot.sinkhorn(ot.PointClouds(x, y, near, block_size=6), 0.1, tolerance=1e-9)
    same = ot.sinkhorn(ot.CostMatrix(near(x, y)), 0.1, tolerance=1e-9)
    torch.testing.assert_close(found.matrix(), same.matrix(), atol=1e-9, rtol=0)


def test_what_is_nowhere_allowed_is_an_error_or_left_where_it_is() -> None:
    costs = normal(4, 5, 0).square()
    costs[2] = math.inf
    with pytest.raises(InputError, match="row 2 has nowhere to go"):
        ot.sinkhorn(ot.CostMatrix(costs), 0.1)
    few = [0, 1, 3]
    free = ot.sinkhorn(ot.CostMatrix(costs), 0.1, tau=1.0, tolerance=1e-9)
    weights = torch.full((3,), 0.25, dtype=torch.float64)
    same = ot.sinkhorn(ot.CostMatrix(costs[few]), 0.1, weights, tau=1.0, tolerance=1e-9)
    torch.testing.assert_close(free.matrix()[few], same.matrix(), atol=1e-9, rtol=0)
    assert float(free.matrix()[2].sum()) == 0
    # All of its mass is lost, at the price `tau` each.
    lost = float(free.regularized_cost - same.regularized_cost)
    assert lost == pytest.approx(0.25 + 0.1 * 0.25, abs=1e-8)


def test_marginals_that_no_allowed_pairs_meet_are_named() -> None:
    """Hall's condition: two rows with half of the mass, and one column for them with a quarter."""
    costs = normal(4, 4, 0).square()
    costs[:2, 1:] = math.inf
    with pytest.raises(
        InputError, match=r"2 rows, row [01] among them, have the mass 0.5, .* 0.25"
    ):
        ot.sinkhorn(ot.CostMatrix(costs), 0.1)
    x = torch.arange(4.0).double()
    for a in (None, torch.tensor([0.3, 0.2, 0.2, 0.3]).double()):
        with pytest.raises(InputError, match="infinite costs"):
            ot.exact(x, x, a, cost=lambda x, y: costs)


# -- doors --------------------------------------------------------------------------------------

LINE = ot.PointClouds([0.0, 1.0], [0.0, 1.0])
ODD = [None, "three", {"x": 1}, [[1.0], [2.0, 3.0]], object(), 1 + 2j, torch.ones(3) * 1j]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "door",
    [
        lambda v: ot.PointClouds(v, torch.zeros(3, 1)),
        lambda v: ot.PointClouds(torch.zeros(3, 1), v),
        lambda v: ot.CostMatrix(v),
        lambda v: ot.CartesianGrid({} if isinstance(v, list) else v),
        lambda v: ot.CartesianGrid([v]),
        lambda v: ot.exact(v, torch.zeros(3, 1)),
        lambda v: ot.assignment(torch.zeros(3, 1), v),
        lambda v: ot.wasserstein_1d(v, torch.zeros(3)),
        lambda v: ot.sliced_wasserstein(v, torch.zeros(3, 1), seed=0),
        lambda v: ot.max_sliced_wasserstein(v, torch.zeros(3, 1), seed=0),
        lambda v: ot.sinkhorn_divergence(v, torch.zeros(3, 1), 0.1),
        lambda v: ot.sinkhorn(LINE, v),
        lambda v: ot.sinkhorn(LINE, 0.1, "none" if v is None else v),
        lambda v: ot.sinkhorn(LINE, 0.1, tau=v),
        lambda v: ot.sinkhorn(LINE, 0.1, tolerance=v),
        lambda v: ot.sinkhorn(LINE, 0.1, max_iterations=v),
        lambda v: ot.sinkhorn(LINE, 0.1, anneal=v),
        lambda v: ot.sinkhorn(LINE, 0.1, init="none" if v is None else v),
        lambda v: ot.PowerNorm(p=v),
        lambda v: ot.PowerNorm(power=v),
        lambda v: ot.wasserstein_1d([0.0], [1.0], p=v),
        lambda v: ot.sliced_wasserstein([0.0], [1.0], p=v, seed=0),
        lambda v: ot.sliced_wasserstein([0.0], [1.0], directions=v, seed=0),
        lambda v: ot.max_sliced_wasserstein([0.0], [1.0], steps=v, seed=0),
        lambda v: ot.ipf(v, [0.5, 0.5], [0.5, 0.5], 2),
        lambda v: ot.GaussianPlan(v, [[1.0]], [0.0], [[1.0]]),
        lambda v: ot.GaussianPlan([0.0], v, [0.0], [[1.0]]),
        lambda v: ot.EntropicMap(v, [0.0]),
        lambda v: ot.ipf_gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], v, 2),
        lambda v: ot.ipf_gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], ((v, v), (v, v)), 2),
        lambda v: ot.GaussianBridge([0.0], [[1.0]], [0.0], [[1.0]], 1.0).marginal(v),
        lambda v: ot.GaussianPlan([0.0], [[1.0]], [0.0], [[1.0]], v),
        lambda v: ot.GaussianPlan([0.0], [[1.0]], [0.0], [[1.0]]).map(v),
        lambda v: ot.GaussianPlan([0.0], [[1.0]], [0.0], [[1.0]]).sample(v),
        lambda v: ot.sinkhorn(LINE, 0.1).apply(v),
        lambda v: ot.sinkhorn(LINE, 0.1).apply_transposed(v),
        lambda v: ot.EntropicMap(ot.sinkhorn(LINE, 0.1), [0.0, 1.0])(v),
        lambda v: ot.sinkhorn_batch(LINE, v),
        lambda v: ot.sinkhorn_divergence([0.0], [1.0], v),
    ],
)  # fmt: skip
def test_odd_input_is_named(door, value) -> None:
    with pytest.raises(InputError):
        door(value)


def test_coordinates_beyond_the_range_of_their_squares_are_named() -> None:
    x = torch.tensor([[0.0], [1e25]])
    with pytest.raises(InputError, match="beyond the range"):
        ot.PointClouds(x, x)


def test_a_cost_without_gradients_is_no_loss() -> None:
    x = normal(5, 2, 0).requires_grad_()
    clouds = ot.PointClouds(x, normal(6, 2, 1), lambda x, y: torch.cdist(x, y).detach())
    with pytest.raises(InputError, match="without gradients"):
        ot.sinkhorn(clouds, 0.1)


# -- exact plans: potentials and weights ---------------------------------------------------------


def simplex(n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.softmax(torch.randn(n, generator=g, dtype=torch.float64), 0)


def dual(plan: ot.ExactPlan, costs: Tensor) -> None:
    """The potentials are feasible, tight on the plan, worth its cost, and balanced."""
    f, g = plan.potentials
    slack = costs - f[:, None] - g
    assert float(slack.min()) > -1e-9
    assert float(slack[plan.source, plan.target].abs().max()) < 1e-9
    half = float(plan.cost.detach()) / 2
    assert float(plan.a @ f) == pytest.approx(half, abs=1e-9)
    assert float(plan.b @ g) == pytest.approx(half, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 30, 250])
def test_assignments_have_dual_potentials(n: int) -> None:
    x, y = normal(n, 2, 0), normal(n, 2, 1) + 3
    dual(ot.exact(x, y), (x[:, None] - y).square().sum(-1))
    dual(ot.exact(x, y, cost=ot.PowerNorm()), torch.cdist(x, y))


def test_weighted_plans_have_dual_potentials() -> None:
    x, y, a, b = normal(20, 2, 0), normal(30, 2, 1) + 3, simplex(20, 2), simplex(30, 3)
    dual(ot.exact(x, y, a, b), (x[:, None] - y).square().sum(-1))


def test_exact_gradients_are_the_peers() -> None:
    x, y = normal(15, 2, 0), normal(20, 2, 1)
    costs = (x[:, None] - y).square().sum(-1)
    ours = [t.clone().requires_grad_() for t in (simplex(15, 2), simplex(20, 3), costs)]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    plan = ot.exact(x, y, ours[0], ours[1], cost=lambda x, y: ours[2])
    plan.cost.backward()
    peer.emd2(*theirs).backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-10, rtol=0)
    assert float(ours[0].grad.mean()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["x", "y", "a", "b"])
def test_the_exact_gradient_is_the_finite_difference(name: str) -> None:
    values = {
        "x": normal(12, 2, 0),
        "y": normal(15, 2, 1),
        "a": simplex(12, 2),
        "b": simplex(15, 3),
    }
    step = torch.randn(values[name].shape, generator=torch.Generator().manual_seed(9)).double()
    if name in "ab":
        step = values[name] * (step - (values[name] * step).sum())

    def cost(size: float) -> Tensor:
        moved = values | {name: values[name] + size * step}
        return ot.exact(moved["x"], moved["y"], moved["a"], moved["b"]).cost

    given = values | {name: values[name].clone().requires_grad_()}
    ot.exact(given["x"], given["y"], given["a"], given["b"]).cost.backward()
    slope = float(cost(1e-5) - cost(-1e-5)) / 2e-5
    assert float((given[name].grad * step).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_gradient_on_the_line_is_that_of_the_plane(p: float) -> None:
    """In points and weights, whose potentials are unique here."""
    sides = normal(12, 1, 0), normal(15, 1, 1), simplex(12, 2), simplex(15, 3)
    line = [t.clone().requires_grad_() for t in sides]
    plane = [t.clone().requires_grad_() for t in sides]
    value = ot.wasserstein_1d(line[0][:, 0], line[1][:, 0], line[2], line[3], p=p)
    exact = ot.exact(*plane, cost=ot.PowerNorm(power=p)).cost
    assert float(value.detach()) == pytest.approx(float(exact.detach()), abs=1e-12)
    value.backward()
    exact.backward()
    for one, other in zip(line, plane, strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, other.grad, atol=1e-9, rtol=0)
    found = peer.wasserstein_1d(*(t.squeeze().numpy() for t in sides), p=p)
    assert float(found) == pytest.approx(float(exact.detach()), abs=1e-12)


def test_on_the_line_equal_weights_have_a_slope_of_the_kink() -> None:
    """Where partial sums agree the gradient is between the slopes to both sides: a potential."""
    x, y = normal(10, 1, 0)[:, 0].sort().values, normal(10, 1, 1)[:, 0].sort().values
    a, b = (torch.full((10,), 0.1, dtype=torch.float64).requires_grad_() for _ in "ab")
    ot.wasserstein_1d(x, y, a, b).backward()
    costs = (x[:, None] - y).square()
    slack = costs - a.grad[:, None] - b.grad
    # A constant apart, these are potentials that are tight on the diagonal.
    shift = slack.diagonal().mean()
    assert float((slack - shift).min()) > -1e-9
    assert float((slack.diagonal() - shift).abs().max()) < 1e-9


def test_each_line_may_have_weights_of_its_own() -> None:
    x, y = normal(12, 3, 0), normal(15, 3, 1)
    a = torch.stack([simplex(12, k) for k in range(3)], 1).requires_grad_()
    b = torch.stack([simplex(15, k + 5) for k in range(3)], 1)
    values = ot.wasserstein_1d(x, y, a, b)
    for k in range(3):
        one = ot.wasserstein_1d(x[:, k], y[:, k], a[:, k], b[:, k])
        assert float(values[k].detach()) == pytest.approx(float(one.detach()), abs=1e-12)
    values.sum().backward()
    assert bool(a.grad.isfinite().all())
    with pytest.raises(InputError, match="the shape of the points"):
        ot.wasserstein_1d(x, y, a[:, :2])


@pytest.mark.parametrize("block", [None, 7])
def test_a_cost_may_have_parameters(block) -> None:
    """Their gradient is that of the total cost of the plan, and comes with that of the points."""
    x, y = normal(20, 2, 0), normal(25, 2, 1)

    def value(scales: Tensor, x: Tensor) -> Tensor:
        def cost(x: Tensor, y: Tensor) -> Tensor:
            return ((x[:, None] - y) * scales).square().sum(-1)

        plan = ot.sinkhorn(ot.PointClouds(x, y, cost, block), 0.3, tolerance=1e-10)
        assert not plan.matrix().requires_grad
        return plan.regularized_cost

    scales = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    given = x.clone().requires_grad_()
    value(scales, given).backward()
    scaled = x.clone().requires_grad_()
    same = ot.PointClouds(scaled * scales.detach(), y * scales.detach())
    ot.sinkhorn(same, 0.3, tolerance=1e-10).regularized_cost.backward()
    torch.testing.assert_close(given.grad, scaled.grad, atol=1e-8, rtol=0)
    for k in range(2):
        step = 1e-5 * torch.eye(2, dtype=torch.float64)[k]
        fixed = scales.detach()
        slope = float(value(fixed + step, x) - value(fixed - step, x)) / 2e-5
        assert float(scales.grad[k]) == pytest.approx(slope, rel=1e-6)


def test_a_mean_of_costs_with_parameters_is_a_number() -> None:
    weight = torch.ones((), requires_grad=True)
    clouds = ot.PointClouds([0.0, 2.0], [0.0, 4.0], lambda x, y: weight * (x - y.mT).abs())
    assert clouds.mean_cost() == 2
