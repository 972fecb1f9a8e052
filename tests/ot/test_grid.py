"""Plans on grids are those of the table of all costs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import ot
from pushforward.errors import InputError

AXES = [
    torch.linspace(0, 1, 5, dtype=torch.float64),
    torch.tensor([-1.0, 0.0, 0.3, 2.0], dtype=torch.float64),
    torch.linspace(2, 3, 3, dtype=torch.float64),
]


def histogram(seed: int, sizes: tuple[int, ...] = (5, 4, 3), spread: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    logs = spread * torch.randn(sizes, generator=g, dtype=torch.float64)
    return logs.flatten().softmax(0).reshape(sizes)


def slope(x: Tensor, y: Tensor) -> Tensor:
    """A cost that tells the way up from the way down."""
    gap = y[:, 0] - x
    return torch.where(gap > 0, 2 * gap, -gap)


def product(x: Tensor, y: Tensor) -> Tensor:
    """A cost of either sign."""
    return -x * y[:, 0]


def table(axes: list[Tensor], cost: ot.Cost | None = None) -> Tensor:
    """All costs, from all cells."""
    ground = ot.SquaredEuclidean() if cost is None else cost
    total = torch.zeros(())
    for k, column in enumerate(torch.cartesian_prod(*axes).unbind(1)):
        assert len(column) == math.prod(map(len, axes)), k
        total = total + ground(column[:, None], column[:, None])
    return total


@pytest.mark.parametrize("cost", [None, slope, product], ids=["squares", "slope", "product"])
@pytest.mark.parametrize("tau", [math.inf, (0.5, 2.0)], ids=["bound", "free"])
@pytest.mark.parametrize("epsilon", [3.0, 0.3, 0.02, 0.005])
def test_a_plan_is_that_of_the_table(cost, tau, epsilon) -> None:
    """From a strong entropy to one at which no kernel fits into double precision."""
    a, b = histogram(0), histogram(1)
    a[0, 0], b[:, 2] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    options = {"tolerance": 1e-9, "tau": tau}
    found = ot.sinkhorn(ot.CartesianGrid(AXES, cost), epsilon, a, b, **options)
    truth = ot.sinkhorn(
        ot.CostMatrix(table(AXES, cost)), epsilon, a.flatten(), b.flatten(), **options
    )
    assert found.converged
    assert truth.converged
    torch.testing.assert_close(found.matrix(), truth.matrix(), atol=1e-9, rtol=0)
    assert float(found.cost) == pytest.approx(float(truth.cost), abs=1e-9)
    assert float(found.regularized_cost) == pytest.approx(float(truth.regularized_cost), abs=1e-9)
    # Cells without mass have potentials too.
    shift = (found.f - truth.f)[a.flatten() > 0].mean()
    torch.testing.assert_close(found.f - shift, truth.f, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.g + shift, truth.g, atol=1e-6, rtol=0)
    for one, other in zip(found.marginals(), truth.marginals(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)


def test_both_ways_to_smooth_are_exercised() -> None:
    """Of the strengths above the last has costs beyond the range of double precision."""
    largest = float((AXES[1][-1] - AXES[1][0]).square())
    limit = -math.log(torch.finfo(torch.double).tiny)
    assert largest / 0.02 < limit < largest / 0.005


@pytest.mark.parametrize("epsilon", [0.05, 0.002])
def test_single_precision_meets_its_marginals(epsilon) -> None:
    line = torch.linspace(0, 1, 30)
    a, b = (histogram(k, (30, 30)).float() for k in (0, 1))
    plan = ot.sinkhorn(ot.CartesianGrid([line, line]), epsilon, a / a.sum(), b / b.sum())
    assert plan.converged
    assert plan.f.dtype == torch.float32
    left, right = plan.matrix().double().sum(1), plan.matrix().double().sum(0)
    error = float((left - plan.a).abs().sum() + (right - plan.b).abs().sum())
    assert error == pytest.approx(plan.marginal_error, abs=2e-5)
    assert error < 1.2e-4


def test_normal_laws_have_their_entropic_cost() -> None:
    """The closed form, which is for all of the plane, on a grid that holds both laws."""
    line = torch.linspace(-6, 6, 97, dtype=torch.float64)
    means = [torch.tensor([-0.5, 0.3]), torch.tensor([0.6, 0.0])]
    stds = [torch.tensor([1.0, 0.7]), torch.tensor([0.8, 1.1])]

    def law(mean: Tensor, std: Tensor) -> Tensor:
        logs = [-0.5 * ((line - m) / s) ** 2 for m, s in zip(mean, std, strict=True)]
        weights = (logs[0][:, None] + logs[1]).exp()
        return weights / weights.sum()

    a, b = (law(mean, std) for mean, std in zip(means, stds, strict=True))
    plan = ot.sinkhorn(ot.CartesianGrid([line, line]), 0.5, a, b, tolerance=1e-8)
    covs = [torch.diag(std.double() ** 2) for std in stds]
    truth = ot.GaussianPlan(means[0].double(), covs[0], means[1].double(), covs[1], 0.5)
    assert float(plan.cost) == pytest.approx(float(truth.cost), rel=1e-6)


def test_the_gradient_is_that_of_the_table() -> None:
    a, b = histogram(2).requires_grad_(), histogram(3).requires_grad_()
    ot.sinkhorn(ot.CartesianGrid(AXES), 0.3, a, b, tolerance=1e-10).regularized_cost.backward()
    c, d = (w.detach().flatten().requires_grad_() for w in (a, b))
    ot.sinkhorn(ot.CostMatrix(table(AXES)), 0.3, c, d, tolerance=1e-10).regularized_cost.backward()
    for one, other in ((a, c), (b, d)):
        assert one.grad is not None
        assert other.grad is not None
        # Weights sum to one: a constant added to their gradient says nothing.
        gap = one.grad.flatten() - other.grad
        torch.testing.assert_close(gap, gap.mean().expand_as(gap), atol=1e-7, rtol=0)


def test_newton_and_plain_scaling_agree() -> None:
    """Newton's systems are products with vectors of both signs."""
    a, b = histogram(4, spread=2.0), histogram(5, spread=2.0)
    found = [
        ot.sinkhorn(ot.CartesianGrid(AXES), 0.02, a, b, tolerance=1e-9, newton=on)
        for on in (True, False)
    ]
    assert found[0].iterations < found[1].iterations
    torch.testing.assert_close(found[0].matrix(), found[1].matrix(), atol=1e-8, rtol=0)


