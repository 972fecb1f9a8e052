"""The coordinates that a posterior is learned in: without bounds, and less what is linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.sbi.simulating import Pairs
from pushforward.transforms import Bijection

__all__ = ["Coordinates", "Observed", "fit_coordinates"]

_RIDGE = 1e-3
_ENOUGH = 20_000
"""Rows that quantiles are taken of."""


@dataclass(frozen=True)
class Observed:
    """Observations as numbers that a network can take: both scaled, and compressed.

    With `u = (y - median) / spread`, the spread half of the distance of the quantiles at 0.16 and
    0.84, the features are `u` cut at +-5 and `asinh(u)`, which tells counts and heavy tails apart
    over many orders of magnitude. Each observation keeps features of its own.

    Args:
        median, spread: of each number, `(k,)`.
        shape: of one observation.
    """

    median: Tensor
    spread: Tensor
    shape: tuple[int, ...]

    def __call__(self, y: Tensor) -> Tensor:
        """The features `(m, 2 k)` of observations `(m, *shape)`."""
        u = (y.flatten(1).to(self.median) - self.median) / self.spread
        return torch.cat([u.clamp(-5, 5), u.asinh()], 1)

    def rows(self, y: Any) -> Tensor:
        """Observations `(m, *shape)` from them or from one `(*shape)`.

        Raises `InputError` for another shape, or values that are not finite.
        """
        found = torch.as_tensor(y, dtype=torch.float32)
        if tuple(found.shape) == self.shape:
            found = found[None]
        if tuple(found.shape[1:]) != self.shape:
            raise InputError(
                f"an observation has shape {self.shape}, several (m, *{self.shape}), not "
                f"{tuple(found.shape)}"
            )
        if not bool(found.isfinite().all()):
            raise InputError("the observation holds NaN or infinity, which no posterior is given")
        return found


@dataclass(frozen=True)
class Coordinates:
    r"""`z = R^{-1} (f^{-1}(theta) - m(y))`: what is learned in the place of `theta`.

    `f` leads from vectors without bounds to the support of the prior, `m` is a linear regression
    on the features of `y`, `R` the Cholesky factor of the covariance of its residuals. Where prior
    and noise are Gaussian and the simulator is linear, `z` is standard normal and independent of
    `y`, and nothing is left to learn.

    Args:
        observed: the features of observations.
        unconstrained: `f`; `None` for parameters that are taken as they are.
        weights, bias: of the regression, `(2 k, d)` and `(d,)`.
        root: `R`, `(d, d)`, lower triangular.
    """

    observed: Observed
    unconstrained: Bijection | None
    weights: Tensor
    bias: Tensor
    root: Tensor

    def shift(self, y: Tensor) -> Tensor:
        """`m(y)`, `(m, d)`."""
        return self.observed(y) @ self.weights + self.bias

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


def fit_coordinates(pairs: Pairs, unconstrained: Bijection | None) -> Coordinates:
    """Coordinates fitted to pairs.

    Raises `InputError` for parameters that never vary, or lie outside of the support of the prior.
    """
    y = pairs.y[:_ENOUGH].flatten(1).double()
    middle = y.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64), 0)
    spread = (middle[2] - middle[0]) / 2
    spread = torch.where(spread > 0, spread, y.std(0))
    observed = Observed(
        middle[1].float(), torch.where(spread > 0, spread, 1.0).float(), tuple(pairs.y.shape[1:])
    )
    u = pairs.theta if unconstrained is None else unconstrained.inverse(pairs.theta)[0]
    u = u.double()
    if bool((u.std(0) == 0).any()):
        raise InputError("a parameter is the same in all pairs: leave it out")
    features = observed(pairs.y).double()
    weights = _regression(features, u)
    bias = (u - features @ weights).mean(0)
    residual = u - features @ weights - bias
    covariance = residual.mT @ residual / len(u)
    # Parameters that observations determine exactly would leave no residual at all.
    floor = 1e-6 * u.var(0).diag()
    root = torch.linalg.cholesky(covariance + floor)
    return Coordinates(observed, unconstrained, weights.float(), bias.float(), root.float())


def _regression(features: Tensor, u: Tensor) -> Tensor:
    """The weights of a ridge regression; zeros for more features than rows could tell."""
    if len(u) < 2 * features.shape[1]:
        return features.new_zeros(features.shape[1], u.shape[1])
    centered = features - features.mean(0)
    gram = centered.mT @ centered
    ridge = _RIDGE * len(u) * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram + ridge, centered.mT @ (u - u.mean(0)))
