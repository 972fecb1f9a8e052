"""Noise-contrastive estimation: tell data from noise whose density is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pushforward._random import normal_like, part_of
from pushforward._shapes import flatten
from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.energy_training.training import EnergyFunction, Training

__all__ = ["NoiseContrastive"]

_NARROWEST = 1e-2
"""The least variance of the noise, of standardized data: a constant feature has none."""


@configurable
class NoiseContrastive(Training):
    r"""Logistic regression between data and Gaussian noise (Gutmann & Hyvärinen 2012).

    The log-odds are `G(x) = -E(x) - log Z - log q(x) - log ratio` with the density `q` of the
    noise, a Gaussian with the mean and the covariance of the data, and with `log Z` learned like
    any weight. The loss of a data point is `softplus(-G(x)) + sum_k softplus(G(n_k))`; at its
    minimum the model is normalized. It needs no chains, but noise that is unlike the data teaches
    little: it is a method for few dimensions.

    Args:
        ratio: noise points `n_k` per data point.

    Raises `InputError` for a ratio below one.

    >>> training = NoiseContrastive()
    >>> training.allocate((2,), None, 1.0)
    >>> round(training.log_z.item(), 4)  # of the base
    1.8379
    """

    rate = 3.0
    meaning = (
        "The loss is that of telling data from noise by the energy. How low it can come depends on "
        "how unlike the noise is to the data."
    )
    mean: Tensor
    factor: Tensor
    log_z: nn.Parameter

    def __init__(self, ratio: int = 1) -> None:
        super().__init__()
        self.ratio = whole("ratio", ratio)

    def allocate(self, event_shape: tuple[int, ...], classes: int | None, scale: float) -> None:
        """Mean `(d,)` and Cholesky factor `(d, d)` of the noise, and a `log Z` of each class."""
        d = math.prod(event_shape)
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("factor", torch.eye(d))
        start = d * math.log(scale * math.sqrt(2 * math.pi))
        self.log_z = nn.Parameter(torch.full((classes or 1,), start))

    @torch.no_grad()
    def prepare(self, x: Tensor, c: Tensor | None, generator: torch.Generator) -> None:
        """Fit the noise to data `(N, *event)`."""
        # Some accelerators have no double precision.
        rows = flatten(x).cpu().double()
        mean = rows.mean(0)
        gap = rows - mean
        variances, axes = torch.linalg.eigh(gap.mT @ gap / len(rows))
        covariance = (axes * variances.clamp(min=_NARROWEST)) @ axes.mT
        self.mean.copy_(mean)
        self.factor.copy_(torch.linalg.cholesky(covariance))

    def forward(
        self,
        energy: EnergyFunction,
        x: Tensor,
        c: Tensor | None,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The logistic loss of data and their share of noise, `(B,)`."""
        x, c, generator = part_of(x, c, generator, rows)
        n, flat = len(x), flatten(x)
        # The data point comes first, as its noise does.
        drawn = normal_like(flat.unsqueeze(1).expand(-1, self.ratio, -1), generator)
        drawn = drawn.transpose(0, 1).reshape(-1, flat.shape[1])
        noise = (self.mean + drawn @ self.factor.mT).reshape(-1, *x.shape[1:])
        repeated = None if c is None else c.repeat(self.ratio + 1)
        odds = self._log_odds(energy, torch.cat([x, noise]), repeated)
        return softplus(-odds[:n]) + softplus(odds[n:]).reshape(self.ratio, n).sum(0)

    def _log_odds(self, energy: EnergyFunction, x: Tensor, c: Tensor | None) -> Tensor:
        white = torch.linalg.solve_triangular(self.factor, (flatten(x) - self.mean).mT, upper=False)
        volume = self.factor.diagonal().log().sum() + len(self.mean) / 2 * math.log(2 * math.pi)
        log_q = -white.square().sum(0) / 2 - volume
        log_z = self.log_z if c is None else self.log_z[c]
        return -energy(x, c) - log_z - log_q - math.log(self.ratio)
