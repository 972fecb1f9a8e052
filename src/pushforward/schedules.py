r"""Schedules: how much of the data is left at time t.

A schedule gives scalars only and knows no space. At `t = 0` all is data, `alpha = 1` and
`sigma = 0`; at `t = 1` nearly all is noise. On R^d, `x_t = alpha_t x_0 + sigma_t noise`; on tokens
and point sets `alpha_t` is the chance that a token is still unmasked or a point still alive.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["NAMES", "OU", "VE", "VP", "Coefficients", "Cosine", "Custom", "Rectified", "Schedule"]

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

        Raises `InputError` for a float outside [0, 1].
        """
        if isinstance(t, Tensor):
            return self(t)
        return self.at(t)[:2]

    def at(self, t: Time) -> Coefficients:
        """The schedule and its derivatives, floats for a float, tensors for a tensor.

        Floats are computed in double precision and remembered, so that a sampling loop pays for
        them once per grid. Raises `InputError` for a float outside [0, 1].

        >>> Rectified().at(0.25)
        Coefficients(alpha=0.75, sigma=0.25, d_alpha=-1.0, d_sigma=1.0)
        """
        if isinstance(t, Tensor):
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

    @property
    def _table(self) -> dict[float, Coefficients]:
        return self.__dict__.setdefault("_coefficients", {})

    def _differentiate(self, t: Tensor) -> Coefficients:
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


@configurable
@dataclass(frozen=True)
class VP(Schedule):
    r"""Variance preserving with a linear rate (Song et al. 2021, eq. 32; Ho et al. 2020).

    `dx = -beta_t x / 2 dt + sqrt(beta_t) dW` with `beta_t` from `beta_min` to `beta_max`:
    `alpha_t = exp(-B_t / 2)`, `sigma_t^2 = 1 - exp(-B_t)`, `B_t` the integral of `beta`.

    >>> VP().at(1.0).alpha < 0.01
    True
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    preserves_variance = True

    def __post_init__(self) -> None:
        if not 0 <= self.beta_min <= self.beta_max < math.inf or self.beta_max == 0:
            raise InputError(
                f"VP needs 0 <= beta_min <= beta_max, not {self.beta_min} and {self.beta_max}"
            )

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        total = t * (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * t)
        return torch.exp(-0.5 * total), torch.sqrt(-torch.expm1(-total))


@configurable
@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Variance preserving along a quarter turn: `alpha = cos(pi t / 2)`, `sigma = sin(pi t / 2)`.

    The form of Nichol & Dhariwal (2021) without their offset, as in Salimans & Ho (2022).

    >>> round(Cosine().log_snr(0.5), 12)
    0.0
    """

    t_max = 1 - 1e-3
    preserves_variance = True

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        # The sine of the remaining angle is exactly zero at t = 1, the cosine is not.
        return torch.sin(0.5 * math.pi * (1 - t)), torch.sin(0.5 * math.pi * t)


@configurable
@dataclass(frozen=True)
class VE(Schedule):
    r"""Variance exploding, geometric (Song et al. 2021, eq. 30): `alpha = 1` and
    `sigma_t^2 = sigma_min^2 ((sigma_max / sigma_min)^{2t} - 1)`.

    This is the exact kernel of their SDE; the often-quoted `sigma_min (sigma_max/sigma_min)^t`
    differs from it by the constant `sigma_min^2` and would leave noise at `t = 0`.

    >>> VE(sigma_max=10.0).at(0.0).sigma
    0.0
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise InputError(
                f"VE needs 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        growth = 2 * math.log(self.sigma_max / self.sigma_min)
        return torch.ones_like(t), self.sigma_min * torch.sqrt(torch.expm1(growth * t))


@configurable
@dataclass(frozen=True)
class Rectified(Schedule):
    r"""Straight lines from data to noise: `alpha = 1 - t`, `sigma = t` (Liu et al. 2022; Lipman et
    al. 2023). Its `alpha` is also the linear clock of masking and thinning.

    >>> Rectified().values(0.25)
    (0.75, 0.25)
    """

    t_max = 1 - 1e-3

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - t, 1 * t


@configurable
@dataclass(frozen=True)
class OU(Schedule):
    r"""The Ornstein-Uhlenbeck process `dx = -rate x ds + sqrt(2 rate) dW` up to `s = horizon`.

    `alpha_t = exp(-rate horizon t)`, `sigma_t^2 = 1 - alpha_t^2`. The clock of the convergence
    theory: `rate=1` is `dx = -x ds + sqrt(2) dW`, `rate=1/2` is `dx = -x/2 ds + dW`.

    >>> round(OU(rate=0.5, horizon=2.0).at(1.0).alpha, 6)
    0.367879
    """

    rate: float = 1.0
    horizon: float = 5.0
    preserves_variance = True

    def __post_init__(self) -> None:
        if not (0 < self.rate < math.inf and 0 < self.horizon < math.inf):
            raise InputError(
                f"OU needs a positive rate and horizon, not {self.rate} and {self.horizon}"
            )

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        decay = self.rate * self.horizon * t
        return torch.exp(-decay), torch.sqrt(-torch.expm1(-2 * decay))


class Custom(Schedule):
    """Any pair of functions of time, written with torch operations.

    A schedule that should be saved with a model is better written as a `configurable` subclass of
    `Schedule`, since a function cannot be written to a configuration.

    >>> Custom(lambda t: (1 - t**2, t)).at(0.5)
    Coefficients(alpha=0.75, sigma=0.5, d_alpha=-1.0, d_sigma=1.0)
    """

    def __init__(
        self,
        function: Callable[[Tensor], tuple[Tensor, Tensor]],
        t_min: float = 1e-3,
        t_max: float = 1 - 1e-3,
    ) -> None:
        if not 0 <= t_min < t_max <= 1:
            raise InputError(f"need 0 <= t_min < t_max <= 1, not {t_min} and {t_max}")
        self.function, self.t_min, self.t_max = function, t_min, t_max

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.function(t)


NAMES: dict[str, type[Schedule]] = {
    "vp": VP,
    "cosine": Cosine,
    "ve": VE,
    "rectified": Rectified,
    "ou": OU,
}
