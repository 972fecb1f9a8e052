"""Gaussian noise on the points of sets: motion of those that are there, and their readings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import combine
from pushforward.dynamics import Flow
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.reading import AffineReading
from pushforward.protocols import Time
from pushforward.spaces import FilledSlots, PointCloud

__all__ = ["NetworkSizes", "OnPoints", "carried", "noise_on", "output_weight", "read_present"]


class NetworkSizes(NamedTuple):
    """What a network of sets takes and puts out: see `nn.default_set_network`."""

    coordinates: int
    positions: int
    vectors: int
    outputs: int
    pooled: int
    kinds: tuple[int, ...]

    def output_shape(self, slots: int) -> Any:
        """Numbers of the set, vectors of each point, numbers of each point, where asked for."""
        length = self.positions or self.coordinates
        pooled = ((self.pooled,),) if self.pooled else ()
        outputs = ((slots, self.outputs),) if self.outputs else ()
        return (*pooled, (slots, self.vectors * length), *outputs)


class OnPoints(NamedTuple):
    """A flow that moves the points that are there, in their subspace."""

    flow: Flow
    filled: FilledSlots

    def advance(
        self, x: Any, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Any:
        """One step of the flow."""
        return x._replace(x=self.filled.nearest(self.flow.advance(x.x, h, churn, generator)))


def noise_on(diffusion: Gaussian, filled: FilledSlots) -> Gaussian:
    """The same noise in the subspace of the points that are there."""
    return replace(diffusion, space=filled)


def read_present(
    present: AffineReading, space: PointCloud, row: Any, vectors: Tensor, numbers: Tensor, x_t: Any
) -> Tensor:
    """`E[x_0 | x_t]` of the points that are there from vectors of positions, and numbers for the
    other coordinates, `(B, slots, d)`."""
    output = torch.cat([vectors, numbers], -1) if numbers.shape[-1] else vectors
    filled = space.filled(x_t)
    return filled.nearest(present.read(row, output, x_t.x))


def output_weight(diffusion: Gaussian, t: Time) -> Any:
    r"""`(alpha^2 + sigma^2) / sigma^2`: squared errors of `x_0` as those of a network's own output.

    For VP noise that of `v`, for VE noise that of Karras et al. (2022).
    """
    alpha, sigma = diffusion.schedule.values(t)
    return 1 + (alpha / sigma) ** 2


def carried(
    diffusion: Gaussian,
    filled: FilledSlots,
    mean: Tensor,
    x: Tensor,
    t: Tensor,
    s: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A draw of `Gaussian.pinned` for each set between times of its own, `(B,)`."""
    (alpha, sigma), (alpha_s, sigma_s) = diffusion.schedule.values(t), diffusion.schedule.values(s)
    decay = alpha * sigma_s / (alpha_s * sigma)
    variance = sigma_s**2 * torch.as_tensor(1 - decay**2).clamp_min(0.0)
    keep = torch.as_tensor(sigma_s**2 - variance).clamp_min(0.0).sqrt() / sigma
    weights = (keep, alpha_s - keep * alpha, variance.sqrt())
    moved: Tensor = combine(weights, (x, mean, filled.randn(x, generator)))
    return moved
