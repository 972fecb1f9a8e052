r"""Entropic optimal transport: one solver for every geometry."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import torch
from torch import Tensor

from pushforward.checks import flag, positive, whole
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.ot import checks
from pushforward.ot.feasibility import check_feasible, support
from pushforward.ot.geometry import Geometry, picked
from pushforward.ot.plan import Plan, Scalings
from pushforward.ot.scaling import Marginals
from pushforward.ot.solver import solve

__all__ = ["Tau", "penalties", "sinkhorn", "solved"]

_TOP = 0.25  # the first epsilon, over the spread of costs
_SHARP = 0.01  # the same below which the next epsilon is half of the last, else a quarter
_MARGIN = 0.5  # of the tolerance, left for the rounding of potentials
_SAMPLED = 32  # rows by which the spread of costs is judged


Tau = float | tuple[float, float]
Init = Plan | Scalings | tuple[Tensor, Tensor] | Tensor


def sinkhorn(
    geometry: Geometry,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    anneal: bool = True,
    newton: bool = True,
    init: Init | None = None,
    tau: Tau = math.inf,
) -> Plan:
    r"""The plan that minimizes `<c, P> + epsilon KL(P | a b')` between two weighted sets.

    Sinkhorn's scaling (Cuturi 2013) with stabilized kernels (Schmitzer 2019) along falling values
    of `epsilon`, ended by Newton's method. The arithmetic is that of the geometry: in single
    precision marginal errors below about 1e-5 may be out of reach.

    Args:
        geometry: what the costs are: `PointClouds(x, y)`, `CostMatrix(costs)` or, for histograms,
            `CartesianGrid(axes)`.
        epsilon: the strength of the entropy, in units of the cost; 0.05 times
            `geometry.mean_cost()` blurs, 0.01 times it is sharp.
        a, b: weights `(n,)` and `(m,)` that sum to one, those of a grid in its shape; equal ones by
            default.
        tolerance: the `L1` error of the marginals at which to stop.
        max_iterations: sweeps, each two products with the kernel, and never more. A factorization
            of Newton's system counts as 60, whose time it takes.
        anneal: start at a large `epsilon`; off where `init` is given.
        newton: take Newton steps where Sinkhorn's converge slowly; without, plain Sinkhorn.
        init: where to start from: a plan of a similar problem, a second potential `g` of shape
            `(m,)`, two potentials `(f, g)`, of which the first follows from the second, or
            `Scalings(u, v)`, as other libraries have them.
        tau: weight of the penalty `tau KL(P 1 | a)` that stands for the marginals' constraints
            (Chizat et al. 2018), one for both or one each; infinity binds them. If finite, the
            weights may have any mass.

    Returns a `Plan`; one that is not converged says so, in `converged` and by `ConvergenceWarning`.
    Raises `InputError` for what cannot be transported.

    >>> from pushforward.ot import CartesianGrid, CostMatrix, PointClouds
    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 2, generator=g, requires_grad=True)
    >>> plan = sinkhorn(PointClouds(x, torch.randn(300, 2, generator=g) + 3), epsilon=0.5)
    >>> plan.converged, plan.matrix().shape
    (True, torch.Size([200, 300]))
    >>> plan.regularized_cost.backward()
    >>> x.grad.shape
    torch.Size([200, 2])
    >>> sinkhorn(CostMatrix(1 - torch.eye(2)), epsilon=0.1).matrix().mul(2).round().abs()
    tensor([[1., 0.],
            [0., 1.]])
    >>> line = torch.linspace(0, 1, 20, dtype=torch.float64)
    >>> a = torch.outer(line, line) / line.sum() ** 2
    >>> sinkhorn(CartesianGrid([line, line]), epsilon=0.01, a=a, b=a.flip(0)).f.shape
    torch.Size([400])
    """
    plan, advice = solved(
        geometry, epsilon, a, b, tolerance=tolerance, max_iterations=max_iterations, anneal=anneal,
        newton=newton, init=init, tau=tau,
    )  # fmt: skip
    if advice:
        warnings.warn(advice, ConvergenceWarning, stacklevel=2)
    return plan


def solved(
    geometry: Geometry,
    epsilon: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 10_000,
    anneal: bool = True,
    newton: bool = True,
    init: Init | None = None,
    tau: Tau = math.inf,
) -> tuple[Plan, str | None]:
    """The plan of `sinkhorn`, and what to do about it if it is not converged."""
    if not isinstance(geometry, Geometry):
        raise InputError(
            f"costs come as PointClouds(x, y), CostMatrix(costs) or CartesianGrid(axes), not as "
            f"{type(geometry).__name__}"
        )
    epsilon, tolerance = positive("epsilon", epsilon), positive("tolerance", tolerance)
    whole("max_iterations", max_iterations)
    flag("anneal", anneal)
    flag("newton", newton)
    taus = penalties(tau)
    binding = all(map(math.isinf, taus))
    given_a = geometry.weights(a, 0, "a", any_mass=not binding)
    given_b = geometry.weights(b, 1, "b", any_mass=not binding)
    # Arithmetic on subnormal numbers keeps no digits: such weights are none.
    tiny = torch.finfo(geometry.like.dtype).tiny
    left, right = (w.detach().where(w >= tiny, 0.0) for w in (given_a, given_b))
    if binding:
        # Sums that differ by rounding can be met by no plan.
        left, right = left / left.sum(), right / right.sum()
    # Terms of one side alone change how much mass a penalty takes.
    own = geometry.reduced if binding else geometry
    # Made once for the iteration and the costs.
    work = own.working
    rows, columns = support(work, left, right, taus)
    marginals = Marginals(picked(left, rows), picked(right, columns), *taus)
    start = _start(init, epsilon, right, own.offsets[1])
    levels, careful = _levels(work, epsilon, anneal)
    outcome = solve(
        work.kernel(rows, columns),
        marginals,
        levels if init is None else [epsilon],
        picked(start, columns),
        tolerance=_MARGIN * tolerance,
        careful=careful,
        max_iterations=max_iterations,
        newton=newton,
    )
    potentials = _extended(work, outcome.f, outcome.g, rows, columns, marginals, epsilon)
    zero = left.new_zeros(())
    plan = Plan(
        zero, zero, *potentials, left, right, epsilon, math.inf, outcome.iterations, False, taus,
        work, potentials,
    )  # fmt: skip
    plan = _valued(plan, tolerance, (given_a, given_b), geometry)
    advice = None
    if not plan.converged:
        if binding and work.forbids:
            check_feasible(work, left, right, potentials[0])
        advice = _advice(plan, tolerance, exhausted=outcome.exhausted)
    return replace(plan, geometry=work.kept), advice


def _advice(plan: Plan, tolerance: float, *, exhausted: bool) -> str:
    """What to do about a plan that does not meet its marginals."""
    double = plan.f.dtype == torch.float64
    if exhausted:
        advice = "raise max_iterations or epsilon"
    else:
        advice = "rounding is what is left: raise epsilon or the tolerance"
        advice += "" if double else ", or use double precision"
    return (
        f"Sinkhorn stopped at a marginal error of {plan.marginal_error:.3g} after "
        f"{plan.iterations} sweeps, above the tolerance {tolerance:g}: {advice}"
    )


def penalties(tau: Tau) -> tuple[float, float]:
    """The weights of both penalties, infinity among them."""
    both = tau if isinstance(tau, tuple | list) else (tau, tau)
    if len(both) != 2:
        raise InputError(f"tau={tau!r}: one number, or one for each marginal")
    one, other = (
        math.inf if isinstance(value, float) and value == math.inf else positive("tau", value)
        for value in both
    )
    return one, other


def _start(init: Init | None, epsilon: float, b: Tensor, offset: Tensor) -> Tensor:
    """The second potential to start from, against the second marginal and less the offset."""
    if init is None:
        return torch.zeros_like(b)
    if isinstance(init, Plan):
        g = init.g
    elif isinstance(init, Scalings):
        v = checks.finite(init.v, "v").detach().to(b)
        if v.shape != b.shape or bool(((v <= 0) & (b > 0)).any()):
            raise InputError(
                f"init has scalings v of shape {tuple(v.shape)}, at least {float(v.min()):.3g}; "
                f"positive ones {tuple(b.shape)} are needed where b has mass"
            )
        # Where there is no mass it does not matter.
        g = epsilon * (v.log() - b.log()).where(b > 0, 0.0)
    elif isinstance(init, tuple):
        if len(init) != 2:
            raise InputError(f"init is a tuple of {len(init)}; two potentials (f, g) are needed")
        g = checks.numbers(init[1], "init[1]").detach()
    else:
        g = checks.numbers(init, "init").detach()
    if g.shape != b.shape:
        raise InputError(
            f"init has a second potential of shape {tuple(g.shape)}; this problem needs "
            f"{tuple(b.shape)}"
        )
    g = g.to(b) - offset
    return g.where(g.isfinite(), 0.0)


def _levels(geometry: Geometry, epsilon: float, anneal: bool) -> tuple[list[float], list[float]]:
    """Falling values of `epsilon`, from the spread of a sample of the costs: few, and with care."""
    few, careful = [epsilon], [epsilon]
    if anneal:
        sample = geometry.costs(slice(None, None, max(geometry.shape[0] // _SAMPLED, 1)))
        sample = sample[sample < math.inf]
        top = float(sample.mean() - sample.min()) if len(sample) else 0.0
        while (above := few[-1] * (2 if few[-1] < _SHARP * top else 4)) <= _TOP * top:
            few.append(above)
        while careful[-1] < top:
            careful.append(2 * careful[-1])
    return few[::-1], careful[::-1]


def _extended(
    geometry: Geometry,
    f: Tensor,
    g: Tensor,
    rows: Tensor | None,
    columns: Tensor | None,
    marginals: Marginals,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """Potentials against the marginals, on points without mass too, where they are softmins."""
    n, m = geometry.shape
    counted_f, counted_g = f.new_full((n,), -torch.inf), g.new_full((m,), -torch.inf)
    counted_f[slice(None) if rows is None else rows] = f
    counted_g[slice(None) if columns is None else columns] = g
    full_f, full_g = f.new_zeros(n), g.new_zeros(m)
    full_f[slice(None) if rows is None else rows] = f - epsilon * marginals.a.log()
    full_g[slice(None) if columns is None else columns] = g - epsilon * marginals.b.log()
    if columns is not None:
        missing = counted_g == -torch.inf
        softmin = geometry.column_softmin(counted_f, epsilon)
        full_g[missing] = softmin[missing] / (1 + epsilon / marginals.tau_b)
    if rows is not None:
        missing = counted_f == -torch.inf
        softmin = geometry.row_softmin(counted_g, epsilon)
        full_f[missing] = softmin[missing] / (1 + epsilon / marginals.tau_a)
    return full_f, full_g


def _valued(
    plan: Plan,
    tolerance: float,
    weights: tuple[Tensor, Tensor],
    geometry: Geometry,
) -> Plan:
    """The plan with its costs, and the error that its entries have, rounding included.

    The regularized cost carries the gradient. The dual function is stationary in the potentials, so
    that its gradient in everything else is the partial one, at fixed potentials.
    """
    epsilon, wide = plan.epsilon, checks.wide(plan.a)
    a, b = plan.a.to(wide), plan.b.to(wide)
    sums = plan.geometry.sums(*plan.potentials, plan.a, plan.b, epsilon)
    offsets = [offset.to(wide) for offset in plan.geometry.offsets]
    f, g = (p + offset for p, offset in zip(plan.potentials, offsets, strict=True))
    mass = float(sums.left.sum())
    sides = ((a, f, plan.tau[0]), (b, g, plan.tau[1]))
    value = sum(float(torch.where(w > 0, w * _conjugate(p, tau), 0.0).sum()) for w, p, tau in sides)
    value -= epsilon * (mass - float(a.sum() * b.sum()))
    goals = [torch.where(w > 0, w * (-p / tau).exp(), 0.0) for w, p, tau in sides]
    error = float((sums.left - goals[0]).abs().sum() + (sums.right - goals[1]).abs().sum())
    linear = geometry.surrogate(plan)
    for weight, (_, potential, tau), other in zip(weights, sides, (b, a), strict=True):
        if weight.requires_grad:
            # At the optimum `exp(-f / tau)` is the plan's marginal over the weight.
            slope = _conjugate(potential, tau) + epsilon * (other.sum() - (-potential / tau).exp())
            linear = linear + (weight * slope.to(weight).nan_to_num()).sum()
    total = plan.a.new_tensor(value) + (linear - linear.detach())
    cost = sums.cost + sum(
        float(side @ offset) for side, offset in zip((sums.left, sums.right), offsets, strict=True)
    )
    return replace(
        plan,
        regularized_cost=total,
        cost=plan.a.new_tensor(cost),
        f=f.to(plan.a),
        g=g.to(plan.b),
        marginal_error=error,
        converged=error <= tolerance,
    )


def _conjugate(potential: Tensor, tau: float) -> Tensor:
    """What the dual of a penalty `tau KL` makes of a potential: itself if the penalty binds."""
    return potential if math.isinf(tau) else -tau * torch.expm1(-potential / tau)
