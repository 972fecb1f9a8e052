r"""The variational bound of a diffusion model, term by term and in the limit of many steps.

With steps `t_1 < ... < t_K` the chain that runs backwards gives (Sohl-Dickstein et al. 2015; Ho et
al. 2020, eq. 5)

    -log p(x_0) <= L_T + sum_k L_k + L_0,

`L_T` the divergence of the noised data from the prior, `L_k` that of the pinned kernel from the
model's step, `L_0` the cost of the last one, to the data. With more and more steps the sum tends to
`-(1/2) int SNR'(t) E|x_0 - E[x_0 | x_t]|^2 dt` (Kingma et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._random import resolve
from pushforward._shapes import per_event_sum
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import GaussianKernels, Transport, follows
from pushforward.samplers.analytic_dpm import Variance, step_variance
from pushforward.schedules import Schedule
from pushforward.times import LogSNRTimes, StratifiedTimes

__all__ = ["VariationalBound", "continuous_bound", "variational_bound"]


@dataclass(frozen=True)
class VariationalBound:
    """An upper bound of `-log p(x)` in nats, one per state, and what it is made of.

    Args:
        prior: `L_T`, `(B,)`.
        steps: `L_k` from the last step to the first, `(K - 1, B)`.
        reconstruction: `L_0`, `(B,)`.
        dim: the dimension of a state.

    >>> bound = VariationalBound(torch.zeros(1), torch.ones(2, 1), torch.ones(1), dim=3)
    >>> print(bound)
    VariationalBound: 3.0000 nats, 1.4427 bits per dimension (L_T 0.0000, L_k 2.0000, L_0 1.0000)
    """

    prior: Tensor
    steps: Tensor
    reconstruction: Tensor
    dim: int

    @classmethod
    def concatenated(cls, parts: Sequence[VariationalBound]) -> VariationalBound:
        """The bound of several batches of states as one."""
        return cls(
            torch.cat([part.prior for part in parts]),
            torch.cat([part.steps for part in parts], 1),
            torch.cat([part.reconstruction for part in parts]),
            parts[0].dim,
        )

    @property
    def total(self) -> Tensor:
        """The bound, `(B,)`."""
        return self.prior + self.steps.sum(0) + self.reconstruction

    @property
    def bits_per_dim(self) -> Tensor:
        """The bound in bits per dimension, `(B,)`."""
        return self.total / (self.dim * math.log(2))

    def __str__(self) -> str:
        total, parts = self.total.mean(), (self.prior, self.steps.sum(0), self.reconstruction)
        named = zip(("L_T", "L_k", "L_0"), parts, strict=True)
        text = ", ".join(f"{name} {float(part.mean()):.4f}" for name, part in named)
        return (
            f"VariationalBound: {float(total):.4f} nats, "
            f"{float(self.bits_per_dim.mean()):.4f} bits per dimension ({text})"
        )


def variational_bound(
    transport: Transport,
    x: Tensor,
    grid: Sequence[float],
    *,
    variance: Literal["posterior", "beta"] | Variance = "posterior",
    bin_width: Tensor | float | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> VariationalBound:
    r"""Every term of the bound at states `(B, *event)`, with one draw of noise per term.

    Args:
        transport: the model and its `Gaussian` process.
        x: data, in the units of the process.
        grid: increasing times `t_1 < ... < t_K`, of which the first has noise; all steps of a
            `schedules.Chain` are `[k / K for k in 1..K]`.
        variance: that of the model's steps: of the pinned kernel (`posterior`), of the forward
            transition (`beta`), or `Var[x_0 | x_t]` as a function, exact or learned, from which
            that of every step follows (`step_variance`).
        bin_width: the distance of the levels of quantized data, `(*event)` or one number: the last
            step then gives the probability of a level (Ho et al. 2020, eq. 13, with open ends left
            out). Without it, `L_0` is a density. Either is that of a normal distribution of
            variance `sigma^2 / alpha^2`, or of the `variance` that is given.

    Raises `InputError` for a grid that does not increase or starts without noise, or for variances
    that are no positive numbers; `CapabilityError` for colored noise.
    """
    if not callable(variance) and variance not in ("posterior", "beta"):
        raise InputError(
            f"the variance is 'posterior', 'beta' or a function (x_t, t), not {variance!r}"
        )
    process = transport.process
    schedule = _schedule(process)
    times = grids.check(grid)
    if times[0] > times[-1] or schedule.at(times[0]).sigma == 0:
        raise InputError(f"a bound needs increasing times above 0, not {times[0]} to {times[-1]}")
    process.tabulate(times)
    generator = resolve(seed, generator, x.device, rows=len(x))
    last, dim = schedule.at(times[-1]), math.prod(x.shape[1:])
    prior = 0.5 * per_event_sum(x.double().square()) * (last.alpha / last.sigma) ** 2
    steps = []
    for s, t in reversed(list(pairwise(times))):
        x_t = process.sample(x, t, generator)
        kernel, forward = process.pinned(t, s), process.transition(s, t)
        exact = kernel.std**2
        if callable(variance):
            v = _positive(step_variance(kernel, variance(x_t, t)), x_t, t)
        else:
            v = torch.tensor(exact if variance == "posterior" else forward.std**2).double()
        wrong = (kernel.gain * (x - transport.model(x_t, t))).double().square()
        terms = wrong / v + (exact / v - 1) + (v.log() - math.log(exact))
        steps.append(0.5 * per_event_sum(terms.expand_as(wrong)))
    first = schedule.at(times[0])
    x_t = process.sample(x, times[0], generator)
    away = (x - transport.model(x_t, times[0])).double()
    if callable(variance):
        scale = _positive(variance(x_t, times[0]), x_t, times[0]).sqrt()
    else:
        scale = torch.tensor(first.sigma / first.alpha).double()
    if bin_width is None:
        log_p = -0.5 * (away / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)
    else:
        half = 0.5 * torch.as_tensor(bin_width, device=x.device).double()
        log_p = _log_mass((away - half) / scale, (away + half) / scale)
    terms = torch.stack(steps) if steps else prior.new_zeros(0, len(x))
    return VariationalBound(prior, terms, -per_event_sum(log_p.expand_as(away)), dim)


def continuous_bound(
    transport: Transport,
    x: Tensor,
    start: float,
    stop: float,
    *,
    draws: int = 64,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The limit of `sum_k L_k` between the times `stop < start`, and its standard error, `(B,)`.

    By stratified times, uniform in the log signal-to-noise ratio, `draws` for each state.

    Raises `InputError` for fewer than two draws or times in the wrong order.
    """
    checks.whole("draws", draws, least=2)
    process = transport.process
    schedule = _Between(_schedule(process), stop, start)
    generator = resolve(seed, generator, x.device)
    levels, values = StratifiedTimes(LogSNRTimes()), []
    for _ in range(draws):
        # In double precision: the ratio of signal to noise is large near the data.
        t = levels.sample(len(x), schedule, generator=generator, device=x.device).double()
        x_t = process.sample(x, t.to(x.dtype), generator)
        wrong = (x - transport.model(x_t, t.to(x.dtype))).double().square()
        rate = _rate(schedule.inner, t) / levels.density(t, schedule)
        values.append(rate * per_event_sum(wrong))
    value = torch.stack(values)
    return value.mean(0), value.std(0) / draws**0.5


