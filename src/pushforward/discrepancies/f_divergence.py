r"""f-divergences by their convex conjugates (Nguyen et al. 2010; f-GAN: Nowozin et al. 2016).

    D_f(p || q) = E_q f(p / q) = sup_T  E_p T - E_q f^*(T),

with the best critic `T = f'(p / q)`. A network gives a number `v` on the whole line, which an
increasing map takes to where `f^*` is finite.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from pushforward.checks import one_of
from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = [
    "KL",
    "Alpha",
    "FDivergence",
    "JensenShannon",
    "Pearson",
    "ReverseKL",
    "SquaredHellinger",
    "TotalVariation",
]

Goal = Literal["non-saturating", "minimax"]


@dataclass(frozen=True)
class FDivergence(ABC):
    """One f-divergence.

    Args:
        generator: `minimax` minimizes the estimate itself, `-E f*(T)`, whose gradient vanishes
            where the critic is sure; `non-saturating` maximizes `E T` in its place (Goodfellow et
            al. 2014; Nowozin et al. 2016, section 3.2).

    Raises `InputError` for another goal of the generator.
    """

    generator: Goal = "non-saturating"

    outputs = 1
    pointwise = True

    def __post_init__(self) -> None:
        one_of("generator", self.generator, ("non-saturating", "minimax"))

    @abstractmethod
    def f(self, ratio: Tensor) -> Tensor:
        """The convex function of the ratio `p / q`."""

    @abstractmethod
    def slope(self, log_ratio: Tensor) -> Tensor:
        """`f'(p / q)` from `log (p / q)`: the best critic."""

    @abstractmethod
    def conjugate(self, t: Tensor) -> Tensor:
        """`f^*(t) = sup_u (u t - f(u))`."""

    @abstractmethod
    def activation(self, v: Tensor) -> Tensor:
        """An increasing map of the line into where the conjugate is finite."""

    def bound(self, real: Tensor, fake: Tensor) -> Tensor:
        """`T(x) - f^*(T(y))` at values `v` of the critic, `(B,)`: its mean is at most `D_f`."""
        return self.activation(real) - self._at_fake(fake)

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the bound."""
        return -self.bound(real[:, 0], fake[:, 0])

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The bound's part of the generator, or the one that does not saturate."""
        fake = fake[:, 0]
        return -self._at_fake(fake) if self.generator == "minimax" else -self.activation(fake)

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's number, before it is brought to where the conjugate is finite."""
        return values[:, 0]

    def _at_fake(self, v: Tensor) -> Tensor:
        return self.conjugate(self.activation(v))


@configurable
@dataclass(frozen=True)
class KL(FDivergence):
    """`KL(p || q)`: `f = u log u`.

    >>> KL().f(torch.tensor(1.0))
    tensor(0.)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`u log u`."""
        return torch.special.xlogy(ratio, ratio)

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`1 + log u`."""
        return 1 + log_ratio

    def conjugate(self, t: Tensor) -> Tensor:
        """`exp(t - 1)`."""
        return (t - 1).exp()

    def activation(self, v: Tensor) -> Tensor:
        """All of the line."""
        return v


@configurable
@dataclass(frozen=True)
class ReverseKL(FDivergence):
    """`KL(q || p)`: `f = -log u`.

    >>> ReverseKL().f(torch.tensor(1.0))
    tensor(-0.)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`-log u`."""
        return -ratio.log()

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`-1 / u`."""
        return -(-log_ratio).exp()

    def conjugate(self, t: Tensor) -> Tensor:
        """`-1 - log(-t)`."""
        return -1 - (-t).log()

    def activation(self, v: Tensor) -> Tensor:
        """`-exp(-v)`, below zero."""
        return -(-v).exp()

    def _at_fake(self, v: Tensor) -> Tensor:
        return v - 1


