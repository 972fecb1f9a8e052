r"""Entropic optimal transport between point clouds, for cost matrices and on grids."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.costs import CostLike, SquaredEuclidean, resolve
from pushforward.ot.grid import Grid, Separable
from pushforward.ot.kernels import Cloud, Dense, Kept, Kernel, Streamed, Table, Tabled
from pushforward.ot.plan import Plan
from pushforward.ot.scaling import Marginals, solve

__all__ = ["Options", "mean_cost", "sinkhorn", "sinkhorn_cost", "sinkhorn_grid"]

_COARSE = 0.01  # the marginal error at which to go on to a smaller epsilon
_TOP = 0.25  # the first epsilon, over the spread of costs
_SHARP = 0.01  # the same below which the next epsilon is half of the last, else a quarter
_MARGIN = 0.5  # of the tolerance, left for the rounding of potentials
_SAMPLED = 32  # rows by which the spread of costs is judged
_LARGEST = 1 << 27  # entries of a kernel that is kept: half a gigabyte in single precision

Tau = float | tuple[float, float]


class Options(NamedTuple):
    """How a problem is solved, for every kind of cost."""

    epsilon: float
    tolerance: float
    max_iterations: int
    anneal: bool
    newton: bool
    tau: tuple[float, float]


def sinkhorn(
    x: Tensor,
    y: Tensor,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    cost: CostLike | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    anneal: bool = True,
    newton: bool = True,
    init: Plan | Tensor | None = None,
    tau: Tau = math.inf,
    block_size: int | None = None,
) -> Plan:
    r"""The plan that minimizes `<c, P> + epsilon KL(P | a b')` between two weighted point clouds.

    Sinkhorn's scaling (Cuturi 2013) with stabilized kernels (Schmitzer 2019) along falling values
    of `epsilon`, ended by Newton's method. The arithmetic is that of the points: in single
    precision marginal errors below about 1e-5 may be out of reach.

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, at least 2 of each.
        epsilon: the strength of the entropy, in units of the cost; 0.05 times `mean_cost(x, y)`
            blurs, 0.01 times it is sharp.
        a, b: weights `(n,)` and `(m,)` that sum to one; equal ones by default.
        cost: a `Cost`, or a function of `(n, d)` and `(m, d)`; squared distances by default.
        tolerance: the `L1` error of the marginals at which to stop.
        max_iterations: sweeps, each two products with the kernel.
        anneal: start at a large `epsilon`; off where `init` is given.
        newton: take Newton steps where Sinkhorn's converge slowly; without, plain Sinkhorn.
        init: a plan of a similar problem, or a second potential `(m,)`, to start from.
        tau: weight of the penalty `tau KL(P 1 | a)` that stands for the marginals' constraints
            (Chizat et al. 2018), one for both or one each; infinity binds them. If finite, the
            weights may have any mass.
        block_size: rows of the kernel to make at a time, in memory `O(n)`; by default the kernel
            is kept if it has at most 2^27 entries.

    Returns a `Plan`. A plan that is not converged says so in `converged` and by a warning.
    Raises `InputError` for what cannot be transported.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 2, generator=g, requires_grad=True)
    >>> plan = sinkhorn(x, torch.randn(300, 2, generator=g) + 3, epsilon=0.5)
    >>> plan.converged, plan.matrix().shape
    (True, torch.Size([200, 300]))
    >>> plan.regularized_cost.backward()
    >>> x.grad.shape
    torch.Size([200, 2])
    """
    left, right = checks.pair(x, y)
    ground = SquaredEuclidean() if cost is None else resolve(cost)
    if block_size is not None and (not isinstance(block_size, int) or block_size < 1):
        raise InputError(f"block_size={block_size!r}: a whole number of rows, at least 1")
    options = _options(epsilon, tolerance, max_iterations, anneal, newton, tau)
    weights = _weights(left, right, a, b, options)
    # Squares of coordinates far from zero would drown their differences.
    center = right.detach().mean(0)
    table = Cloud(*ground.centered(left.detach(), right.detach(), center), ground)
    streamed = block_size is not None or math.prod(table.shape) > _LARGEST

    # Made once for the iteration and the costs. The plan that is returned keeps the points, and the
    # matrix where that is light.
    work = table if streamed else table.tabled()
    kept = work if isinstance(work, Kept) and work.light else table

    def kernel(rows: Tensor | None, columns: Tensor | None) -> Kernel:
        if rows is None and columns is None:
            return Streamed(table, block_size) if streamed else Dense(work)
        part = Cloud(_kept(table.x, rows), _kept(table.y, columns), ground)
        return Streamed(part, block_size) if streamed else Dense(part.tabled())

    def pull(plan: Plan) -> Tensor:
        if not (left.requires_grad or right.requires_grad):
            return left.new_zeros(())
        to_x, to_y = torch.zeros_like(table.x), torch.zeros_like(table.y)
        for rows, block in plan.blocks(block_size):
            one, other = ground.gradients(table.x[rows], table.y, block)
            to_x[rows] = one
            to_y += other
        return (to_x * left).sum() + (to_y * right).sum()

    return _solved(kept, work, kernel, weights, options, init, pull)


def sinkhorn_cost(
    cost: Tensor,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    anneal: bool = True,
    newton: bool = True,
    init: Plan | Tensor | None = None,
    tau: Tau = math.inf,
) -> Plan:
    """The entropic plan of a cost matrix `(n, m)`; the rest as for `sinkhorn`.

    The gradient of `regularized_cost` in the matrix is the plan.

    >>> plan = sinkhorn_cost(1 - torch.eye(2), epsilon=0.1)
    >>> plan.matrix().mul(2).round().abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    matrix = checks.finite(cost, "cost")
    if matrix.ndim != 2 or min(matrix.shape) < 2:
        raise InputError(
            f"cost has shape {tuple(matrix.shape)}; a matrix (n, m) of at least 2 points each is "
            "needed"
        )
    options = _options(epsilon, tolerance, max_iterations, anneal, newton, tau)
    weights = _weights(matrix[:, 0], matrix[0], a, b, options)
    table = Tabled(matrix.detach())

    def kernel(rows: Tensor | None, columns: Tensor | None) -> Kernel:
        part = _kept(table.matrix, rows)
        return Dense(Tabled(part if columns is None else part[:, columns]))

    def pull(plan: Plan) -> Tensor:
        return (plan.matrix() * matrix).sum() if matrix.requires_grad else matrix.new_zeros(())

    return _solved(table, table, kernel, weights, options, init, pull)