class _Between(Schedule):
    """A schedule on a part of its interval."""

    def __init__(self, inner: Schedule, stop: float, start: float) -> None:
        if not 0 < stop < start <= 1:
            raise InputError(f"the bound runs between 0 < stop < start <= 1, not {stop}, {start}")
        self.inner, self.t_min, self.t_max = inner, stop, start

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner(t)

    def time_at_log_snr(self, log_snr: Tensor) -> Tensor:
        return self.inner.time_at_log_snr(log_snr)


def _rate(schedule: Schedule, t: Tensor) -> Tensor:
    """`-(1/2) d SNR / dt`."""
    k: Any = schedule.at(t)
    return (k.alpha / k.sigma) ** 2 * (k.d_sigma / k.sigma - k.d_alpha / k.alpha)


def _schedule(process: Any) -> Any:
    if not follows(process, GaussianKernels):
        raise InputError(f"the variational bound is that of a Gaussian process, not {process!r}")
    if not process.space.white:
        raise CapabilityError(
            f"the variational bound is that of white noise, not of {type(process.space).__name__}"
        )
    return process.schedule


def _positive(variance: Any, x: Tensor, t: float) -> Tensor:
    """Variances at states, if they are some: else the bound would be no number, or no bound."""
    try:
        variance = torch.broadcast_to(variance, x.shape).double()
    except (TypeError, RuntimeError):
        what = tuple(variance.shape) if isinstance(variance, Tensor) else type(variance).__name__
        raise InputError(
            f"the variance at t = {t:g} is a tensor that can be broadcast to the states, "
            f"{tuple(x.shape)}, not {what}"
        ) from None
    wrong = variance[~((variance > 0) & variance.isfinite())]
    if wrong.numel():
        raise InputError(
            f"{wrong.numel()} of {variance.numel()} variances of the step from t = {t:g} are not "
            f"positive and finite but, say, {float(wrong[0]):g}; those of a learned one "
            "(models.PosteriorVariance) are"
        )
    return variance


def _log_mass(low: Tensor, high: Tensor) -> Tensor:
    """The logarithm of the standard normal probability of `[low, high]`, also far out."""
    # On the side where both are negative, where nothing cancels.
    flip = low + high > 0
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    log_b = torch.special.log_ndtr(b)
    return log_b + torch.log1p(-torch.exp(torch.special.log_ndtr(a) - log_b))
