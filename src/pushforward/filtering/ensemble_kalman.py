"""The ensemble Kalman filter: a linear regression of states on simulated observations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.filtering.state_space import Move

__all__ = ["EnsembleKalman"]


@configurable
@dataclass(frozen=True)
class EnsembleKalman:
    r"""The stochastic ensemble Kalman filter (Evensen 1994; Burgers et al. 1998).

    Each member of the forecast, `x_i` with a simulated observation `y_i`, moves by

        x_i + K (y - y_i),    K = Cov(x, y) Cov(y)^{-1},

    with the covariances of the ensemble. Exact for many members if `(x, y)` is normal; otherwise
    mean and covariance are those of the best linear estimate, however many members there are.

    Args:
        inflation: the factor of the spread of the forecast about its mean, above 1 for ensembles
            that are too small to keep their spread.

    Raises `InputError` for an inflation that is not positive, and for no more members than an
    observation has entries.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(20_000, 1, generator=g)
    >>> def observe(x, g):
    ...     return x + torch.randn(x.shape, generator=g)
    >>> found = EnsembleKalman()(x, observe, torch.tensor([1.0]), g)
    >>> round(found.mean().item(), 1), round(found.var().item(), 1)  # 1 / 2 and 1 / 2
    (0.5, 0.5)
    """

    inflation: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("inflation", self.inflation)

    def __call__(self, x: Tensor, observe: Move, y: Tensor, generator: torch.Generator) -> Tensor:
        """The analysis, `(M, d)`."""
        if self.inflation != 1:
            x = x.mean(0) + self.inflation * (x - x.mean(0))
        simulated = observe(x, generator)
        if len(x) <= simulated.shape[1]:
            raise InputError(
                f"{len(x)} members cannot tell the covariance of observations of "
                f"{simulated.shape[1]} entries: take more members"
            )
        off, spread = x - x.mean(0), simulated - simulated.mean(0)
        # The regression of states on observations; those without noise may be redundant.
        gain = torch.linalg.pinv(spread) @ off
        return x + (y - simulated) @ gain