def sinkhorn_grid(
    axes: Sequence[Tensor],
    epsilon: float,
    a: Tensor,
    b: Tensor,
    *,
    cost: CostLike | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    anneal: bool = True,
    newton: bool = True,
    init: Plan | Tensor | None = None,
    tau: Tau = math.inf,
) -> Plan:
    """The entropic plan of two histograms on one grid, without a table of its cells' costs.

    The cost is a sum over the axes, and so a sweep over `N = n_1 n_2 ...` cells takes
    `N (n_1 + n_2 + ...)` operations (Solomon et al. 2015).

    Args:
        axes: the coordinates `(n_k,)` along each axis, at least 2.
        epsilon: the strength of the entropy, in units of the cost.
        a, b: weights of the cells `(n_1, n_2, ...)` that sum to one.
        cost: of one axis, a `Cost` or a function of `(n_k, 1)` and `(n_k, 1)`; squares by default,
            which add up to squared distances.

    The rest is as for `sinkhorn`. Potentials and entries of the plan number the cells with the last
    axis running fastest, as `a.flatten()` does. Raises `InputError` for what cannot be transported.

    >>> line = torch.linspace(0, 1, 20, dtype=torch.float64)
    >>> a = torch.outer(line, line) / line.sum() ** 2
    >>> plan = sinkhorn_grid([line, line], epsilon=0.01, a=a, b=a.flip(0))
    >>> plan.converged, plan.f.shape
    (True, torch.Size([400]))
    """
    lines = [checks.points(line, f"axes[{k}]") for k, line in enumerate(axes)]
    sizes = tuple(len(line) for line in lines)
    if not lines or any(line.shape[1] != 1 for line in lines):
        raise InputError("axes holds one tensor (n_k,) of coordinates for each axis of the grid")
    both = {"a": checks.finite(a, "a"), "b": checks.finite(b, "b")}
    for name, weights in both.items():
        if tuple(weights.shape) != sizes:
            raise InputError(f"{name} has shape {tuple(weights.shape)}; the grid has {sizes}")
    ground = SquaredEuclidean() if cost is None else resolve(cost)
    options = _options(epsilon, tolerance, max_iterations, anneal, newton, tau)
    dtype = torch.promote_types(both["a"].dtype, both["b"].dtype)
    like = both["a"].detach().flatten().to(dtype)
    lines = [line.detach().to(like) for line in lines]
    table = Grid([ground(*ground.centered(line, line, line.mean(0))) for line in lines])
    left, right = (weights.flatten() for weights in both.values())
    return _solved(
        table, table, lambda rows, columns: Separable(table, rows, columns),
        _weights(like, like, left, right, options), options, init, lambda plan: like.new_zeros(()),
    )  # fmt: skip


