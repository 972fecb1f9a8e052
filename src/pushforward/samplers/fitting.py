r"""A sampling grid fitted to the model at hand.

Along the flow, `y = x / alpha` moves by `dy = E du` with the noise level `u = sigma / alpha` and
the predicted noise `E`, so a step of size `h` in `lambda = -log u` makes an error of about
`u |dE/dlambda| h^2 / 2`. Steps whose density in `lambda` follows the square root of
`u |dE/dlambda|` share the error equally. With few steps that is too uneven for methods that
extrapolate, so it is mixed with equal steps, in the proportion that ends nearest to an accurate
solution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward import checks
from pushforward.grids import FittedGrid, LogSNRGrid
from pushforward.protocols import Sampler, Transport
from pushforward.samplers.loop import run
from pushforward.samplers.multistep import Multistep
from pushforward.samplers.rule import gaussian_schedule

__all__ = ["fit_grid"]

_ACCURATE = Multistep(order=2, predict="noise", corrector=True, clock="time", integral="midpoint")
_REFERENCE_STEPS = 60
_MIXTURES = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0)


def fit_grid(
    transport: Transport,
    x: Tensor,
    *,
    steps: int = 10,
    sampler: Sampler | None = None,
    start: float | None = None,
    stop: float | None = None,
) -> FittedGrid:
    """The grid with which a sampler of the flow ends nearest to an accurate solution.

    It takes 60 evaluations of the model on the batch for the accurate solution and seven runs of
    the sampler; some dozens of states are enough.

    Args:
        transport: the model and its `Gaussian` process.
        x: states of the prior at `start`, `(B, *event)`.
        steps: the steps to fit for. The grid that comes back takes any number.
        sampler: a sampler without noise of its own; the default of `Diffusion.sample` without one.
        start: where the grid starts, the schedule's `t_max` by default.
        stop: where it ends, the schedule's `t_min` by default.

    Raises `InputError` for fewer than three steps, `CapabilityError` for a process that is not
    Gaussian.
    """
    # Fewer have nothing to place.
    checks.whole("steps", steps, least=3)
    model, process = transport
    ends = LogSNRGrid()(process.schedule, 1, start=start, stop=stop)
    schedule = gaussian_schedule(process, ends, "a fitted grid")
    rule = _ACCURATE if sampler is None else sampler
    noises: list[Tensor] = []

    def watched(x_t: Tensor, t: Any, c: Any = None) -> Tensor:
        alpha, sigma = schedule.values(t)
        pred = model(x_t, t)
        noises.append((x_t - alpha * pred) / sigma)
        return pred

    fine = LogSNRGrid()(schedule, _REFERENCE_STEPS, start=ends[0], stop=ends[1])
    exact = model(run(_ACCURATE, Transport(watched, process), x, fine), ends[1])
    levels = np.array([0.5 * float(schedule.log_snr(t)) for t in fine])
    density = _density(torch.stack(noises), levels)
    found: tuple[float, FittedGrid] | None = None
    for share in _MIXTURES:
        curve = np.concatenate([[0.0], np.cumsum(share * density + (1 - share))])
        grid = FittedGrid(tuple((2 * levels).tolist()), tuple((curve / curve[-1]).tolist()))
        times = grid(schedule, steps, start=ends[0], stop=ends[1])
        end = model(run(rule, transport, x, times, seed=0), ends[1])
        error = float((end - exact).square().mean())
        if found is None or error < found[0]:
            found = error, grid
    assert found is not None
    return found[1]


def _density(noises: Tensor, levels: np.ndarray) -> np.ndarray:
    """The density of steps on each piece between the `levels`, of mean one."""
    change = (noises[1:] - noises[:-1]).flatten(1).double().square().mean(1).sqrt().cpu().numpy()
    middle = 0.5 * (levels[:-2] + levels[1:-1])
    # The square root of u |dE / dlambda|, known between evaluations; at the ends as next to them.
    rough = np.sqrt(np.exp(-middle) * change / np.diff(levels[:-1]))
    at = 0.5 * (levels[:-1] + levels[1:])
    density = np.interp(at, middle, rough)
    return density / density.mean() + 0.02
