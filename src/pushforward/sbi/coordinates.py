"""The coordinates that a posterior is learned in: without bounds, and less what is linear."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.transforms import Bijection

__all__ = ["Coordinates"]

_RIDGE = 1e-3
_ENOUGH = 20_000
"""Rows that quantiles are taken of."""


class Coordinates(nn.Module):
    r"""`z = R^{-1} (f^{-1}(theta) - m(y))`: what is learned in the place of `theta`.

    `f` leads from vectors without bounds to the support of the prior, `m` is a linear regression
    on the features of `y`, `R` the Cholesky factor of the covariance of its residuals. Where prior
    and noise are Gaussian and the simulator is linear, `z` is standard normal and independent of
    `y`, and nothing is left to learn.

    The features of an observation are `u = (y - median) / spread`, the spread half of the distance
    of the quantiles at 0.16 and 0.84, once cut at +-5, and once as `asinh(u)`, which tells counts
    and heavy tails apart over many orders of magnitude. For a number that is positive in all pairs
    the second is that of `log y`, since a level near zero may have a relative error as well.

    Args:
        parameters: how many, `d`.
        observed: how many numbers an observation has, `k`.
        unconstrained: `f`; `None` for parameters that are taken as they are.

    >>> coordinates = Coordinates(2, 3, None)
    >>> coordinates.features(torch.zeros(4, 3)).shape
    torch.Size([4, 6])
    """

    median: Tensor
    spread: Tensor
    positive: Tensor
    least: Tensor
    weights: Tensor
    bias: Tensor
    root: Tensor

    def __init__(self, parameters: int, observed: int, unconstrained: Bijection | None) -> None:
        super().__init__()
        self.unconstrained = unconstrained
        # Of the numbers, and of what `asinh` is taken of.
        self.register_buffer("median", torch.zeros(2, observed))
        self.register_buffer("spread", torch.ones(2, observed))
        self.register_buffer("positive", torch.zeros(observed, dtype=torch.bool))
        self.register_buffer("least", torch.ones(observed))
        self.register_buffer("weights", torch.zeros(2 * observed, parameters))
        self.register_buffer("bias", torch.zeros(parameters))
        self.register_buffer("root", torch.eye(parameters))

    @torch.no_grad()
    def fit(self, theta: Tensor, y: Tensor) -> None:
        """Fit to pairs, `(n, d)` and `(n, k)`.

        Raises `InputError` for parameters that never vary, or lie outside of the support of the
        prior.
        """
        self.positive.copy_((y > 0).all(0))
        self.least.copy_(torch.where(self.positive, y.amin(0), 1.0))
        few = y[:_ENOUGH]
        few = torch.stack([few, self._spread_out(few)]).double()
        levels = torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64, device=y.device)
        low, median, high = few.quantile(levels, 1)
        spread = (high - low) / 2
        spread = torch.where(spread > 0, spread, few.std(1))
        self.median.copy_(median)
        self.spread.copy_(torch.where(spread > 0, spread, 1.0))
        u = theta if self.unconstrained is None else self.unconstrained.inverse(theta)[0]
        u = u.double()
        if bool((u.std(0) == 0).any()):
            raise InputError("a parameter is the same in all pairs: leave it out")
        features = self.features(y).double()
        weights = _regression(features, u)
        residual = u - features @ weights
        bias = residual.mean(0)
        residual = residual - bias
        covariance = residual.mT @ residual / len(u)
        # Parameters that observations determine exactly would leave no residual at all.
        floor = 1e-6 * u.var(0).diag()
        self.weights.copy_(weights)
        self.bias.copy_(bias)
        self.root.copy_(torch.linalg.cholesky(covariance + floor))

    def features(self, y: Tensor) -> Tensor:
        """What a network is told of observations `(m, k)`, `(m, 2 k)`."""
        plain = (y - self.median[0]) / self.spread[0]
        other = (self._spread_out(y) - self.median[1]) / self.spread[1]
        return torch.cat([plain.clamp(-5, 5), other.asinh()], 1)

    def _spread_out(self, y: Tensor) -> Tensor:
        """Logarithms of positive numbers, and of none less than in training; others as they are."""
        return torch.where(self.positive, y.clamp_min(self.least).log(), y)

    def shift(self, y: Tensor) -> Tensor:
        """`m(y)`, `(m, d)`."""
        return self.features(y) @ self.weights + self.bias

    def inward(self, theta: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """`z` and `log |det dz/dtheta|` of parameters `(m, d)` with an observation each."""
        u, log_det = theta, theta.new_zeros(len(theta))
        if self.unconstrained is not None:
            u, log_det = self.unconstrained.inverse(theta)
        gap = (u - self.shift(y)).to(self.root)
        z = torch.linalg.solve_triangular(self.root, gap.mT, upper=False).mT
        return z, log_det - self.root.diagonal().log().sum()

    def outward(self, z: Tensor, y: Tensor) -> Tensor:
        """The parameters of `z` `(m, d)` with an observation each."""
        u = z.to(self.root) @ self.root.mT + self.shift(y)
        return u if self.unconstrained is None else self.unconstrained(u)


def _regression(features: Tensor, u: Tensor) -> Tensor:
    """The weights of a ridge regression; zeros for more features than rows could tell."""
    if len(u) < 2 * features.shape[1]:
        return features.new_zeros(features.shape[1], u.shape[1])
    centered = features - features.mean(0)
    gram = centered.mT @ centered
    ridge = _RIDGE * len(u) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram + ridge, centered.mT @ (u - u.mean(0)))
