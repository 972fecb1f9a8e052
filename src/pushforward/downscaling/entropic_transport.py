"""Optimal transport between samples of coarse fields, with entropy."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from pushforward._precision import in_double
from pushforward.checks import positive
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted
from pushforward.ot import EntropicMap, PointClouds, sinkhorn

__all__ = ["EntropicTransport"]


class EntropicTransport(Debiasing):
    """The entropic map between samples of two distributions (Wan et al. 2023).

    The mean of the target fields that a plan by Sinkhorn's iteration couples a field with,
    `ot.EntropicMap`; each variable in its own standard deviations. It supposes nothing of the
    distributions. From a few hundred fields of many cells it averages over targets that are far
    apart, and small waves lose power: `SpectralTransport` supposes more and loses none.

    Args:
        epsilon: the strength of the entropy, over the mean squared distance.

    >>> import torch
    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = (torch.randn(300, 1, 1, 2, generator=g) + shift for shift in (0.0, 4.0))
    >>> found = EntropicTransport().fit(x, y)(torch.zeros(1, 1, 1, 2))
    >>> bool(((found - 4).abs() < 0.3).all())
    True
    """

    plan: EntropicMap | None = None
    """The map, in standard deviations."""
    scale: Tensor | None = None
    """The deviations of the target's variables, `(C, 1, 1)`."""

    def __init__(self, epsilon: float = 0.02) -> None:
        self.epsilon = positive("epsilon", epsilon)

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """A plan between the two samples."""
        check_sides(source, target)
        a, b = in_double(source), in_double(target)
        centered = b - b.mean((0, 2, 3), keepdim=True)
        scale = centered.square().mean((0, 2, 3), keepdim=True).sqrt()[0]
        scale = scale.where(scale > 0, scale.new_ones(()))
        a, b = ((side / scale).flatten(1) for side in (a, b))
        size = float((a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum())
        found = sinkhorn(PointClouds(a, b), epsilon=self.epsilon * max(size, 1e-12))
        self.plan, self.scale = EntropicMap(found, b), scale
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The mean of what a field is coupled with; nothing is random."""
        scale = fitted(self.scale).to(x.device)
        flat = (in_double(x) / scale).flatten(1)
        return (fitted(self.plan)(flat).reshape(x.shape) * scale).to(x.dtype)

    def __repr__(self) -> str:
        return f"EntropicTransport(epsilon={self.epsilon:g})"
