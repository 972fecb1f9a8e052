"""The coordinates of the points that are there, as a linear space for each set of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.errors import InputError
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.views import View

__all__ = ["FilledSlots"]


@dataclass(frozen=True)
class FilledSlots(LinearSpace):
    r"""Arrays `(B, slots, d)` that are zero in empty slots, another subspace for each set.

    A set of `n` points has `d n` dimensions, or `d n - center` if its first `center` coordinates
    are positions about the center of the set, which noise leaves where it is: `center (n - 1)` of
    them. Densities are per unit of the volume that the subspace has in `R^{d n}`.

    Args:
        mask: which slots are filled, `(B, slots)`.
        center: how many coordinates have zero mean over the points of a set.

    >>> space = FilledSlots(torch.tensor([[True, True, False]]), center=2)
    >>> space.freedom(2)
    tensor([2])
    >>> noise = space.randn(torch.zeros(1, 3, 2), torch.Generator().manual_seed(0))
    >>> bool(noise.sum(1).abs().max() < 1e-6), noise[0, 2].tolist()
    (True, [0.0, 0.0])
    """

    mask: Tensor
    center: int = 0

    subspace = True

    def check(self, x: Tensor) -> None:
        """Arrays `(B, slots, d)` for the sets of the mask."""
        if tuple(x.shape[:2]) != tuple(self.mask.shape):
            raise InputError(f"coordinates {tuple(x.shape)} do not fit {tuple(self.mask.shape)}")

    def freedom(self, dim: int) -> Tensor:
        """The number of dimensions that each set has in `dim` coordinates, `(B,)`."""
        number = self.mask.sum(-1)
        return number * dim - self.center * (number > 0)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """Zeros in empty slots, and the mean taken off positions."""
        mask = self.mask.unsqueeze(-1)
        v = torch.where(mask, v, torch.zeros_like(v))
        if not self.center:
            return v
        positions, rest = v[..., : self.center], v[..., self.center :]
        mean = positions.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(1)
        return torch.cat([torch.where(mask, positions - mean, 0.0), rest], -1)

    def nearest(self, x: Tensor) -> Tensor:
        """The projection."""
        return self.project(x, x)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise in the subspace."""
        return self.project(x, normal_like(x, generator))

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the dimensions of each set, `(B,)`; zero where there are none."""
        return per_event_sum(v.square()) / self.freedom(v.shape[-1]).clamp_min(1)

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density on the subspace, `(B,)`."""
        freedom = self.freedom(x.shape[-1])
        return -0.5 * (per_event_sum(x.square()) + freedom * math.log(2 * math.pi))

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """Raises `InputError`: it differs from set to set, see `freedom`."""
        raise InputError("sets of different sizes have no dimension in common: ask for freedom(d)")

    def features(self, x: Tensor) -> Tensor:
        """The coordinates."""
        return flatten(x)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Nothing: sets are seen as `PointCloud` shows them."""
        return ()

    def from_arrays(self, arrays: Any) -> Tensor:
        """Raises `InputError`: sets are read as `PointCloud` reads them."""
        raise InputError("point sets are read by spaces.PointCloud, with their mask")
