r"""Log-densities by the probability-flow ODE.

Along `dx/dt = v(x, t)` the log-density changes by minus the divergence, so

    log p(x) = log p_1(x(1)) + int_0^1 div v(x(t), t) dt

(Chen et al. 2018; Song et al. 2021). The integral starts at the grid's first time instead of 0. The
flow of a Gaussian process is integrated in the share of its noise, in which it is smooth for every
schedule (`samplers.ode`); there the scale of the state changes too, and the log-density with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._precision import in_double
from pushforward._random import ProbeDistribution, probe_like, resolve
from pushforward._shapes import flatten
from pushforward.distributions import Distribution
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.protocols import Transport
from pushforward.samplers.adaptive import solve
from pushforward.samplers.manifold_ode import flow_ode
from pushforward.samplers.ode import FlowODE

__all__ = ["DivergenceMethod", "ProbeDistribution", "log_prob"]

DivergenceMethod = Literal["auto", "exact", "hutchinson"]

# Up to this dimension the exact divergence costs less than a useful number of probes.
_EXACT_UP_TO = 16


def log_prob(
    transport: Transport,
    prior: Distribution,
    x: Any,
    grid: Sequence[float],
    *,
    divergence: DivergenceMethod = "auto",
    probes: int = 8,
    probe_distribution: ProbeDistribution = "rademacher",
    tolerance: float | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> LogProb:
    """The log-density of states `(B, *event)` at `grid[0]`, integrated along an increasing grid.

    Heun's method on state and divergence together, once on the grid and once on every second time
    of it; the two are extrapolated to order 3 (Richardson), and the correction is returned as
    `error`, an estimate of what the grid costs. The exact divergence takes one backward pass per
    dimension, Hutchinson's estimator one per probe, `rademacher` or `gaussian`. Each probe is kept
    along the whole path, so that the probes give independent estimates and `stderr` is their
    standard error.
    `auto` takes the exact divergence up to 16 dimensions.

    With a `tolerance`, relative and absolute, Dormand & Prince's adaptive solver takes the place of
    Heun's method: of the grid only the ends count, and `error` is the distance to a solution with
    ten times the tolerance.

    Raises `InputError` for a decreasing grid, an odd number of steps or fewer than 4, fewer than
    two probes, or an unknown method; `SamplingError` for a tolerance that is not reached in 10,000
    evaluations.

    >>> from pushforward import Transport, processes, schedules
    >>> process = processes.Gaussian(schedules.VP())
    >>> def model(x, t, c=None):  # the posterior mean of standard normal data
    ...     return process.schedule.at(t).alpha * x
    >>> grid = torch.linspace(1e-3, 1, 21).tolist()
    >>> x = torch.zeros(1, 2)
    >>> result = log_prob(Transport(model, process), process.prior((2,)), x, grid)
    >>> round(result.value.item(), 3)
    -1.838
    """
    times = grids.check(grid)
    if times[0] > times[-1]:
        raise InputError(
            f"a likelihood runs from data to prior, not from {times[0]} to {times[-1]}"
        )
    if tolerance is None and (len(times) < 5 or len(times) % 2 == 0):
        raise InputError(
            f"the error of a likelihood is estimated from an even number of steps, at least 4, "
            f"not {len(times) - 1}"
        )
    checks.one_of("divergence", divergence, get_args(DivergenceMethod))
    checks.one_of("probe_distribution", probe_distribution, get_args(ProbeDistribution))
    ode = flow_ode(transport, times)
    z = ode.enter(x, times[0])
    directions = ode.directions(z)
    dim = math.prod(directions.shape[1:])
    exact = divergence == "exact" or (divergence == "auto" and dim <= _EXACT_UP_TO)
    if tolerance is not None and not 0 < tolerance < 0.1:
        raise InputError(f"a tolerance lies in (0, 0.1), not {tolerance}")
    if not exact:
        # One alone has no standard error.
        checks.whole("probes", probes, least=2)
    clock = [ode.clock(t) for t in times]
    ode.prepare(clock)
    noise = None
    if not exact:
        noise = probe_like(
            directions, probes, resolve(seed, generator, z.device), probe_distribution
        )
    rate = _rate(ode, noise)
    if tolerance is None:
        paths = [_integrate(rate, z, part) for part in (clock, clock[::2])]
    else:
        rows = 1 if noise is None else probes
        ends_of_clock = clock[0], clock[-1]
        paths = [
            _adapt(rate, rows, z, ends_of_clock, tol, ode.prepare)
            for tol in (tolerance, 10 * tolerance)
        ]
    volume = dim * math.log(ode.scale(times[-1]) / ode.scale(times[0]))
    ends = [
        in_double(prior.log_prob(ode.leave(path.z, times[-1]))) + path.gain + volume
        for path in paths
    ]
    error = ends[0] - ends[1]
    value = ends[0]
    if tolerance is None:
        # The errors of Heun's method fall by four, so a third of the difference is left.
        error = error / 3
        value = value + error
    rows = len(value)
    spread = value.std(0) / rows**0.5 if rows > 1 else torch.zeros_like(value[0])
    passes = 1 + (dim if exact else probes)
    return LogProb(
        value.mean(0).to(z),
        spread.to(z),
        kind="ode",
        nfe=sum(path.evaluations for path in paths) * passes,
        error=error.mean(0).abs().to(z),
    )


Rate = Callable[[Tensor, float], tuple[Tensor, Tensor]]


class _Path(NamedTuple):
    """The end of the flow, the integral of the divergence `(P, B)`, and the evaluations taken."""

    z: Tensor
    gain: Tensor
    evaluations: int


def _rate(ode: FlowODE, noise: Tensor | None) -> Rate:
    """Velocity and divergence `(P, B)`: a row per probe, a single one if it is exact."""

    def rate(z: Tensor, w: float) -> tuple[Tensor, Tensor]:
        if noise is None:
            v, div = ode.divergence(z, w)
            return v, div.unsqueeze(0)
        return ode.estimates(z, w, noise)

    return rate


def _integrate(rate: Rate, z: Tensor, clock: Sequence[float]) -> _Path:
    """Heun's method along a grid."""
    gain = torch.zeros((), dtype=torch.float64)
    for t, s in pairwise(clock):
        h = s - t
        v, div = rate(z, t)
        v_next, div_next = rate(torch.add(z, v, alpha=h), s)
        z = torch.add(z, v + v_next, alpha=0.5 * h)
        # Sums over many steps: double precision costs nothing for (P, B) numbers.
        gain = gain + 0.5 * h * in_double(div + div_next)
    return _Path(z, gain, 2 * (len(clock) - 1))


def _adapt(
    rate: Rate,
    rows: int,
    z: Tensor,
    ends: tuple[float, float],
    tolerance: float,
    prepare: Callable[[Sequence[float]], None],
) -> _Path:
    """Adaptive steps between two ends; `rows` is the number of divergences."""
    shape, width = z.shape, math.prod(z.shape[1:])

    def joint_rate(joint: Tensor, w: float) -> Tensor:
        # The divergences travel as further coordinates, held to the tolerance like the others.
        v, div = rate(joint[:, :width].reshape(shape), w)
        return torch.cat([flatten(v), div.mT], 1)

    joint = torch.cat([flatten(z), z.new_zeros(len(z), rows)], 1)
    found = solve(joint_rate, joint, *ends, rtol=tolerance, atol=tolerance, prepare=prepare)
    end = found.x
    return _Path(end[:, :width].reshape(shape), in_double(end[:, width:].mT), found.evaluations)
