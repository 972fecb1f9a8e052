"""What every schedule is: two functions of time, their derivatives and the noise level."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from pushforward._roots import increasing_root
from pushforward.errors import CapabilityError, InputError

__all__ = ["Coefficients", "Schedule", "Time"]

Time = float | Tensor


_NEAR_ZERO = 1e-8
"""Where limits at time 0 are taken from: derivatives are exact here to about as many digits."""


class Coefficients(NamedTuple):
    r"""A schedule and its derivatives at one time: floats for a float, tensors for a tensor.

    `g2` is the squared diffusion `g^2 = d(sigma^2)/dt - 2 sigma^2 alpha'/alpha`. With it,
    `dx = (alpha'/alpha) x dt + g dW` has `alpha` and `sigma` as its mean and standard deviation
    (Kingma et al. 2021, eq. 9). Infinite where `alpha` vanishes; at `t = 0` it is the limit, as is
    `d_sigma`, which is infinite there if `sigma` grows like the square root of time.
    """

    alpha: Time
    sigma: Time
    d_alpha: Time
    d_sigma: Time
    g2: Time


class Schedule(ABC):
    """A pair of functions `(alpha_t, sigma_t)` on [0, 1], the clock of a process.

    A new schedule defines `__call__` with torch operations, time by time; everything else follows,
    derivatives by automatic differentiation. `t_min` and `t_max` bound the interval on
    which all parametrizations are well conditioned: `alpha / sigma` diverges at 0 and, for
    schedules that end in pure noise, vanishes at 1. Training times and sampling grids stay inside.
    `preserves_variance` says that `alpha^2 + sigma^2` is one throughout.

    A schedule does not change after it was made: coefficients at float times are remembered.
    """

    t_min: float = 1e-3
    t_max: float = 1.0
    preserves_variance: bool = False
    # Whether equal times always have equal values: so for a formula of numbers, not for functions
    # of the user's, which may read something that is being trained.
    _remembers: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """`(alpha_t, sigma_t)`, both shaped like `t`."""

    def values(self, t: Time) -> tuple[Time, Time]:
        """`(alpha_t, sigma_t)`: floats for a float, tensors for a tensor.

        Raises `InputError` for times outside [0, 1]; those on a GPU are not looked at.
        """
        if not isinstance(t, Tensor):
            return self.at(t)[:2]
        if torch.compiler.is_compiling():
            return self(t)
        if not self._remembers or t.device.type != "cpu" or t.requires_grad:
            check_times(t)
            return self(t)
        # A loss asks for the values at its times once for the noise, once for the network and once
        # for the weight. Compared by content: a tensor can be written to in ways that leave no
        # trace on it (`.numpy()`, `.data`). What is handed out are copies, for the same reason.
        latest = self.__dict__.get("_latest")
        if latest is None or latest[0].dtype != t.dtype or not torch.equal(latest[0], t):
            check_times(t)
            alpha, sigma = self(t)
            if not torch.is_inference_mode_enabled():
                self.__dict__["_latest"] = (t.detach().clone(), alpha.clone(), sigma.clone())
            return alpha, sigma
        return latest[1].clone(), latest[2].clone()

    def at(self, t: Time) -> Coefficients:
        """The schedule and its derivatives, floats for a float, tensors for a tensor.

        Floats are computed in double precision and remembered, so that a sampling loop pays for
        them once per grid. Raises `InputError` for times outside [0, 1]; those on a GPU are not
        looked at.

        >>> from pushforward.schedules import Rectified
        >>> Rectified().at(0.25)
        Coefficients(alpha=0.75, sigma=0.25, d_alpha=-1.0, d_sigma=1.0, g2=0.66666...)
        """
        if isinstance(t, Tensor):
            check_times(t)
            return self._with_limits(self._differentiate(t), t)
        table = self._table
        if t not in table:
            self.tabulate((t,))
        return table[t]

    def tabulate(self, times: Sequence[float]) -> None:
        """Compute the coefficients of a whole grid at once, for `at` to look up."""
        table = self._table
        missing = [t for t in times if t not in table]
        if not missing:
            return
        for t in missing:
            if not 0.0 <= t <= 1.0:
                raise InputError(f"time {t} lies outside [0, 1]: 0 is data, 1 is the prior")
        if len(table) > 10_000:
            table.clear()
        columns = self._differentiate(torch.tensor(missing, dtype=torch.float64))
        rows = zip(*(torch.as_tensor(column).tolist() for column in columns), strict=True)
        for t, row in zip(missing, rows, strict=True):
            table[t] = Coefficients(*row) if t > 0.0 else self._limit(Coefficients(*row))

    def log_snr(self, t: Time) -> Time:
        r"""The logarithm of the signal-to-noise ratio, `log(alpha_t^2 / sigma_t^2)`.

        >>> from pushforward.schedules import Rectified
        >>> Rectified().log_snr(0.5)
        0.0
        """
        alpha, sigma = self.values(t)
        if isinstance(alpha, Tensor) and isinstance(sigma, Tensor):
            return 2 * (alpha.log() - sigma.log())
        if sigma == 0.0:
            return math.inf
        return 2 * math.log(alpha / sigma) if alpha > 0.0 else -math.inf

    def time_at_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the log signal-to-noise ratio takes a value, for all values at once.

        In closed form for the schedules of the literature, by bracketing otherwise. Values beyond
        the range of the schedule give 0 or 1.

        >>> from pushforward.schedules import Rectified
        >>> Rectified().time_at_log_snr(torch.tensor([0.0], dtype=torch.float64))
        tensor([0.5000], dtype=torch.float64)
        """
        return self._invert(log_snr.double()).clamp(0, 1).to(log_snr.dtype)

    def log_snr_range(self, start: float, stop: float) -> tuple[float, float]:
        """The log signal-to-noise ratio at two times, for what is placed between them.

        Raises `InputError` where it is infinite at an end only, `CapabilityError` for a clock that
        has none: its `sigma / alpha` does not grow with time.

        >>> from pushforward.schedules import Cosine
        >>> [round(value, 3) for value in Cosine().log_snr_range(0.75, 0.25)]
        [-1.763, 1.763]
        """
        ranges = self.__dict__.setdefault("_ranges", {})
        ends = max(start, stop), min(start, stop)
        if ends not in ranges:
            times = [ends[0] + (ends[1] - ends[0]) * k / 8 for k in range(9)]
            times[-1] = ends[1]
            self.tabulate(times)
            found = [float(self.log_snr(t)) for t in times]
            inner = found[1:-1]
            if not all(math.isfinite(v) for v in inner) or any(b <= a for a, b in pairwise(inner)):
                raise CapabilityError(
                    f"{self} has no log signal-to-noise ratio: its sigma / alpha does not grow "
                    f"with time from {ends[1]} to {ends[0]}. Uniform, stratified, logit-normal and "
                    "quadratic times need none"
                )
            for t, value in zip(ends, (found[0], found[-1]), strict=True):
                if not math.isfinite(value):
                    raise InputError(
                        f"the signal-to-noise ratio is {'infinite' if value > 0 else 'zero'} at "
                        f"t = {t}: stay inside ({self.t_min}, {self.t_max})"
                    )
            ranges[ends] = dict(zip(ends, (found[0], found[-1]), strict=True))
        values = ranges[ends]
        return values[start], values[stop]

    def _invert(self, log_snr: Tensor) -> Tensor:
        """`time_at_log_snr` in double precision, where a schedule has no closed form."""
        noise, signal = torch.sigmoid(-0.5 * log_snr), torch.sigmoid(0.5 * log_snr)

        def gap(t: Tensor) -> Tensor:
            alpha, sigma = self(t)
            # Bounded, and whichever share is the smaller has no cancellation.
            total = alpha + sigma
            return torch.where(log_snr > 0, sigma / total - noise, signal - alpha / total)

        return increasing_root(gap, torch.zeros_like(log_snr), torch.ones_like(log_snr))

    def chain_times(self, stop: float | None = None) -> list[float] | None:
        """The times of the steps of a discrete chain, from the data on, where there is one."""
        return None

    @property
    def _table(self) -> dict[float, Coefficients]:
        return self.__dict__.setdefault("_coefficients", {})

    def _differentiate(self, t: Tensor) -> Coefficients:
        if torch.compiler.is_compiling():
            # Forward mode can be traced into a graph.
            along = torch.func.jvp(self, (t,), (torch.ones_like(t),))
            (alpha, sigma), (d_alpha, d_sigma) = along[0], along[1]
            g2 = _squared_diffusion(alpha, sigma, d_alpha, d_sigma)
            return Coefficients(alpha, sigma, d_alpha, d_sigma, g2)
        # Each output depends on its own time only, so the gradient of the sum is the derivative.
        # Reverse mode, because the first forward-mode call loads a second's worth of modules.
        with torch.inference_mode(False), torch.enable_grad():
            t = t.detach().clone().requires_grad_()
            alpha, sigma = self(t)
            d_alpha, d_sigma = (
                torch.autograd.grad(value.sum(), t, materialize_grads=True, retain_graph=True)[0]
                if value.requires_grad
                else torch.zeros_like(t)
                for value in (alpha, sigma)
            )
        alpha, sigma = alpha.detach(), sigma.detach()
        g2 = _squared_diffusion(alpha, sigma, d_alpha, d_sigma)
        return Coefficients(alpha, sigma, d_alpha, d_sigma, g2)

    def _with_limits(self, k: Coefficients, t: Tensor) -> Coefficients:
        """Coefficients at tensor times, with the limits at those that are zero."""
        if torch.compiler.is_compiling():
            return k
        at_zero = t == 0
        if t.device.type == "cpu" and not at_zero.any():
            return k
        limit = self.at(0.0)
        d_sigma, g2 = (
            torch.where(at_zero, torch.full_like(t, float(end)), torch.as_tensor(value))
            for end, value in ((limit.d_sigma, k.d_sigma), (limit.g2, k.g2))
        )
        return k._replace(d_sigma=d_sigma, g2=g2)

    def _limit(self, found: Coefficients) -> Coefficients:
        """Coefficients at time 0, where `sigma` may start like a square root."""
        if found.sigma != 0.0:
            return found
        near = torch.tensor([_NEAR_ZERO, 2 * _NEAR_ZERO], dtype=torch.float64)
        k = self._differentiate(near)
        (one, two), (early, late) = (torch.as_tensor(v).tolist() for v in (k.sigma, k.g2))
        slope = float(found.d_sigma)
        if math.isinf(slope) or (math.isnan(slope) and two < 1.9 * one):
            # Noise can only grow from nothing, whatever the sign of a zero under the root.
            slope = math.inf
            # A diffusion that falls from infinity halves over a factor of time, or nearly so.
            g2 = math.inf if late < 0.95 * early else 2 * early - late
            return found._replace(d_sigma=slope, g2=g2)
        if math.isnan(slope):
            slope = (2 * one - 0.5 * two) / _NEAR_ZERO
        return found._replace(d_sigma=slope, g2=0.0)


def _squared_diffusion(alpha: Tensor, sigma: Tensor, d_alpha: Tensor, d_sigma: Tensor) -> Tensor:
    g2 = 2 * sigma * (d_sigma - sigma * d_alpha / alpha)
    # Also where the signal ends with slope zero.
    return g2.masked_fill(alpha == 0, math.inf)


def check_times(t: Tensor) -> None:
    """Raise `InputError` for times outside [0, 1], where a look at them makes no GPU wait."""
    if t.device.type != "cpu" or torch.compiler.is_compiling() or not t.numel():
        return
    low, high = torch.aminmax(t.detach())
    # Also false where a time is not a number.
    if not (low.item() >= 0 and high.item() <= 1):
        worst = float(t[~((t >= 0) & (t <= 1))].flatten()[0])
        raise InputError(f"time {worst} lies outside [0, 1]: 0 is data, 1 is the prior")
