r"""Entropic optimal transport between point clouds, for cost matrices and on grids."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.costs import CostLike, SquaredEuclidean, resolve
from pushforward.ot.grid import Grid, Separable
from pushforward.ot.kernels import Cloud, Dense, Kept, Kernel, Streamed, Tabled, picked
from pushforward.ot.plan import Plan
from pushforward.ot.solving import Options, solved

__all__ = ["mean_cost", "sinkhorn", "sinkhorn_cost", "sinkhorn_grid"]

_LARGEST = 1 << 27  # entries of a kernel that is kept: half a gigabyte in single precision

Tau = float | tuple[float, float]


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
    shown = work if isinstance(work, Kept) and work.light else table

    def kernel(rows: Tensor | None, columns: Tensor | None) -> Kernel:
        if rows is None and columns is None:
            return Streamed(table, block_size) if streamed else Dense(work)
        part = Cloud(picked(table.x, rows), picked(table.y, columns), ground)
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

    return solved(shown, work, kernel, weights, options, init, pull)


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
        part = picked(table.matrix, rows)
        return Dense(Tabled(part if columns is None else part[:, columns]))

    def pull(plan: Plan) -> Tensor:
        return (plan.matrix() * matrix).sum() if matrix.requires_grad else matrix.new_zeros(())

    return solved(table, table, kernel, weights, options, init, pull)


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
    return solved(
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
