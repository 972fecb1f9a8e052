"""From costs and weights to a plan: annealing, points without mass, and what is reported."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.kernels import Kernel, Table, picked
from pushforward.ot.plan import Plan
from pushforward.ot.scaling import Marginals, solve

__all__ = ["Options", "solved"]

_COARSE = 0.01  # the marginal error at which to go on to a smaller epsilon
_TOP = 0.25  # the first epsilon, over the spread of costs
_SHARP = 0.01  # the same below which the next epsilon is half of the last, else a quarter
_MARGIN = 0.5  # of the tolerance, left for the rounding of potentials
_SAMPLED = 32  # rows by which the spread of costs is judged


class Options(NamedTuple):
    """How a problem is solved, for every kind of cost."""

    epsilon: float
    tolerance: float
    max_iterations: int
    anneal: bool
    newton: bool
    tau: tuple[float, float]


def _support(weights: Tensor) -> Tensor | None:
    """Where there is mass; `None` if everywhere."""
    mass = weights > 0
    return None if bool(mass.all()) else mass.nonzero()[:, 0]


def solved(
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
    marginals = Marginals(picked(a, rows), picked(b, columns), *options.tau)
    start = _start(init, b)
    levels, careful = _levels(work, options)
    if init is not None:
        levels = [options.epsilon]
    outcome = solve(
        make(rows, columns),
        marginals,
        levels,
        picked(start, columns),
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