def mean_cost(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    cost: CostLike | None = None,
) -> float:
    """The mean of `c` over independent pairs, the usual unit of `epsilon`.

    >>> mean_cost(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 4.0]))
    6.0
    """
    left, right = checks.pair(x, y)
    ground = SquaredEuclidean() if cost is None else resolve(cost)
    left, right = ground.centered(left.detach(), right.detach(), right.detach().mean(0))
    left_weights = checks.weights(a, len(left), left, "a")
    right_weights = checks.weights(b, len(right), right, "b")
    table = Cloud(left, right, ground)
    parts = (left_weights[rows] @ (table.costs(rows) @ right_weights) for rows in table.blocks())
    return float(sum(parts))


def _options(
    epsilon: float,
    tolerance: float,
    max_iterations: int,
    anneal: bool,
    newton: bool,
    tau: Tau,
) -> Options:
    if not isinstance(max_iterations, int) or max_iterations < 1:
        raise InputError(f"max_iterations={max_iterations!r}: a whole number, at least 1")
    both = tau if isinstance(tau, tuple) else (tau, tau)
    if len(both) != 2:
        raise InputError(f"tau={tau!r}: one number, or one for each marginal")
    return Options(
        checks.positive(epsilon, "epsilon"),
        checks.positive(tolerance, "tolerance"),
        max_iterations,
        anneal,
        newton,
        (
            checks.positive(both[0], "tau", infinite=True),
            checks.positive(both[1], "tau", infinite=True),
        ),
    )


def _weights(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, options: Options
) -> tuple[Tensor, Tensor]:
    free = not all(map(math.isinf, options.tau))
    left = checks.weights(a, len(x), x, "a", any_mass=free)
    right = checks.weights(b, len(y), y, "b", any_mass=free)
    return left, right


def _kept(values: Tensor, index: Tensor | None) -> Tensor:
    return values if index is None else values[index]


def _support(weights: Tensor) -> Tensor | None:
    """Where there is mass; `None` if everywhere."""
    mass = weights > 0
    return None if bool(mass.all()) else mass.nonzero()[:, 0]


def _solved(
    table: Table,
    work: Table,
    make: Callable[[Tensor | None, Tensor | None], Kernel],
    weights: tuple[Tensor, Tensor],
    options: Options,
    init: Plan | Tensor | None,
    pull: Callable[[Plan], Tensor],
) -> Plan:
    """Solve on the support of the weights, extend the potentials to all points, and report."""
    a, b = (w.detach() for w in weights)
    if all(map(math.isinf, options.tau)):
        # Sums that differ by rounding can be met by no plan.
        a, b = a / a.sum(), b / b.sum()
    rows, columns = _support(a), _support(b)
    marginals = Marginals(_kept(a, rows), _kept(b, columns), *options.tau)
    start = _start(init, b)
    levels, careful = _levels(work, options)
    if init is not None:
        levels = [options.epsilon]
    outcome = solve(
        make(rows, columns),
        marginals,
        levels,
        _kept(start, columns),
        tolerance=_MARGIN * options.tolerance,
        coarse=_COARSE,
        careful=careful,
        max_iterations=options.max_iterations,
        newton=options.newton,
    )
    f, g = _extended(work, outcome.f, outcome.g, rows, columns, marginals, options.epsilon)
    plan = Plan(
        a.new_zeros(()), a.new_zeros(()), f, g, a, b, options.epsilon, math.inf,
        outcome.iterations, False, options.tau, work,
    )  # fmt: skip
    plan = _valued(plan, options.tolerance, weights, pull)
    if not plan.converged:
        warnings.warn(
            f"Sinkhorn stopped at a marginal error of {plan.marginal_error:.3g} after "
            f"{plan.iterations} sweeps, above the tolerance {options.tolerance:g}: raise "
            "epsilon or max_iterations, or use double precision",
            stacklevel=3,
        )
    return replace(plan, table=table)


