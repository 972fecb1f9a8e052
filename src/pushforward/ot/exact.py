"""Exact transport plans, without entropy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError, SamplingError
from pushforward.ot import checks
from pushforward.ot.costs import CostLike, SquaredEuclidean, resolve
from pushforward.ot.duals import assignment_potentials
from pushforward.ot.geometry import CostMatrix
from pushforward.ot.kernels import Dense

__all__ = ["ExactPlan", "assignment", "exact"]

_PIVOTS = 100_000_000
"""Of the network simplex: the solver's own limit ends it early for some thousand points."""


_LONG = 200
"""Points from which on potentials are worth their time."""
_TOP, _SHARP = 0.5, 5.0
"""Strengths of the entropy in mean costs: the first, and `n` times the last."""
_FALL, _STEPS = 4.0, 4
"""The fall from one strength to the next, at most, and the steps at each."""
_LEAST = 1e-30
"""The sum of a column that no row reaches."""


@dataclass(frozen=True, eq=False)
class ExactPlan:
    """A sparse plan: `mass[k]` goes from point `source[k]` to point `target[k]`, all `(K,)`.

    Args:
        cost: the total cost, with the gradient in points, costs and weights.
        source, target, mass: where how much goes.
        a, b: the weights.
    """

    cost: Tensor
    source: Tensor
    target: Tensor
    mass: Tensor
    a: Tensor
    b: Tensor
    _duals: Callable[[], tuple[Tensor, Tensor]] = field(repr=False)

    def matrix(self) -> Tensor:
        """The plan with all its zeros, `(n, m)`."""
        dense = self.mass.new_zeros(len(self.a), len(self.b))
        return dense.index_put_((self.source, self.target), self.mass, accumulate=True)

    @cached_property
    def potentials(self) -> tuple[Tensor, Tensor]:
        """Dual potentials `f` and `g`, `(n,)` and `(m,)`: `f_i + g_j <= c_ij`, equal on the plan.

        The constant between them is such that each side pays half, `<a, f> = <b, g> = cost / 2`.
        Where partial sums of both weights agree there are others.
        """
        f, g = self._duals()
        a, b = (w.to("cpu", torch.float64) for w in (self.a, self.b))
        shift = 0.5 * float(a @ f - b @ g)
        return (f - shift).to(self.a), (g + shift).to(self.b)


def assignment(x: Any, y: Any, *, cost: CostLike | None = None) -> Tensor:
    """The permutation that pairs `x[i]` with `y[permutation[i]]` at the least total cost, `(n,)`.

    By the shortest augmenting paths of Jonker & Volgenant 1987, as scipy has them. Raises
    `InputError` for different numbers of points, and `MissingExtraError` without scipy.

    >>> assignment(torch.tensor([0.0, 5.0, 9.0]), torch.tensor([8.0, 1.0, 4.0]))
    tensor([1, 2, 0])
    """
    left, right = checks.pair(x, y)
    if len(left) != len(right):
        raise InputError(
            f"{len(left)} and {len(right)} points: an assignment pairs as many with as many; "
            "exact(x, y) splits mass"
        )
    table = _table(left.detach(), right.detach(), cost)[0]
    return _assigned(table).to(left.device)


def exact(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: CostLike | None = None,
) -> ExactPlan:
    """The plan that minimizes `<c, P>`: the transport cost itself, `W_2^2` for squared distances.

    Equal numbers of points with equal weights are an assignment; all else goes to the network
    simplex of POT (Bonneel et al. 2011). On a line, `wasserstein_1d` has the cost in closed form.

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, tensors, arrays or lists.
        a, b: weights `(n,)` and `(m,)` that sum to one; equal ones by default.
        cost: a `Cost`, or a function of `(n, d)` and `(m, d)`; squared distances by default.
            Infinity forbids a pair.

    The cost is differentiable by the envelope theorem: its gradient in the costs is the plan, from
    which that in the points follows, and its gradient in the weights are the dual potentials. Since
    weights sum to one these are given along that plane, with zero mean, as POT has them.

    Raises `InputError` for bad points or weights, or where costs forbid every plan,
    `SamplingError` if the simplex does not end, `MissingExtraError` without the solver.

    >>> plan = exact([0.0, 5.0], [6.0, 1.0])
    >>> plan.cost
    tensor(1., dtype=torch.float64)
    >>> plan.potentials[0] + plan.potentials[1].flip(0)
    tensor([1., 1.], dtype=torch.float64)
    """
    left, right = checks.pair(x, y)
    n, m = len(left), len(right)
    weights_a = checks.weights(a, n, left, "a")
    weights_b = checks.weights(b, m, right, "b")
    table, offsets = _table(left, right, cost)
    fixed = table.detach().to("cpu", torch.float64)
    if n == m and a is None and b is None:
        target = _assigned(table.detach()).to(left.device)
        source = torch.arange(n, device=left.device)
        mass = weights_a

        def duals() -> tuple[Tensor, Tensor]:
            return assignment_potentials(fixed, target.cpu())

    else:
        dense, found = _simplex(fixed, weights_a, weights_b)
        source, target = dense.nonzero().to(left.device).unbind(1)
        mass = dense.to(left)[source, target]

        def duals() -> tuple[Tensor, Tensor]:
            return found

    def all_duals() -> tuple[Tensor, Tensor]:
        """With what was taken from the costs."""
        f, g = (
            p + offset.detach().to("cpu", torch.float64)
            for p, offset in zip(duals(), offsets, strict=True)
        )
        return f, g

    fixed_a, fixed_b = weights_a.detach(), weights_b.detach()
    moved = (mass.detach() * table[source, target]).sum()
    moved = moved + fixed_a @ offsets[0] + fixed_b @ offsets[1]
    plan = ExactPlan(moved, source, target, mass.detach(), fixed_a, fixed_b, all_duals)
    for weight, k in ((weights_a, 0), (weights_b, 1)):
        if weight.requires_grad:
            potential = plan.potentials[k]
            linear = weight @ (potential - potential.mean())
            plan = replace(plan, cost=plan.cost + (linear - linear.detach()))
    return plan


