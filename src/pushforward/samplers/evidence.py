r"""A lower bound of log-probabilities by the reversal in continuous time.

The relative entropy of the noising of a data point from the reversal that a model makes is a sum of
three: what the prior misses at the first time `T`, the integral over the time of what the
predictions cost, and what the data cost at once from the last time `e`:

    -log p(z) <= KL(p_T(. | z) | prior) + int_e^T E cost(pred, z, x_t) dt + E[-log p(z | x_e)]

(Campbell et al. 2022; Shi et al. 2024; Lou, Meng & Ermon 2024). Nothing is left out at either end.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._precision import has_double
from pushforward._random import resolve, uniform
from pushforward._roots import increasing_root
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.protocols import Augmented, Evidenced, Transport, follows

__all__ = ["GROUPS", "check_draws", "evidence_bound"]

GROUPS = 16
"""Independent estimates, from whose spread the standard error follows."""


def evidence_bound(
    transport: Transport,
    z: Any,
    start: float,
    stop: float,
    *,
    draws: int = 64,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> LogProb:
    """A lower bound of the log-probability of data, in nats, with its Monte Carlo error, `(B,)`.

    The integral is estimated at `draws` times for each state, in 16 groups of stratified ones, half
    uniform and half uniform in `log t`, which no cost of the literature makes infinite; the mean of
    the groups has the standard error. The value is that of the bound, which lies below the log-
    probability in expectation.

    Args:
        transport: the model and its process.
        z: states.
        start: the first time of a sampler, at which the prior is.
        stop: the last time, at which the data are drawn at once.
        draws: evaluations of the model for the integral, a multiple of 16; the ends take 16 more.

    Raises `CapabilityError` for a process without a bound, `InputError` for times in the wrong
    order and for draws that do not fit.

    >>> from pushforward import processes, spaces
    >>> from pushforward.analytic import AnalyticTokens
    >>> world = AnalyticTokens.random(3, 1, seed=0)
    >>> process = processes.Masking(spaces.Tokens(3))
    >>> x = torch.tensor([[0], [1], [2]])
    >>> found = evidence_bound(Transport(world.model(process), process), x, 1.0, 1e-3, seed=0)
    >>> bool(((found.value - world.data.log_prob(x)).abs() < 4 * found.stderr).all())
    True
    """
    process = transport.process
    if not follows(process, Evidenced):
        raise CapabilityError(
            f"{type(process).__name__} has no bound of log-probabilities by its reversal: Masking, "
            "Jumps, Gaussian and their products have one; that of BlockMasking is "
            "samplers.block_evidence_bound"
        )
    if not 0 < stop < start <= 1:
        raise InputError(f"the bound runs between 0 < stop < start <= 1, not {stop}, {start}")
    check_draws(draws)
    n, device = state.rows(z), state.device(z)
    generator = resolve(seed, generator, device, rows=n)
    groups = []
    for _ in range(GROUPS):
        total = torch.zeros(n, dtype=torch.float64, device="cpu")
        for t, weight in _times(n, draws // GROUPS, start, stop, generator):
            way, x_t = _noised(process, z, t, generator)
            rate = process.cost_rate(transport.model(x_t, t), way, x_t, t)
            total += weight * rate.cpu().double()
        way, x_t = _noised(process, z, stop, generator)
        last = process.data_cost(transport.model(x_t, stop), way, x_t, stop)
        groups.append(total + last.cpu().double())
    cost = torch.stack(groups)
    value = cost.mean(0) + process.prior_cost(z, start).cpu().double()
    stderr = cost.std(0) / math.sqrt(GROUPS)
    home = device if has_double(device) else "cpu"
    return LogProb(-value.to(home), stderr.to(home), "bound", nfe=draws + GROUPS)


def _noised(process: Any, z: Any, t: Any, generator: torch.Generator) -> tuple[Any, Any]:
    """What the costs take in the place of the data, and a state."""
    if follows(process, Augmented):
        way: tuple[Any, Any] = process.descend(z, t, generator)
        return way
    return z, process.sample(z, t, generator)


def check_draws(draws: int) -> int:
    """A number of draws. Raises `InputError` for one that cannot be parted into groups."""
    if checks.whole("draws", draws) % GROUPS:
        raise InputError(f"draws is a multiple of {GROUPS}, not {draws}")
    return draws


def _times(
    n: int, strata: int, start: float, stop: float, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Stratified times `(n,)` and the weights of an integral over them.

    The density is half that of uniform times, half that of times uniform in the logarithm.
    """
    length, ratio = start - stop, math.log(start / stop)
    u = uniform((n,), generator, dtype=torch.float32).cpu().double()
    place = (u.unsqueeze(1) + torch.arange(strata)) / strata

    def excess(t: Tensor) -> Tensor:
        return 0.5 * (t - stop) / length + 0.5 * (t / stop).log() / ratio - place

    low, high = torch.full_like(place, stop), torch.full_like(place, start)
    t = increasing_root(excess, low, high).clamp(stop, start)
    weight = 1 / (strata * (0.5 / length + 0.5 / (ratio * t)))
    moved = t.to(generator.device, torch.get_default_dtype())
    return list(zip(moved.unbind(1), weight.unbind(1), strict=True))