def _start(init: Plan | Tensor | None, b: Tensor) -> Tensor:
    if init is None:
        return torch.zeros_like(b)
    g = checks.finite(init.g if isinstance(init, Plan) else init, "init").detach().to(b)
    if g.shape != b.shape:
        raise InputError(
            f"init has a potential {tuple(g.shape)}; this problem needs {tuple(b.shape)}"
        )
    return g


def _levels(table: Table, options: Options) -> tuple[list[float], list[float]]:
    """Falling values of `epsilon`, from the spread of a sample of the costs: few, and with care."""
    few, careful = [options.epsilon], [options.epsilon]
    if options.anneal:
        sample = table.costs(slice(None, None, max(table.shape[0] // _SAMPLED, 1)))
        top = float(sample.mean() - sample.min())
        while (above := few[-1] * (2 if few[-1] < _SHARP * top else 4)) <= _TOP * top:
            few.append(above)
        while careful[-1] < top:
            careful.append(2 * careful[-1])
    return few[::-1], careful[::-1]


def _extended(
    table: Table,
    f: Tensor,
    g: Tensor,
    rows: Tensor | None,
    columns: Tensor | None,
    marginals: Marginals,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """Potentials against the marginals, on points without mass too, where they are softmins."""
    n, m = table.shape
    counted_f, counted_g = f.new_full((n,), -torch.inf), g.new_full((m,), -torch.inf)
    counted_f[slice(None) if rows is None else rows] = f
    counted_g[slice(None) if columns is None else columns] = g
    full_f, full_g = f.new_zeros(n), g.new_zeros(m)
    full_f[slice(None) if rows is None else rows] = f - epsilon * marginals.a.log()
    full_g[slice(None) if columns is None else columns] = g - epsilon * marginals.b.log()
    if columns is not None:
        missing = counted_g == -torch.inf
        softmin = table.column_softmin(counted_f, epsilon)
        full_g[missing] = softmin[missing] / (1 + epsilon / marginals.tau_b)
    if rows is not None:
        missing = counted_f == -torch.inf
        softmin = table.row_softmin(counted_g, epsilon)
        full_f[missing] = softmin[missing] / (1 + epsilon / marginals.tau_a)
    return full_f, full_g


def _valued(
    plan: Plan,
    tolerance: float,
    weights: tuple[Tensor, Tensor],
    pull: Callable[[Plan], Tensor],
) -> Plan:
    """The plan with its costs, and the error that its entries have, rounding included.

    The regularized cost carries the gradient. The dual function is stationary in the potentials, so
    that its gradient in everything else is the partial one, at fixed potentials.
    """
    epsilon, a, b = plan.epsilon, plan.a, plan.b
    sums = plan.table.sums(plan.f, plan.g, a, b, epsilon)
    mass = float(sums.left.sum())
    sides = ((a, plan.f, plan.tau[0]), (b, plan.g, plan.tau[1]))
    value = sum(float(w @ _conjugate(p, tau)) for w, p, tau in sides)
    value -= epsilon * (mass - float(a.sum() * b.sum()))
    goals = [w * (-p / tau).exp() for w, p, tau in sides]
    error = float((sums.left - goals[0]).abs().sum() + (sums.right - goals[1]).abs().sum())
    linear = pull(plan)
    for weight, (_, potential, tau), other in zip(weights, sides, (b, a), strict=True):
        if weight.requires_grad:
            # At the optimum `exp(-f / tau)` is the plan's marginal over the weight.
            slope = _conjugate(potential, tau) + epsilon * (other.sum() - (-potential / tau).exp())
            linear = linear + (weight * slope).sum()
    total = a.new_tensor(value) + (linear - linear.detach())
    return replace(
        plan,
        regularized_cost=total,
        cost=a.new_tensor(sums.cost),
        marginal_error=error,
        converged=error <= tolerance,
    )


def _conjugate(potential: Tensor, tau: float) -> Tensor:
    """What the dual of a penalty `tau KL` makes of a potential: itself if the penalty binds."""
    return potential if math.isinf(tau) else -tau * torch.expm1(-potential / tau)
