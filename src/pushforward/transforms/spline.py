r"""Monotone rational-quadratic splines (Durkan, Bekasov, Murray & Papamakarios 2019).

Between two knots `(u_k, v_k)` of slopes `d_k`, with `s = (v_{k+1} - v_k) / (u_{k+1} - u_k)` and
`e = (z - u_k) / (u_{k+1} - u_k)`,

    x = v_k + (v_{k+1} - v_k) (s e^2 + d_k e (1 - e)) / (s + (d_k + d_{k+1} - 2 s) e (1 - e)),

whose inverse is the root of a quadratic equation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms.elementwise import OfTheLine

__all__ = ["CircularSpline", "Spline"]

_SMALLEST = 1e-3
"""Of a bin, as a share of the box, and of a slope: what keeps the inverse well conditioned."""

_ONE = math.log(math.expm1(1 - _SMALLEST))
"""Where `softplus` gives a slope of one."""


class _Piece(NamedTuple):
    """The ends and slopes of the piece that a number falls into."""

    u: Tensor
    width: Tensor
    v: Tensor
    height: Tensor
    left: Tensor
    right: Tensor


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
        if not 2 <= self.bins < 0.5 / _SMALLEST:
            raise InputError(
                f"a spline has from 2 to {int(0.5 / _SMALLEST) - 1} bins, not {self.bins}"
            )
        if not self.box > 0:
            raise InputError(f"the box of a spline has a positive width, not {self.box}")

    @property
    def parameters(self) -> int:
        """Widths and heights of the bins, and the slopes at the inner knots."""
        return 3 * self.bins - 1

    def push(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The spline, or the identity outside the box."""
        return self._outside(z, _forward(z.clamp(-self.box, self.box), *self._knots(parameters)))

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of the spline, or the identity outside the box."""
        return self._outside(x, _backward(x.clamp(-self.box, self.box), *self._knots(parameters)))

    def _outside(self, z: Tensor, inside: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        within = z.abs() < self.box
        return torch.where(within, inside[0], z), torch.where(within, inside[1], 0.0)

    def _knots(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        widths, heights, slopes = parameters.split([self.bins, self.bins, self.bins - 1], -1)
        # Slope one at both ends, where the identity begins.
        slopes = pad(_slopes(slopes), (1, 1), value=1.0)
        return _edges(widths, self.box), _edges(heights, self.box), slopes


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
        return _forward(_wrapped(z + parameters[..., 0]), *self._knots(parameters[..., 1:]))

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage of angles, in `[-pi, pi)`."""
        z, slope = _backward(_wrapped(x), *self._knots(parameters[..., 1:]))
        return _wrapped(z - parameters[..., 0]), slope

    def _knots(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        widths, heights, slopes = parameters.split(self.bins, -1)
        slopes = _slopes(slopes)
        slopes = torch.cat([slopes, slopes[..., :1]], -1)
        return _edges(widths, math.pi), _edges(heights, math.pi), slopes


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _slopes(raw: Tensor) -> Tensor:
    return _SMALLEST + softplus(raw + _ONE)


def _edges(raw: Tensor, box: float) -> Tensor:
    """The ends of bins `(..., bins + 1)` whose sizes are a softmax with a floor."""
    bins = raw.shape[-1]
    sizes = _SMALLEST + (1 - _SMALLEST * bins) * raw.softmax(-1)
    inner = 2 * box * sizes.cumsum(-1)[..., :-1] - box
    # The ends exactly, whatever the rounding of the sum.
    return pad(pad(inner, (1, 0), value=-box), (0, 1), value=box)


def _piece(at: Tensor, edges: Tensor, u: Tensor, v: Tensor, slopes: Tensor) -> _Piece:
    """The piece in whose `edges` a number lies."""
    k = (at.unsqueeze(-1) >= edges[..., 1:-1]).sum(-1, keepdim=True)
    both = torch.cat([k, k + 1], -1)
    (u0, u1), (v0, v1), (d0, d1) = (knots.gather(-1, both).unbind(-1) for knots in (u, v, slopes))
    return _Piece(u0, u1 - u0, v0, v1 - v0, d0, d1)


def _forward(z: Tensor, u: Tensor, v: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    p = _piece(z, u, u, v, slopes)
    s = p.height / p.width
    e = ((z - p.u) / p.width).clamp(0, 1)
    return p.v + p.height * _share(p, s, e), _log_slope(p, s, e)


def _backward(x: Tensor, u: Tensor, v: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    p = _piece(x, v, u, v, slopes)
    s = p.height / p.width
    y = (x - p.v) / p.height
    # The root of the quadratic in [0, 1], in the form without cancellation.
    more = y * (p.left + p.right - 2 * s)
    a, b, c = s - p.left + more, p.left - more, -s * y
    e = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
    e = e.clamp(0, 1)
    return p.u + e * p.width, -_log_slope(p, s, e)


def _share(p: _Piece, s: Tensor, e: Tensor) -> Tensor:
    mixed = e * (1 - e)
    return (s * e * e + p.left * mixed) / (s + (p.left + p.right - 2 * s) * mixed)


def _log_slope(p: _Piece, s: Tensor, e: Tensor) -> Tensor:
    mixed = e * (1 - e)
    up = p.right * e * e + 2 * s * mixed + p.left * (1 - e) ** 2
    return 2 * s.log() + up.log() - 2 * (s + (p.left + p.right - 2 * s) * mixed).log()
