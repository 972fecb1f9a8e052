r"""Linear coordinates in which a target is round: the mass matrix of Hamiltonian samplers.

A kernel that moves `u` with `x = L u` moves `x` as one with the mass matrix `(L L^T)^-1` does (Neal
2011, section 4.1): momenta `N(0, M)` in `x` are standard normal ones in `u`, and turns are told by
the same scalar products.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.mcmc.target import LogDensity

__all__ = ["Metric", "Moments", "Whitened"]


class Metric(NamedTuple):
    """Coordinates `u` with `x = L u`, over the numbers of a state.

    Args:
        factor: `L`, lower triangular `(d, d)`, or its diagonal `(d,)`.

    >>> Metric(torch.tensor([2.0, 3.0])).outward(torch.ones(1, 2))
    tensor([[2., 3.]])
    """

    factor: Tensor

    def outward(self, u: Tensor) -> Tensor:
        """States at coordinates `(B, *event)`."""
        flat = u.flatten(1)
        dense = self.factor.ndim == 2
        return (flat @ self.factor.mT if dense else flat * self.factor).view_as(u)

    def inward(self, x: Tensor) -> Tensor:
        """Coordinates of states."""
        flat = x.flatten(1)
        if self.factor.ndim == 1:
            return (flat / self.factor).view_as(x)
        return torch.linalg.solve_triangular(self.factor, flat.mT, upper=False).mT.reshape(x.shape)


class Whitened:
    """A log-density in the coordinates of a metric, up to its constant determinant.

    It takes any rows of a batch, so that chains that have nothing to do cost nothing.
    """

    any_rows = True

    def __init__(self, log_p: LogDensity, metric: Metric) -> None:
        self.log_p, self.metric = log_p, metric

    def __call__(self, u: Tensor) -> Tensor:
        """The log-density, `(B,)`."""
        return self.log_p(self.metric.outward(u))


class Moments:
    """Mean and covariance of the states of a window, of all chains together.

    Sums about the first mean, in double precision, so that no trace is kept.
    """

    def __init__(self, dense: bool) -> None:
        self.dense, self.count = dense, 0
        self._first: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Take states `(B, *event)` in."""
        flat = in_double(x.flatten(1))
        if self._first is None:
            self._first = flat.mean(0)
            self._sum = torch.zeros_like(self._first)
            self._square = (
                torch.zeros_like(torch.outer(self._sum, self._sum))
                if self.dense
                else (torch.zeros_like(self._sum))
            )
        away = flat - self._first
        self._sum += away.sum(0)
        self._square += away.mT @ away if self.dense else away.square().sum(0)
        self.count += len(flat)

    def metric(self, like: Tensor) -> Metric:
        """The metric of the covariance, drawn towards a small multiple of the identity as in Stan:
        `n / (n + 5) C + 0.001 * 5 / (n + 5) I`."""
        n = self.count
        mean = self._sum / n
        product = torch.outer(mean, mean) if self.dense else mean.square()
        spread = (self._square / n - product) * n / max(n - 1, 1)
        share, rest = n / (n + 5), 1e-3 * 5 / (n + 5)
        if self.dense:
            eye = torch.eye(len(mean), dtype=spread.dtype, device=spread.device)
            factor = torch.linalg.cholesky(share * spread + rest * eye)
        else:
            factor = (share * spread.clamp(min=0) + rest).sqrt()
        return Metric(factor.to(like))
