"""Entropic plans of many pairs of weight vectors with the same costs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import torch
from torch import Tensor

from pushforward.checks import positive, whole
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.ot import checks
from pushforward.ot.feasibility import support
from pushforward.ot.geometry import Geometry, picked
from pushforward.ot.plan import Plan
from pushforward.ot.sinkhorn import Tau, penalties, solved

__all__ = ["Plans", "sinkhorn_batch"]

_COMMON = 200
"""Sweeps that all problems take together, at most."""
_FEWEST = 8
"""Sweeps that are worth sharing."""
_MEAN = 1e-3
"""The marginal error of the mean problem that is good enough to start from."""


@dataclass(frozen=True, eq=False)
class Plans(Sequence[Plan]):
    """Plans of several problems, in order: `plans[k]`, and what they have in common stacked."""

    plans: tuple[Plan, ...]

    def __len__(self) -> int:
        return len(self.plans)

    @overload
    def __getitem__(self, k: int) -> Plan: ...
    @overload
    def __getitem__(self, k: slice) -> Plans: ...
    def __getitem__(self, k: int | slice) -> Plan | Plans:
        return Plans(self.plans[k]) if isinstance(k, slice) else self.plans[k]

    @property
    def regularized_cost(self) -> Tensor:
        """`(k,)`, with gradients."""
        return torch.stack([plan.regularized_cost for plan in self.plans])

    @property
    def cost(self) -> Tensor:
        """`<c, P>` of each, `(k,)`, without gradients."""
        return torch.stack([plan.cost for plan in self.plans])

    @property
    def f(self) -> Tensor:
        """The first potentials, `(k, n)`."""
        return torch.stack([plan.f for plan in self.plans])

    @property
    def g(self) -> Tensor:
        """The second potentials, `(k, m)`."""
        return torch.stack([plan.g for plan in self.plans])

    @property
    def marginal_error(self) -> float:
        """The largest."""
        return max(plan.marginal_error for plan in self.plans)

    @property
    def converged(self) -> bool:
        """Whether all are."""
        return all(plan.converged for plan in self.plans)


def sinkhorn_batch(
    geometry: Geometry,
    epsilon: float,
    a: Any = None,
    b: Any = None,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    newton: bool = True,
    tau: Tau = math.inf,
) -> Plans:
    """The plans of `sinkhorn` for several weight vectors at once.

    One kernel, about the plan of the mean weights, serves all: a sweep of it is a product of
    matrices, and what has not converged after some of them is ended alone.

    Args:
        geometry, epsilon, tolerance, newton: as for `sinkhorn`.
        a, b: weights `(k, n)` and `(k, m)`, those of a grid with an axis more than it has; what
            lacks the first axis is the same for all.
        max_iterations: sweeps of each problem, those that it shares included.
        tau: as for `sinkhorn`; if finite each problem is solved alone.

    Warns if some are not converged. Raises `InputError` as `sinkhorn` does, and for `a` and `b` of
    different numbers.

    >>> from pushforward.ot import CostMatrix
    >>> a = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]])
    >>> sinkhorn_batch(CostMatrix(1 - torch.eye(2)), 0.05, a).cost.round(decimals=2)
    tensor([0.0000, 0.4000, 0.5000])
    """
    if not isinstance(geometry, Geometry):
        raise InputError(f"costs come as a geometry, not as {type(geometry).__name__}")
    whole("max_iterations", max_iterations)
    positive("tolerance", tolerance)
    epsilon = positive("epsilon", epsilon)
    problems = _pairs(_listed(geometry, a, "a"), _listed(geometry, b, "b"))
    options: dict[str, Any] = {"tolerance": tolerance, "newton": newton, "tau": tau}
    starts: list[Tensor | None] = [None] * len(problems)
    shared = 0
    if all(map(math.isinf, penalties(tau))) and len(problems) > 1 and max_iterations > _FEWEST:
        starts, shared = _together(geometry, epsilon, problems, max_iterations - 1, options)
    found, advice = [], []
    for pair, start in zip(problems, starts, strict=True):
        left = max_iterations - shared
        plan, said = solved(geometry, epsilon, *pair, max_iterations=left, init=start, **options)
        found.append(replace(plan, iterations=plan.iterations + shared))
        advice += [said] if said else []
    if advice:
        told = f"{len(advice)} of {len(found)}: {advice[0]}"
        warnings.warn(told, ConvergenceWarning, stacklevel=2)
    return Plans(tuple(found))


def _listed(geometry: Geometry, w: Any, name: str) -> list[Tensor | None]:
    """Weights one by one."""
    if w is None:
        return [None]
    w = checks.finite(w, name)
    if w.ndim == geometry.weight_axes + 1:
        if not len(w):
            raise InputError(f"{name} of shape {tuple(w.shape)} holds no weights")
        return list(w.unbind(0))
    return [w]


def _pairs(
    a: list[Tensor | None], b: list[Tensor | None]
) -> list[tuple[Tensor | None, Tensor | None]]:
    """Each with each in turn; one with all."""
    count = max(len(a), len(b))
    if {len(a), len(b)} - {1, count}:
        raise InputError(f"{len(a)} weight vectors a and {len(b)} b: as many, or one for all")
    return list(zip(a * (count // len(a)), b * (count // len(b)), strict=True))


def _together(
    geometry: Geometry,
    epsilon: float,
    problems: list[tuple[Tensor | None, Tensor | None]],
    most: int,
    options: dict[str, Any],
) -> tuple[list[Tensor | None], int]:
    """Second potentials that come near each problem's, and the sweeps that they took.

    Scalings of the plan of the mean weights, which all weights have mass in the reach of.
    """
    sides = [
        torch.stack([geometry.weights(pair[k], k, name, any_mass=False) for pair in problems], 1)
        for k, name in enumerate("ab")
    ]
    left, right = (side.detach() / side.detach().sum(0) for side in sides)
    middle = [geometry.shaped(side.mean(1)) for side in (left, right)]
    enough = options | {"tolerance": max(options["tolerance"], _MEAN)}
    try:
        mean, _ = solved(geometry, epsilon, *middle, max_iterations=most // 2, **enough)
    except InputError:
        # Said again, in the words of the problem that it is about.
        return [None] * len(problems), 0
    work = mean.geometry.working
    rows, columns = support(work, mean.a, mean.b, mean.tau)
    left, right = picked(left, rows), picked(right, columns)
    f, g = (
        picked(p + epsilon * w.log(), index)
        for p, w, index in zip(mean.potentials, (mean.a, mean.b), (rows, columns), strict=True)
    )
    kernel = work.kernel(rows, columns)
    kernel.absorb(f, g, epsilon)
    v, spent = torch.ones_like(right), mean.iterations
    goal = 0.25 * options["tolerance"]
    for _ in range(min(_COMMON, most - spent)):
        _, z = kernel.sweep(v, lambda y, rows: (left[rows] / y).where(left[rows] > 0, 0.0))
        spent += 1
        if float((v * z - right).abs().sum(0).max()) <= goal:
            break
        v = (right / z).where(right > 0, 0.0)
    absorbed = g + picked(mean.geometry.offsets[1], columns)
    near = epsilon * (v.log() - right.log()) + absorbed[:, None]
    good = (near.isfinite() | (right == 0)).all(0).tolist()
    starts = near.new_zeros(geometry.shape[1], len(problems))
    starts[slice(None) if columns is None else columns] = near.where(near.isfinite(), 0.0)
    return [starts[:, k] if good[k] else None for k in range(len(problems))], spent