def _assigned(table: Tensor) -> Tensor:
    """The best permutation for a table of costs."""
    solver = require("scipy.optimize", extra="ot", purpose="find assignments")
    forbids = bool((table == torch.inf).any())
    if len(table) >= _LONG and not forbids:
        table = _reduced(table)
    try:
        return torch.from_numpy(solver.linear_sum_assignment(table.cpu().numpy())[1])
    except ValueError as error:
        if not forbids:
            raise
        raise InputError("no assignment avoids infinite costs: allow more pairs") from error


def _simplex(table: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The plan `(n, m)` of weighted points, and its potentials, in double precision."""
    solver = require("ot", extra="ot", purpose="find exact plans of weighted points")
    masses = [w.detach().to("cpu", torch.float64) for w in (a, b)]
    parts = [(w / w.sum()).numpy() for w in masses]
    forbidden = table == torch.inf
    if bool(forbidden.any()):
        allowed = table.masked_select(~forbidden)
        if not len(allowed):
            raise InputError("every cost is infinite: no pair is allowed")
        # A detour over all other pairs is cheaper.
        bar = float(allowed.max()) + len(table) * float(allowed.max() - allowed.min()) + 1
        table = table.masked_fill(forbidden, bar)
    with warnings.catch_warnings():
        # What it warns of is an error here.
        warnings.simplefilter("ignore")
        found, log = solver.emd(
            *parts, table.numpy(), numItermax=_PIVOTS, log=True, center_dual=False
        )
    if log["warning"] is not None:
        n, m = table.shape
        raise SamplingError(f"no exact plan of {n} and {m} points: {log['warning']}")
    dense = torch.from_numpy(found)
    lost = float(dense[forbidden].sum())
    if lost > 0:
        raise InputError(
            f"no plan avoids infinite costs: {lost:.4g} of the mass has no allowed pair"
        )
    return dense, (torch.from_numpy(log["u"]), torch.from_numpy(log["v"]))


def _reduced(costs: Tensor) -> Tensor:
    """The costs less two potentials, near which the best permutation is found in less time.

    Whatever is taken from a row or a column of the costs, the best permutation is the same. A few
    steps of Sinkhorn's scaling, at falling strengths of the entropy, leave most of what is on it
    near zero. How far to fall is set for points in the plane, where the nearest of `n` are some
    `1 / n` of the mean cost away.
    """
    mean, n = float(costs.mean()), len(costs)
    if not mean > 0:
        return costs
    kernel = Dense(CostMatrix(costs))
    g = torch.zeros_like(costs[0])
    falls = math.ceil(math.log(n * _TOP / _SHARP) / math.log(_FALL))
    for k in range(falls + 1):
        epsilon = mean * _TOP * (n * _TOP / _SHARP) ** (-k / falls)
        kernel.absorb(torch.zeros_like(g), g, epsilon)
        v = torch.ones_like(g)
        for _ in range(_STEPS):
            _, z = kernel.sweep(v, lambda y, rows: 1 / y)
            v = 1 / z.clamp_(min=_LEAST)
        g = g + epsilon * v.log()
    # Exact in double precision: rounding must not choose another permutation.
    reduced = costs.double() - g
    return reduced.sub_(reduced.amin(1, keepdim=True))


def _table(x: Tensor, y: Tensor, cost: CostLike | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The costs less what depends on one side alone, and that, differentiable in the points."""
    ground = SquaredEuclidean() if cost is None else resolve(cost)
    centers = ground.centers(x.detach(), y.detach())
    left, right = x - centers[0], y - centers[1]
    return ground(left, right), ground.offsets(left, right, centers[0] - centers[1])
