r"""A lower bound of the log-density of rows with numbers and symbols.

With `x_t` noised by independent processes on one clock, and predictions `m = E[z | x_t]` and
`p(symbol | x_t)`,

    -log p(z) <= KL(q(x_1 | z) | prior) + int -SNR'(t)/2 E|m - z|^2 dt
                 + int -a'/(1 - a) E sum_hidden -log p(symbol) dt + what is left of the numbers,

the negative evidence lower bound of the two (Kingma et al. 2021; Sahoo et al. 2024): path measures
of independent parts have the sum of their divergences. Numbers stop at a first time `t_0`, where
they are decoded by the normal law `N(x / alpha, sigma^2 / alpha^2)`, and at the last time of their
schedule; symbols go from 0 to 1, with the numbers as they are at these. Times are drawn half evenly
in `log SNR` and half evenly in `t`, and weighed by the mixture of the two.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._precision import in_double, widest
from pushforward._random import RowNoise, fine_uniform
from pushforward.estimates import LogProb
from pushforward.models.model import Progress
from pushforward.protocols import GaussianKernels, follows

__all__ = ["row_bound"]

_START = 2e-3
"""The time at which what is left is decoded: noise far below any step of a column."""
_LEAST = 1e-6  # of a time at which a symbol may be hidden
_ROWS = 4096


def row_bound(
    model: Any,
    z: Any,
    *,
    steps: int,
    generator: torch.Generator,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> LogProb:
    """The bound of states `z` in the units of the model, with that of their units taken off.

    `steps` times for each row, the standard error that of their mean; `model` is a
    `TableDiffusion`.
    """
    checks.whole("steps", steps, least=2)
    size = min(batch_size or _ROWS, _ROWS)
    parts = state.split(z, size)
    values, errors = [], []
    for k, part in enumerate(parts, start=1):
        own = slice((k - 1) * size, (k - 1) * size + state.rows(part))
        noise = generator.take(own) if isinstance(generator, RowNoise) else generator
        sums = [_at_a_time(model, part, j, steps, noise) for j in range(steps)]
        draws = torch.stack(sums, 1)
        values.append(-(draws.mean(1) + _ends(model, part).to(draws)))
        # Times in strata vary less: this is on the safe side.
        errors.append(draws.std(1) / math.sqrt(steps))
        if progress is not None:
            progress(k, len(parts))
    value, stderr = torch.cat(values), torch.cat(errors)
    log_det = model.known_units().log_det_inverse().to(value)
    return LogProb(value + log_det, stderr, "bound", nfe=steps)


def _at_a_time(model: Any, z: Any, k: int, steps: int, generator: torch.Generator) -> Tensor:
    """The integrand at the time `k` of each row, one in its stratum, over the density of such
    times, `(B,)`."""
    n, device = state.rows(z), state.device(z)
    noisy = next((p for p in model.factors if follows(p, GaussianKernels)), None)
    high = model.process.clock.t_max if noisy is None else noisy.schedule.t_max
    u = fine_uniform((n,), generator, device=device)
    density = torch.ones_like(u)
    if noisy is None:
        t = (k + u) / steps
    else:
        first, last = (float(noisy.schedule.log_snr(end)) for end in (_START, high))
        evenly = (steps + 1) // 2
        if k % 2:
            t = (k // 2 + u) / (steps - evenly)
        else:
            log_snr = last + (first - last) * (k // 2 + u) / evenly
            t = noisy.schedule.time_at_log_snr(log_snr).clamp(_START, high)
        inside = ((t >= _START) & (t <= high)).double()
        density = evenly / steps * inside * _fall(noisy, t) / (first - last)
        density = density + (steps - evenly) / steps
    t = t.clamp_min(_LEAST)
    seen = t.clamp(_START, high).to(device, model.dtype)
    x_t = _noised(model, z, t.to(device, model.dtype), seen, generator)
    pred = model.predictor(x_t, seen)
    found = torch.zeros_like(density)
    for process, own, data, now in zip(model.factors, *map(_parts, (pred, z, x_t)), strict=True):
        if follows(process, GaussianKernels):
            snr = torch.as_tensor(process.schedule.log_snr(t.clamp(_START, high))).exp()
            error = in_double(own - data).square().sum(1)
            # At low noise the error is the noise itself, of which the mean is known: what it
            # differs by from its mean is taken off.
            c = process.schedule.at(t.clamp(_START, high))
            noise = (in_double(now) - c.alpha[:, None] * in_double(data)) / c.sigma[:, None]
            chance = c.alpha**4 * (noise.square() - 1).sum(1)
            found = found + inside * _fall(process, t) / 2 * (snr * error - chance)
        else:
            found = found + in_double(process.loss(own, data, now, t.to(device, widest(device))))
    return found / density


def _fall(process: GaussianKernels, t: Tensor) -> Tensor:
    """How fast the log signal-to-noise ratio falls."""
    k = process.schedule.at(t)
    return torch.as_tensor(2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha))


def _noised(model: Any, z: Any, t: Tensor, seen: Tensor, generator: torch.Generator) -> Any:
    """States at a time: numbers stop where their schedule does, symbols go on to the end."""
    parts = [
        process.sample(part, seen if follows(process, GaussianKernels) else t, generator)
        for process, part in zip(model.factors, _parts(z), strict=True)
    ]
    return tuple(parts) if isinstance(z, tuple) else parts[0]


def _ends(model: Any, z: Any) -> Tensor:
    """What the two ends of the interval add, `(B,)`, in double precision."""
    found = torch.zeros(state.rows(z), dtype=torch.float64)
    for process, part in zip(model.factors, _parts(z), strict=True):
        if not follows(process, GaussianKernels):
            continue
        far, near = process.schedule.at(process.schedule.t_max), process.schedule.at(_START)
        variance, squares = far.sigma**2, part.cpu().double().square()
        prior = (far.alpha**2 * squares + variance - 1 - math.log(variance)) / 2
        left = (math.log(2 * math.pi) + 1) / 2 + math.log(near.sigma / near.alpha)
        found += (prior + left).sum(1)
    return found


def _parts(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)
