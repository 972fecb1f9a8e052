r"""`A A^T` of a linear measurement, diagonalized once, for all systems `(r^2 A A^T + Sigma) u = b`.

A guided sampler solves such a system at every step, with another `r^2` each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._shapes import Weight, flatten

__all__ = ["Spectrum", "linear_spectrum"]

Map = Callable[[Tensor], Tensor]

_MOST = 1024
"""Measured numbers up to which `A A^T` is diagonalized: about a second on one core."""


@dataclass(frozen=True)
class Spectrum:
    r"""`Sigma^{-1/2} A A^T Sigma^{-1/2} = U diag(l) U^T`, for noise of variance `Sigma`.

    Args:
        values: `l`, `(r,)`; all others are zero.
        into: `U^T w` for `(B, m)`, `(B, r)`.
        back: `U a` for `(B, r)`, `(B, m)`.
        std: `Sigma^{1/2}`, `(m,)`.

    >>> found = Spectrum(torch.tensor([3.0]), flatten, flatten, torch.tensor([2.0]))
    >>> found.solve(torch.tensor([[16.0]]), 1.0)  # 16 / (3 * 4 + 4)
    tensor([[1.]])
    """

    values: Tensor
    into: Map
    back: Map
    std: Tensor

    @property
    def whole(self) -> bool:
        """Whether `U` is square, so that nothing lies outside its range."""
        return len(self.values) == len(self.std)

    def solve(self, b: Tensor, variance: Weight) -> Tensor:
        """`(r^2 A A^T + Sigma)^{-1} b` for `(B, *observed)`; `r^2` is a number or `(B,)`."""
        white = flatten(b) / self.std
        inside = self.into(white)
        found = self.back(inside / (_column(variance) * self.values + 1))
        if not self.whole:
            found = found + (white - self.back(inside))
        return (found / self.std).reshape(b.shape)

    def log_prob(self, residual: Tensor, variance: Weight) -> Tensor:
        """`log N(residual; 0, r^2 A A^T + Sigma)`, `(B,)`."""
        own = _column(variance) * self.values + 1
        white = flatten(residual) / self.std
        inside = self.into(white)
        square = (inside.square() / own).sum(-1)
        if not self.whole:
            square = square + (white - self.back(inside)).square().sum(-1)
        constant = 2 * self.std.log().sum() + len(self.std) * math.log(2 * math.pi)
        return -0.5 * (square + own.log().sum(-1) + constant)

    def pseudo_inverse(self, b: Tensor, tolerance: float) -> Tensor:
        """`(A A^T)^+ b` without eigenvalues below `tolerance` times the largest; `Sigma = 1`."""
        kept = self.values > tolerance * self.values.max()
        inverse = torch.where(kept, 1 / torch.where(kept, self.values, 1.0), 0.0)
        return self.back(self.into(flatten(b)) * inverse).reshape(b.shape)


def _column(a: Weight) -> Weight:
    """What multiplies `(B, r)`."""
    return a.reshape(-1, 1) if isinstance(a, Tensor) and a.ndim else a


def linear_spectrum(
    tangent: Map, adjoint: Map, observed: tuple[int, ...], std: Tensor, disjoint_rows: bool
) -> Spectrum | None:
    """The spectrum of a linear map and its transpose; `None` for too many numbers.

    `std` is that of the noise, `(m,)`. With `disjoint_rows` `A A^T` is diagonal.
    """
    count = math.prod(observed)
    if disjoint_rows:
        diagonal = flatten(tangent(adjoint(std.new_ones(1, *observed))))[0]
        return Spectrum(diagonal / std.square(), flatten, flatten, std)
    if count > _MOST:
        return None
    unit = torch.eye(count, dtype=std.dtype, device=std.device).reshape(count, *observed)
    gram = flatten(tangent(adjoint(unit))).double()
    gram = (gram + gram.mT) / 2 / (std.double().unsqueeze(1) * std.double())
    values, vectors = torch.linalg.eigh(gram)
    u = vectors.to(std)
    return Spectrum(values.clamp(min=0).to(std), lambda w: w @ u, lambda a: a @ u.mT, std)
