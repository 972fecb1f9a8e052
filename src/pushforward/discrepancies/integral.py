"""Integral probability metrics: the largest difference of means over a class of functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._distances import centered, squared_distances
from pushforward._gaussian_kernels import mean_gaussian
from pushforward.checks import one_of
from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["MMD", "EnergyDistance", "LearnedMMD", "Wasserstein"]

_ROWS = 128  # of a symmetric table that are computed together


@configurable
@dataclass(frozen=True)
class Wasserstein:
    """`W_1 = sup E h(x) - E h(y)` over functions of slope one (Arjovsky et al. 2017).

    The slope is what a regularizer has to keep: `GradientPenalty`, `WeightClipping` or
    `SpectralNorm`.

    >>> Wasserstein().critic_loss(torch.ones(1, 1), torch.zeros(1, 1))
    tensor([-1.])
    """

    outputs = 1
    pointwise = True

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the difference."""
        return fake[:, 0] - real[:, 0]

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The difference, of which it changes one part."""
        return -fake[:, 0]

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The function `h`."""
        return values[:, 0]


class _Kernel(ABC):
    """Twice the same: the generator makes small what the critic's features make large."""

    pointwise = False

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the discrepancy of the features."""
        return -self.estimate(real, fake)

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discrepancy of the features."""
        return self.estimate(real, fake)

    def estimate(self, x: Tensor, y: Tensor) -> Tensor:
        """One number per row of `x`, `(n,)`, whose mean is the unbiased estimate from `x`
        `(n, *event)` and `y` `(m, *event)`.

        Raises `InputError` for fewer than two rows of either, or different events.
        """
        if min(len(x), len(y)) < 2:
            raise InputError("a kernel needs at least two states to compare: a larger batch")
        if x.shape[1:] != y.shape[1:]:
            raise InputError(
                f"events of shapes {tuple(x.shape[1:])} and {tuple(y.shape[1:])} have no distance"
            )
        left, right = _centered(x, y)
        within = self._within(left, x.dtype) + self._within(right, x.dtype)
        return within - 2 * self.kernel(squared_distances(left, right).to(x.dtype)).mean(1)

    def _within(self, x: Tensor, kind: torch.dtype) -> Tensor:
        """The mean kernel of two different rows, each pair of which is looked at once."""
        n, total = len(x), torch.zeros((), dtype=kind, device=x.device)
        for start in range(0, n, _ROWS):
            part, rest = x[start : start + _ROWS], x[start + _ROWS :]
            # A state and itself are no pair of independent ones.
            own = self.kernel(squared_distances(part, part).to(kind))
            total = total + own.sum() - own.diagonal().sum()
            if len(rest):
                total = total + 2 * self.kernel(squared_distances(part, rest).to(kind)).sum()
        return total / (n * (n - 1))

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The mean kernel with data minus that with samples (Gretton et al. 2012)."""
        at, *sets = _centered(values, real, fake)
        to_real, to_fake = (
            self.kernel(squared_distances(at, z).to(values.dtype)).mean(1) for z in sets
        )
        return to_real - to_fake

    @abstractmethod
    def kernel(self, square: Tensor) -> Tensor:
        """A function of squared distances `(n, m)`."""


@configurable
@dataclass(frozen=True)
class MMD(_Kernel):
    """The squared maximum mean discrepancy (Gretton et al. 2012; Li et al. 2017).

    Args:
        shape: `gaussian`, `exp(-d^2 / 2 w^2)`, or `rational-quadratic`,
            `(1 + d^2 / (2 a w^2))^-a` for `a` of 0.2, 0.5, 1, 2 and 5 (Bińkowski et al. 2018).
        widths: lengths `w` of a mixture of kernels, in standard deviations of the data.

    There is no critic: the states themselves are compared. `LearnedMMD` compares features.

    Raises `InputError` for another shape, or widths that are not positive.

    >>> MMD().estimate(torch.zeros(3, 1), torch.zeros(3, 1))
    tensor([0., 0., 0.])
    """

    shape: str = "gaussian"
    widths: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0)

    outputs = 0

    def __post_init__(self) -> None:
        one_of("shape", self.shape, ("gaussian", "rational-quadratic"))
        if not self.widths or min(self.widths) <= 0:
            raise InputError(f"the widths of kernels are positive, not {self.widths}")

    def kernel(self, square: Tensor) -> Tensor:
        """The mean over all widths."""
        if self.shape == "gaussian":
            return mean_gaussian(square, self.widths)
        parts = []
        for width in self.widths:
            scaled = square / (2 * width * width)
            parts += [(1 + scaled / a) ** -a for a in (0.2, 0.5, 1.0, 2.0, 5.0)]
        return sum(parts[1:], parts[0]) / len(parts)


@configurable
@dataclass(frozen=True)
class LearnedMMD(MMD):
    """MMD of a critic's features, which is what a kernel is learned by (Li et al. 2017).

    With rational quadratic kernels and the slope of the witness bounded it is the MMD-GAN of
    Bińkowski et al. (2018); a `GAN` made by `for_data` bounds it so.

    Args:
        shape, widths: of the kernel of features, as for `MMD`.
        outputs: how many features the critic has, at least one.

    Raises `InputError` as `MMD`, and without features.

    >>> LearnedMMD().outputs
    16
    """

    shape: str = "rational-quadratic"
    widths: tuple[float, ...] = (1.0,)
    outputs: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outputs < 1:
            raise InputError(f"a learned kernel has features, not {self.outputs}: take MMD")


@configurable
@dataclass(frozen=True)
class EnergyDistance(_Kernel):
    """`2 E |x - y| - E |x - x'| - E |y - y'|` (Székely & Rizzo 2013).

    Args:
        outputs: features of the critic, or 0 for the states themselves.

    >>> EnergyDistance().estimate(torch.zeros(3, 1), torch.ones(3, 1)).round(decimals=3)
    tensor([2., 2., 2.])
    """

    outputs: int = 0

    def kernel(self, square: Tensor) -> Tensor:
        """Minus the distance."""
        # The slope of a root is infinite at zero.
        return -square.clamp(min=1e-12).sqrt()


def _centered(*sets: Tensor) -> list[Tensor]:
    """Flattened states about the mean of the last ones."""
    flat = [z.flatten(1) for z in sets]
    return centered(flat[-1].detach().mean(0), *flat)
