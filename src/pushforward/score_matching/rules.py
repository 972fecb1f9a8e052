"""The losses as objects with their settings: what a model is trained by, by name or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.score_matching import losses
from pushforward.score_matching.checks import ScoreFunction
from pushforward.score_matching.levels import geometric

__all__ = [
    "Antithetic",
    "Denoising",
    "DenoisingLevels",
    "Implicit",
    "Matching",
    "Sliced",
    "VarianceReduced",
]


class Matching(Protocol):
    """A way to learn a score from samples."""

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The noise levels that the network is told, largest first; empty if it is told none."""

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`."""


@configurable
@dataclass(frozen=True)
class Implicit:
    """`implicit`: exact, at one backward pass per dimension.

    A loss with derivatives rewards a network that is steep at the data: take one that is smooth,
    such as `nn.MLP` with `frequencies=0`.
    """

    @property
    def sigmas(self) -> tuple[float, ...]:
        """None are told."""
        return ()

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`; nothing is random."""
        return losses.implicit(score, x)


@configurable
@dataclass(frozen=True)
class Sliced:
    """`sliced`, with a number of projections per example.

    As for `Implicit`, the network should be smooth: `nn.MLP` with `frequencies=0`.
    """

    projections: int = 1

    def __post_init__(self) -> None:
        whole("projections", self.projections)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """None are told."""
        return ()

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`."""
        return losses.sliced(score, x, self.projections, generator=generator)


@configurable
@dataclass(frozen=True)
class VarianceReduced(Sliced):
    """`sliced_variance_reduced`, with a number of projections per example."""

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`."""
        return losses.sliced_variance_reduced(score, x, self.projections, generator=generator)


@configurable
@dataclass(frozen=True)
class Denoising:
    """`denoising` at one level, in the units of what it is given: the distribution learned is that
    of `x + sigma noise`."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """None are told: there is only one."""
        return ()

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`."""
        return losses.denoising(score, x, self.sigma, generator=generator)


@configurable
@dataclass(frozen=True)
class Antithetic(Denoising):
    """`antithetic` at one level, in the units of what it is given."""

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`."""
        return losses.antithetic(score, x, self.sigma, generator=generator)


@configurable
@dataclass(frozen=True)
class DenoisingLevels:
    """`denoising_levels` with geometric levels.

    The largest should cover the distances between data points, so that noise connects all of
    them; the smallest decides how sharp samples are.

    >>> DenoisingLevels(largest=4.0, smallest=1.0, count=3).sigmas
    (4.0, 2.0, 1.0)
    """

    largest: float = 5.0
    smallest: float = 0.02
    count: int = 12

    def __post_init__(self) -> None:
        geometric(self.largest, self.smallest, self.count)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The levels, largest first."""
        return geometric(self.largest, self.smallest, self.count)

    def __call__(
        self, score: ScoreFunction, x: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of data `(B, *event)`, `(B,)`, for a network `s(x, sigma)`."""
        return losses.denoising_levels(score, x, self.sigmas, generator=generator)
