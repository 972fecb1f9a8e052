"""Exact transport plans, without entropy."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError, SamplingError
from pushforward.ot import checks
from pushforward.ot.costs import CostLike, SquaredEuclidean, resolve
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


class ExactPlan(NamedTuple):
    """A sparse plan: `mass[k]` goes from point `source[k]` to point `target[k]`, all `(K,)`.

    `cost` is its total cost, with the gradient in the points by the envelope theorem.
    """

    cost: Tensor
    source: Tensor
    target: Tensor
    mass: Tensor

    def matrix(self, n: int, m: int) -> Tensor:
        """The plan of `n` and `m` points with all its zeros, `(n, m)`."""
        dense = self.mass.new_zeros(n, m)
        return dense.index_put_((self.source, self.target), self.mass, accumulate=True)


def assignment(x: Tensor, y: Tensor, *, cost: CostLike | None = None) -> Tensor:
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
    solver = require("scipy.optimize", extra="ot", purpose="find assignments")
    table = _costs(left.detach(), right.detach(), cost)
    if len(table) >= _LONG:
        table = _reduced(table)
    return torch.from_numpy(solver.linear_sum_assignment(table.cpu().numpy())[1]).to(x.device)


def exact(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    cost: CostLike | None = None,
) -> ExactPlan:
    """The plan that minimizes `<c, P>`: the transport cost itself, `W_2^2` for squared distances.

    Equal numbers of points with equal weights are an assignment; all else goes to the network
    simplex of POT (Bonneel et al. 2011). On a line, `wasserstein_1d` has the cost in closed form.

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, at least 2 of each.
        a, b: weights `(n,)` and `(m,)` that sum to one; equal ones by default.
        cost: a `Cost`, or a function of `(n, d)` and `(m, d)`; squared distances by default.

    Raises `InputError` for bad points or weights, `SamplingError` if the simplex does not end,
    `MissingExtraError` without the solver.

    >>> exact(torch.tensor([0.0, 5.0]), torch.tensor([6.0, 1.0])).cost
    tensor(1.)
    """
    left, right = checks.pair(x, y)
    n, m = len(left), len(right)
    weights_a = checks.weights(a, n, left, "a")
    weights_b = checks.weights(b, m, right, "b")
    if n == m and a is None and b is None:
        target = assignment(x, y, cost=cost)
        source = torch.arange(n, device=left.device)
        mass = weights_a
    else:
        solver = require("ot", extra="ot", purpose="find exact plans of weighted points")
        table = _costs(left, right, cost).detach().to("cpu", torch.float64).numpy()
        masses = (w.detach().to("cpu", torch.float64) for w in (weights_a, weights_b))
        parts = [(w / w.sum()).numpy() for w in masses]
        with warnings.catch_warnings():
            # What it warns of is an error here.
            warnings.simplefilter("ignore")
            found, log = solver.emd(*parts, table, numItermax=_PIVOTS, log=True)
        if log["warning"] is not None:
            raise SamplingError(f"no exact plan of {n} and {m} points: {log['warning']}")
        dense = torch.from_numpy(found)
        source, target = dense.nonzero().to(left.device).unbind(1)
        mass = dense.to(left)[source, target]
    return ExactPlan((mass * _costs(left, right, cost)[source, target]).sum(), source, target, mass)


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
    reduced = costs.double().sub_(g)
    return reduced.sub_(reduced.amin(1, keepdim=True))


def _costs(x: Tensor, y: Tensor, cost: CostLike | None) -> Tensor:
    if cost is None:
        center = y.detach().mean(0)
        return SquaredEuclidean()(x - center, y - center)
    return resolve(cost)(x, y)
