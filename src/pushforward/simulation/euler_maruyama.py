"""Paths of the SDE itself: what the probability flow is compared with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import resolve
from pushforward._shapes import not_finite
from pushforward.errors import SamplingError
from pushforward.mcmc import check_states
from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.flux import Drift, drift_at

__all__ = ["euler_maruyama"]


def euler_maruyama(
    drift: Drift,
    diffusion: float | Tensor,
    x: Tensor,
    *,
    duration: float,
    steps: int,
    keep: int = 10,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Paths of `dX = b dt + sqrt(2 D) dW` from states, by steps of Euler and Maruyama.

    Args:
        drift: `b(x, t)`.
        diffusion: `D`, as that of a `Simulation`.
        x: the states at time zero, `(n, *event)`.
        duration: from time zero on.
        steps: of equal length.
        keep: intervals between the times that are kept.
        seed: or a `generator`.

    Returns the times `(K,)` and the states at them, `(K, n, *event)`. Raises `InputError` for what
    a `Simulation` refuses, and `SamplingError` for states that are no longer finite.

    >>> times, paths = euler_maruyama(
    ...     lambda x, t: -x, 1.0, torch.zeros(2000, 1), duration=3.0, steps=60, seed=0
    ... )
    >>> bool((paths[-1].var() - 1).abs() < 0.15)
    True
    """
    check_states(x)
    diffusivity = Diffusivity(diffusion, tuple(x.shape[1:]))
    length = checks.positive("duration", duration) / checks.whole("steps", steps)
    every = max(1, steps // checks.whole("keep", keep))
    noise = resolve(seed, generator, x.device, rows=len(x))
    times, kept = [0.0], [x]
    for k in range(steps):
        x = x + length * drift_at(drift, x, k * length)
        x = x + math.sqrt(length) * diffusivity.noise(x, noise)
        if (k + 1) % every == 0 or k + 1 == steps:
            times.append((k + 1) * length)
            kept.append(x)
    if bad := not_finite(x):
        raise SamplingError(f"{bad} of {len(x)} paths are not finite: take more steps than {steps}")
    return torch.tensor(times, dtype=torch.float64), torch.stack(kept)