def test_a_plan_can_start_from_another() -> None:
    a, b = histogram(4), histogram(5)
    first = ot.sinkhorn(ot.CartesianGrid(AXES), 0.1, a, b, tolerance=1e-9)
    assert (
        ot.sinkhorn(ot.CartesianGrid(AXES), 0.1, a, b, tolerance=1e-8, init=first).iterations == 1
    )


def test_costs_of_single_rows() -> None:
    grid = ot.CartesianGrid(AXES)
    every = table(AXES)
    torch.testing.assert_close(grid.costs(slice(None, None, 7)), every[::7])
    torch.testing.assert_close(grid.costs(slice(3, 5)), every[3:5])


@pytest.mark.parametrize(
    ("axes", "a", "message"),
    [
        ([], histogram(0), "one tensor"),
        ([torch.zeros(5, 2)], histogram(0), "one tensor"),
        ([torch.zeros(0)], histogram(0), "at least 1"),
        (AXES[:2], histogram(0), r"the grid has \(5, 4\)"),
        (AXES, 2 * histogram(0), "sums to 2"),
        (AXES, histogram(0) - 0.1, "negative"),
        (AXES, histogram(0) * math.nan, "NaN"),
        ([AXES[0] * math.inf, *AXES[1:]], histogram(0), "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_grid_is_refused(axes, a, message) -> None:
    with pytest.raises(InputError, match=message):
        ot.sinkhorn(ot.CartesianGrid(axes), 0.1, a, histogram(1))


def test_a_cost_with_parameters_is_refused() -> None:
    weight = torch.ones((), requires_grad=True)
    with pytest.raises(InputError, match="no gradients"):
        ot.CartesianGrid(AXES, lambda x, y: weight * (x - y.mT).abs())
