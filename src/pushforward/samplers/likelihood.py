r"""Log-densities by the probability-flow ODE.

Along `dx/dt = v(x, t)` the log-density changes by minus the divergence, so

    log p(x) = log p_1(x(1)) + int_0^1 div v(x(t), t) dt

(Chen et al. 2018; Song et al. 2021). The integral starts at the grid's first time instead of 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from pushforward import grids
from pushforward._autograd import divergence as exact_divergence
from pushforward._autograd import hutchinson, probe_like
from pushforward._random import resolve
from pushforward.distributions import Distribution
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.protocols import Transport

__all__ = ["DivergenceMethod", "log_prob"]

DivergenceMethod = Literal["auto", "exact", "hutchinson"]

# Up to this dimension the exact divergence costs less than a useful number of probes.
_EXACT_UP_TO = 16


def log_prob(
    transport: Transport,
    prior: Distribution,
    x: Tensor,
    grid: Sequence[float],
    *,
    divergence: DivergenceMethod = "auto",
    probes: int = 8,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> LogProb:
    """The log-density of states `(B, *event)` at `grid[0]`, integrated along an increasing grid.

    Heun's method on state and divergence together, once on the grid and once on every second time
    of it; the two are extrapolated to order 3 (Richardson), and the correction is returned as
    `error`, an estimate of what the grid costs. The exact divergence takes one backward pass per
    dimension, Hutchinson's estimator one per probe. Each probe is kept along the whole path, so
    that the probes give independent estimates and `stderr` is their standard error.
    `auto` takes the exact divergence up to 16 dimensions.

    Raises `InputError` for a decreasing grid, an odd number of steps or fewer than 4, fewer than
    two probes, or an unknown method.

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
    if len(times) < 5 or len(times) % 2 == 0:
        raise InputError(
            f"the error of a likelihood is estimated from an even number of steps, at least 4, "
            f"not {len(times) - 1}"
        )
    if divergence not in ("auto", "exact", "hutchinson"):
        raise InputError(f"divergence is 'auto', 'exact' or 'hutchinson', not {divergence!r}")
    dim = math.prod(x.shape[1:])
    exact = divergence == "exact" or (divergence == "auto" and dim <= _EXACT_UP_TO)
    if not exact and probes < 2:
        raise InputError(f"a standard error needs at least two probes, not {probes}")
    transport.process.tabulate(times)
    noise = None if exact else probe_like(x, probes, resolve(seed, generator, x.device))

    fine = _integrate(transport, x, times, noise)
    halved = times[::2]
    coarse = _integrate(transport, x, halved, noise)
    ends = [prior.log_prob(end).double() + gain for end, gain in (fine, coarse)]
    correction = (ends[0] - ends[1]) / 3
    value = ends[0] + correction
    rows = len(value)
    spread = value.std(0) / rows**0.5 if rows > 1 else torch.zeros_like(value[0])
    passes = 1 + (dim if exact else probes)
    return LogProb(
        value.mean(0).to(x.dtype),
        spread.to(x.dtype),
        kind="ode",
        nfe=2 * (len(times) + len(halved) - 2) * passes,
        error=correction.mean(0).abs().to(x.dtype),
    )


def _integrate(
    transport: Transport, x: Tensor, times: Sequence[float], noise: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The end of the flow from `x`, and the integral of the divergence, `(P, B)`.

    One row per probe in `noise`; a single one by the exact divergence without.
    """

    def rate(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        def velocity(x: Tensor) -> Tensor:
            return transport.dynamics(x, t).velocity

        if noise is None:
            v, div = exact_divergence(velocity, x)
            return v, div.unsqueeze(0)
        return hutchinson(velocity, x, noise)

    # Sums over many steps: double precision costs nothing for (P, B) numbers.
    rows = 1 if noise is None else len(noise)
    gain = torch.zeros(rows, len(x), dtype=torch.float64, device=x.device)
    for t, s in pairwise(times):
        h = s - t
        v, div = rate(x, t)
        v_next, div_next = rate(torch.add(x, v, alpha=h), s)
        x = torch.add(x, v + v_next, alpha=0.5 * h)
        gain += 0.5 * h * (div + div_next)
    return x, gain
