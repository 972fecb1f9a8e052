"""Charts: spaces whose data are compositions and whose states are other coordinates of them.

A process, its samplers and its densities see the coordinates alone; the units of the space take
data there and back, with the change of volume.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal_like
from pushforward._shapes import per_event_mean, per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.spaces.compositions import Compositions
from pushforward.spaces.simplex import contrasts
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.units import Standardize, Units

__all__ = ["AdditiveLogRatio", "Chart", "ChartUnits", "IsometricLogRatio", "LogRatios"]


class Chart(ABC):
    """A bijection from coordinates to compositions, a `transforms.Bijection`."""

    @abstractmethod
    def __call__(self, z: Tensor) -> Tensor:
        """The compositions `(B, *several, K)` of coordinates."""

    @abstractmethod
    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The coordinates of compositions, and `log |det dz/dx|` with `dx = dx_1 ... dx_{K-1}`,
        `(B,)`."""


@configurable
@dataclass(frozen=True)
class IsometricLogRatio(Chart):
    r"""`z = H' log x` with orthonormal contrasts `H`, and `x = softmax(H z)` (Egozcue et al. 2003).

    Distances of coordinates are those of Aitchison. `|det dz/dx| = 1 / (sqrt(K) prod x_k)`.

    >>> z, _ = IsometricLogRatio().inverse(torch.tensor([[0.5, 0.25, 0.25]]))
    >>> IsometricLogRatio()(z)
    tensor([[0.5000, 0.2500, 0.2500]])
    """

    def __call__(self, z: Tensor) -> Tensor:
        """`softmax(H z)`."""
        return torch.softmax(z @ contrasts(z.shape[-1] + 1).to(z).mT, -1)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Contrasts of the logarithms."""
        logs = x.log()
        volume = -per_event_sum(logs) - 0.5 * math.log(x.shape[-1]) * math.prod(x.shape[1:-1])
        return logs @ contrasts(x.shape[-1]).to(x), volume


@configurable
@dataclass(frozen=True)
class AdditiveLogRatio(Chart):
    r"""`z_k = log(x_k / x_K)`, and `x = softmax(z, 0)` (Aitchison 1982). The last part is special.

    `|det dz/dx| = 1 / prod x_k`.

    >>> AdditiveLogRatio()(torch.zeros(1, 2))
    tensor([[0.3333, 0.3333, 0.3333]])
    """

    def __call__(self, z: Tensor) -> Tensor:
        """The softmax with a last logit of zero."""
        return torch.softmax(torch.cat([z, torch.zeros_like(z[..., :1])], -1), -1)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms less that of the last part."""
        logs = x.log()
        return logs[..., :-1] - logs[..., -1:], -per_event_sum(logs)


class ChartUnits(Units):
    """A chart, and within its coordinates other units."""

    def __init__(self, chart: Chart, inner: Units) -> None:
        super().__init__()
        self.chart, self.inner = chart, inner

    def forward(self, z: Tensor) -> Tensor:
        """From states to compositions."""
        found: Tensor = self.chart(self.inner(z))
        return found

    def standardized(self, x: Tensor) -> Tensor:
        """From compositions to states."""
        return self.inner.standardized(self.chart.inverse(x)[0])

    def log_det_inverse(self) -> Tensor:
        """Raises `CapabilityError`: it differs between states, see `log_volume`."""
        raise CapabilityError("the volume of a chart of compositions changes from state to state")

    def log_volume(self, z: Tensor) -> Tensor:
        """That of the chart at the composition, and that of the inner units."""
        return self.chart.inverse(self(z))[1] + self.inner.log_volume(z)

    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Fit the inner units to the coordinates of data."""
        placed = [None if a is None else self.chart.inverse(a.double())[0] for a in (x, source)]
        self.inner.fit(*placed, common=common)

    @property
    def length(self) -> Any:
        """That of the inner units."""
        return self.inner.length


@configurable
@dataclass(frozen=True)
class LogRatios(Compositions, LinearSpace):
    r"""Positive shares, whose states are their log-ratios: vectors of `K - 1` numbers with white
    noise.

    `Gaussian(space=LogRatios())` is a diffusion in them, as any on R^d, and every sampler of
    Gaussian noise serves it. Shares of zero have no logarithms: `spaces.replace_zeros`.

    Args:
        chart: `IsometricLogRatio`, by default, or `AdditiveLogRatio`.
        parts: how many shares there are, where a table has columns for other things too.

    >>> LogRatios().state_shape((3,))
    (2,)
    """

    chart: Chart = field(default_factory=IsometricLogRatio)
    parts: int | None = None

    positive = True

    def state_shape(self, event_shape: state.EventShape) -> state.EventShape:
        """One number less."""
        return (*event_shape[:-1], event_shape[-1] - 1)

    def units(self, event_shape: state.EventShape) -> Units:
        """The chart, with log-ratios standardized."""
        return ChartUnits(self.chart, Standardize(self.state_shape(event_shape)))

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal log-ratios."""
        return normal_like(x, generator)

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the log-ratios, `(B,)`."""
        return per_event_mean(v.square())

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density, `(B,)`."""
        return -0.5 * per_event_sum(x.square() + math.log(2 * math.pi))

    def embed(self, x: Tensor) -> Tensor:
        """The log-ratios."""
        return x
