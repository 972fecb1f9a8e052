"""What every schedule is: two functions of time, their derivatives and the noise level."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["Coefficients", "Schedule", "Time"]

Time = float | Tensor


class Coefficients(NamedTuple):
    """A schedule and its derivatives at one time: floats for a float, tensors for a tensor."""

    alpha: Time
    sigma: Time
    d_alpha: Time
    d_sigma: Time

    @property
    def g2(self) -> Time:
        r"""The squared diffusion `g^2 = 2 sigma sigma' - 2 sigma^2 alpha'/alpha`.

        With it, `dx = (alpha'/alpha) x dt + g dW` has `alpha` and `sigma` as its mean and standard
        deviation (Kingma et al. 2021, eq. 9). Infinite where `alpha` vanishes.
        """
        a, s, da, ds = self
        if isinstance(a, float) and a == 0.0:
            return math.inf
        return 2 * s * (ds - s * da / a)


class Schedule(ABC):
    """A pair of functions `(alpha_t, sigma_t)` on [0, 1].

    A new schedule defines `__call__` with torch operations, time by time; everything else follows,
    derivatives by automatic differentiation. `t_min` and `t_max` bound the interval on
    which all parametrizations are well conditioned: `alpha / sigma` diverges at 0 and, for
    schedules that end in pure noise, vanishes at 1. Training times and sampling grids stay inside.
    `preserves_variance` says that `alpha^2 + sigma^2` is one throughout.
    """

    t_min: float = 1e-3
    t_max: float = 1.0
    preserves_variance: bool = False

    @abstractmethod
    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """`(alpha_t, sigma_t)`, both shaped like `t`."""

    def values(self, t: Time) -> tuple[Time, Time]:
        """`(alpha_t, sigma_t)`: floats for a float, tensors for a tensor.

        Raises `InputError` for times outside [0, 1]; those on a GPU are not looked at.
        """
        if not isinstance(t, Tensor):
            return self.at(t)[:2]
        if torch.compiler.is_compiling() or t.requires_grad or t.is_inference():
            return self(t)
        # A loss asks for the values at its times once for the noise, once for the network and once
        # for the weight. The version tells whether they were changed in place.
        latest = self.__dict__.get("_latest")
        if latest is None or latest[0] is not t or latest[1] != t._version:
            _check(t)
            latest = self.__dict__["_latest"] = (t, t._version, self(t))
        return latest[2]

    def at(self, t: Time) -> Coefficients:
        """The schedule and its derivatives, floats for a float, tensors for a tensor.

        Floats are computed in double precision and remembered, so that a sampling loop pays for
        them once per grid. Raises `InputError` for times outside [0, 1]; those on a GPU are not
        looked at.

        >>> from pushforward.schedules import Rectified
        >>> Rectified().at(0.25)
        Coefficients(alpha=0.75, sigma=0.25, d_alpha=-1.0, d_sigma=1.0)
        """
        if isinstance(t, Tensor):
            _check(t)
            return self._differentiate(t)
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
            table[t] = Coefficients(*row)

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
        """The time at which the log signal-to-noise ratio takes a value, by bisection.

        Values beyond the range of the schedule give 0 or 1.

        >>> from pushforward.schedules import Rectified
        >>> Rectified().time_at_log_snr(torch.tensor([0.0], dtype=torch.float64))
        tensor([0.5000], dtype=torch.float64)
        """
        low = torch.zeros_like(log_snr, dtype=torch.float64)
        high = torch.ones_like(low)
        # log-SNR decreases in t; 60 halvings reach the resolution of double precision.
        for _ in range(60):
            middle = (low + high) / 2
            alpha, sigma = self(middle)
            above = 2 * (alpha.log() - sigma.log()) > log_snr
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        return ((low + high) / 2).to(log_snr.dtype)

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
            return Coefficients(*along[0], *along[1])
        # Each output depends on its own time only, so the gradient of the sum is the derivative.
        # Reverse mode, because the first forward-mode call loads a second's worth of modules.
        with torch.inference_mode(False), torch.enable_grad():
            t = t.detach().clone().requires_grad_()
            alpha, sigma = self(t)
            slopes = [
                torch.autograd.grad(value.sum(), t, materialize_grads=True, retain_graph=True)[0]
                if value.requires_grad
                else torch.zeros_like(t)
                for value in (alpha, sigma)
            ]
        return Coefficients(alpha.detach(), sigma.detach(), *slopes)


def _check(t: Tensor) -> None:
    """Raise `InputError` for times outside [0, 1], where a look at them makes no GPU wait."""
    if t.device.type != "cpu" or torch.compiler.is_compiling() or not t.numel():
        return
    low, high = t.aminmax()
    # Not the other way round: NaN is outside too.
    if not (float(low) >= 0 and float(high) <= 1):
        worst = float(t[~((t >= 0) & (t <= 1))].flatten()[0])
        raise InputError(f"time {worst} lies outside [0, 1]: 0 is data, 1 is the prior")