@configurable
@dataclass(frozen=True)
class TotalVariation(FDivergence):
    """Half the L1 distance: `f = |u - 1| / 2`.

    >>> TotalVariation().f(torch.tensor(3.0))
    tensor(1.)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`|u - 1| / 2`."""
        return 0.5 * (ratio - 1).abs()

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`sign(u - 1) / 2`."""
        return 0.5 * log_ratio.sign()

    def conjugate(self, t: Tensor) -> Tensor:
        """`t`, on `[-1/2, 1/2]`."""
        return t

    def activation(self, v: Tensor) -> Tensor:
        """`tanh(v) / 2`."""
        return 0.5 * torch.tanh(v)


@configurable
@dataclass(frozen=True)
class Pearson(FDivergence):
    """The Pearson chi-square, `E_q (p / q - 1)^2`.

    >>> Pearson().f(torch.tensor(3.0))
    tensor(4.)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`(u - 1)^2`."""
        return (ratio - 1).square()

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`2 (u - 1)`."""
        return 2 * torch.expm1(log_ratio)

    def conjugate(self, t: Tensor) -> Tensor:
        """`t^2 / 4 + t`; below -2, where the ratio would be negative, -1."""
        t = t.clamp(min=-2)
        return 0.25 * t * t + t

    def activation(self, v: Tensor) -> Tensor:
        """All of the line."""
        return v


@configurable
@dataclass(frozen=True)
class SquaredHellinger(FDivergence):
    """`E_q (sqrt(p / q) - 1)^2`, from 0 to 2.

    >>> SquaredHellinger().f(torch.tensor(4.0))
    tensor(1.)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`(sqrt u - 1)^2`."""
        return (ratio.sqrt() - 1).square()

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`1 - 1 / sqrt u`."""
        return -torch.expm1(-0.5 * log_ratio)

    def conjugate(self, t: Tensor) -> Tensor:
        """`t / (1 - t)`, below one."""
        return t / (1 - t)

    def activation(self, v: Tensor) -> Tensor:
        """`1 - exp(-v)`."""
        return -torch.expm1(-v)

    def _at_fake(self, v: Tensor) -> Tensor:
        return torch.expm1(v)


@configurable
@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """The original game: `2 JS(p, q) - log 4`, with `v` the critic's log-odds.

    >>> JensenShannon().f(torch.tensor(1.0)).exp()
    tensor(0.2500)
    """

    def f(self, ratio: Tensor) -> Tensor:
        """`u log u - (1 + u) log(1 + u)`."""
        return torch.special.xlogy(ratio, ratio) - (1 + ratio) * torch.log1p(ratio)

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`log (u / (1 + u))`."""
        return logsigmoid(log_ratio)

    def conjugate(self, t: Tensor) -> Tensor:
        """`-log(1 - exp t)`, below zero."""
        return -torch.log(-torch.expm1(t))

    def activation(self, v: Tensor) -> Tensor:
        """`log sigmoid v`."""
        return logsigmoid(v)

    def _at_fake(self, v: Tensor) -> Tensor:
        return softplus(v)


@configurable
@dataclass(frozen=True)
class Alpha(FDivergence):
    r"""`(E_q (p/q)^a - 1) / (a (a - 1))` for any `a` but 0 and 1, whose limits are both KLs.

    Raises `InputError` for these.

    >>> Alpha(alpha=2.0).f(torch.tensor(3.0))  # half of Pearson's
    tensor(2.)
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha in (0.0, 1.0) or not math.isfinite(self.alpha):
            raise InputError(f"alpha = {self.alpha:g}: take KL for 1 and ReverseKL for 0")

    def f(self, ratio: Tensor) -> Tensor:
        """`(u^a - 1 - a (u - 1)) / (a (a - 1))`."""
        a = self.alpha
        return (ratio**a - 1 - a * (ratio - 1)) / (a * (a - 1))

    def slope(self, log_ratio: Tensor) -> Tensor:
        """`(u^(a-1) - 1) / (a - 1)`."""
        return torch.expm1((self.alpha - 1) * log_ratio) / (self.alpha - 1)

    def conjugate(self, t: Tensor) -> Tensor:
        """`((1 + (a-1) t)^(a/(a-1)) - 1) / a`, where the base is positive."""
        a = self.alpha
        return (torch.pow(1 + (a - 1) * t, a / (a - 1)) - 1) / a

    def activation(self, v: Tensor) -> Tensor:
        """The slope of a ratio `exp v`."""
        return self.slope(v)

    def _at_fake(self, v: Tensor) -> Tensor:
        return torch.expm1(self.alpha * v) / self.alpha
