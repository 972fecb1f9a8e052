"""Monotone rational-quadratic splines (Durkan, Bekasov, Murray & Papamakarios 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms.elementwise import OfTheLine
from pushforward.transforms.rational_quadratic import SMALLEST, monotone

__all__ = ["CircularSpline", "Spline"]


@configurable
@dataclass(frozen=True)
class Spline(OfTheLine):
    """A spline on a box `[-box, box]`, and the identity outside it.

    Args:
        bins: how many pieces.
        box: half the width of the box; standardized data rarely leave 5.

    Raises `InputError` for fewer than two bins or as many as do not fit, or a box that is not
    positive.

    >>> spline = Spline(bins=4)
    >>> x, slope = spline.push(torch.tensor([0.3, 99.0]), torch.zeros(2, spline.parameters))
    >>> x, slope.abs().max() < 1e-6
    (tensor([ 0.3000, 99.0000]), tensor(True))
    """

    bins: int = 8
    box: float = 5.0

    def __post_init__(self) -> None:
        if whole("bins", self.bins, least=2) >= 0.5 / SMALLEST:
            raise InputError(
                f"a spline has from 2 to {int(0.5 / SMALLEST) - 1} bins, not {self.bins}"
            )
        positive("box", self.box)

    @property
    def parameters(self) -> int:
        """Widths and heights of the bins, and the slopes at the inner knots."""
        return 3 * self.bins - 1

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The spline, or the identity outside the box."""
        return self._through(z, parameters, inverse=False)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of the spline, or the identity outside the box."""
        return self._through(x, parameters, inverse=True)

    def _through(self, z: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        inside = z.clamp(-self.box, self.box)
        image, slope = _knotted(inside, parameters, self.bins, self.box, False, inverse)
        within = z.abs() < self.box
        return torch.where(within, image, z), torch.where(within, slope, 0.0)


@configurable
@dataclass(frozen=True)
class CircularSpline:
    """A smooth bijection of the circle `[-pi, pi)`: a shift, then a spline of equal slopes at both
    ends (Rezende et al. 2020).

    Args:
        bins: how many pieces.

    >>> spline = CircularSpline(bins=4)
    >>> parameters = torch.zeros(1, spline.parameters)
    >>> spline.push(torch.tensor([3.5]), parameters)[0]  # the same angle as 3.5
    tensor([-2.7832])
    """

    bins: int = 8

    def __post_init__(self) -> None:
        Spline(self.bins)

    @property
    def parameters(self) -> int:
        """A shift, widths and heights of the bins, and the slopes at the knots."""
        return 3 * self.bins + 1

    @property
    def shown(self) -> int:
        """Cosine and sine."""
        return 2

    def show(self, x: Tensor) -> Tensor:
        """Cosines and sines: what depends on an angle has no cut."""
        return torch.stack([x.cos(), x.sin()], -1).flatten(1)

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The image of angles, in `[-pi, pi)`."""
        return self._through(z + parameters[..., 0], parameters[..., 1:], inverse=False)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage of angles, in `[-pi, pi)`."""
        z, slope = self._through(x, parameters[..., 1:], inverse=True)
        return _wrapped(z - parameters[..., 0]), slope

    def _through(self, z: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        return _knotted(_wrapped(z), parameters, self.bins, math.pi, True, inverse)


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _knotted(
    z: Tensor, parameters: Tensor, bins: int, half: float, circular: bool, inverse: bool
) -> tuple[Tensor, Tensor]:
    """`monotone`, with the rows of a batch on the last axis."""
    rows, size = len(z), math.prod(z.shape[1:])
    raw = parameters.reshape(rows, size * parameters.shape[-1]).mT.contiguous()
    raw = raw.reshape(size, parameters.shape[-1], rows)
    numbers = z.reshape(rows, size).mT
    image, slope = monotone(numbers, raw, bins, half, circular=circular, inverse=inverse)
    return image.mT.reshape(z.shape), slope.mT.reshape(z.shape)
