"""Positions of several points about their center, as the linear space that they make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._precision import narrowed
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates import CenteredPositions, CoordinateSystem
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.units import ShiftAndScale, Units
from pushforward.spaces.views import Scatter, View

__all__ = ["Centered", "CommonScale"]

_CLOSE = 1e-3
"""How far a center may be from zero, over the spread of the points."""


@configurable
@dataclass(frozen=True)
class Centered(LinearSpace):
    r"""`N` points of `R^d` whose mean is zero, events `(N, d)`: the zero center-of-mass subspace.

    The distribution of a molecule that is nowhere in particular has a density on this subspace of
    `d (N - 1)` dimensions and none on `R^{N d}` (Köhler, Klein & Noé 2020; Hoogeboom, Satorras,
    Vignac & Welling 2022). Unit noise is standard normal in the subspace, white noise with its mean
    taken off; densities are per unit of the volume that it has in `R^{N d}`, and losses are means
    over its dimensions. Whatever a network puts out loses its mean.

    Args:
        dim: `d`, the length of a position.

    >>> space = Centered(2)
    >>> space.dimension((5, 2))
    8
    >>> space.nearest(torch.tensor([[[1.0, 0.0], [3.0, 0.0]]]))
    tensor([[[-1.,  0.],
             [ 1.,  0.]]])
    """

    dim: int = 3

    measure = "per unit of the volume of the positions about their center"

    pictures = False
    subspace = True

    def __post_init__(self) -> None:
        checks.whole("dim", self.dim)

    def check(self, x: Tensor) -> None:
        """Positions `(B, N, d)` of two or more points, centered to 0.001 of their spread."""
        check_numbers(x, "a position")
        if x.ndim != 3 or x.shape[-1] != self.dim:
            raise InputError(
                f"states are points (B, N, {self.dim}) of R^{self.dim}, not {tuple(x.shape)}"
            )
        if x.shape[1] < 2:
            raise InputError(
                "a single point is its own center, and there is nothing to learn of it"
            )
        points = x.detach().double()
        center = points.mean(1, keepdim=True)
        spread = (points - center).square().sum(-1).mean(1).sqrt()
        off = center.squeeze(1).norm(dim=-1)
        # The center of points that coincide has the rounding of these.
        bad = off > _CLOSE * spread + 1e-6 * points.abs().amax((1, 2))
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise InputError(
                f"the points of state {row} have their center at a distance of "
                f"{float(off[row]):.3g} from zero; {int(bad.sum()):,} of {len(x):,} states have: "
                "take it off, x - x.mean(1, keepdim=True)"
            )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Positions; rows of a table are points one after the other."""
        if isinstance(arrays, Tensor) and arrays.ndim == 2 and arrays.shape[1] % self.dim == 0:
            arrays = arrays.reshape(len(arrays), -1, self.dim)
        # To the last digit, what is left of the center of written numbers too.
        return self.nearest(super().from_arrays(arrays))

    def units(self, event_shape: state.EventShape) -> Units:
        """One scale for all: shifts would turn what is the same in all directions."""
        return CommonScale(event_shape)

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """`d (N - 1)`."""
        return (event_shape[0] - 1) * math.prod(event_shape[1:])

    def nearest(self, x: Tensor) -> Tensor:
        """The points with their mean taken off."""
        return x - x.mean(-2, keepdim=True)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The vector with its mean taken off."""
        return v - v.mean(-2, keepdim=True)

    def frame(self, x: Tensor) -> Tensor:
        """Helmert's contrasts: each point against the mean of those before it."""
        n, d = x.shape[-2:]
        contrasts = -torch.ones(n - 1, n, dtype=torch.float64).tril()
        k = torch.arange(1, n, dtype=torch.float64)
        contrasts[torch.arange(n - 1), torch.arange(1, n)] = k
        contrasts = contrasts / (k * (k + 1)).sqrt().unsqueeze(1)
        axes = torch.einsum("kn,ij->kinj", contrasts, torch.eye(d, dtype=torch.float64))
        axes = axes.reshape(1, (n - 1) * d, n, d).to(x)
        return axes.expand(len(x), *axes.shape[1:])

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise with its mean taken off."""
        return self.project(x, normal_like(x, generator))

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the dimensions of the space, `(B,)`."""
        return per_event_sum(v.square()) / self.dimension(tuple(v.shape[1:]))

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density on the subspace, `(B,)`."""
        size = self.dimension(tuple(x.shape[1:]))
        return -0.5 * (per_event_sum(x.square()) + size * math.log(2 * math.pi))

    def features(self, x: Tensor) -> Tensor:
        """The positions."""
        return flatten(x)

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """Positions share a unit."""
        return True

    def embed(self, x: Tensor) -> Tensor:
        """The positions."""
        return x

    def views(self, x: Tensor) -> tuple[View, ...]:
        """All positions along their principal axes."""
        names = tuple(f"point {n}, {k}" for n in range(x.shape[1]) for k in range(x.shape[2]))
        return (Scatter(flatten(x), names),)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Positions about any center, which is taken off on request."""
        return (CenteredPositions(self.dim),)

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """Points one after the other."""
        axes = "xyz" if self.dim <= 3 else [f"x{k}_" for k in range(self.dim)]
        names = tuple(f"{axes[k]}{n}" for n in range(x.shape[1]) for k in range(self.dim))
        return flatten(x), names

    def describe_states(self, event_shape: state.EventShape) -> str:
        """So many points."""
        return f"{event_shape[0]} points in R^{self.dim} about their center"


class CommonScale(ShiftAndScale):
    """`x = scale z` with one scale for all points, so that noise is as wide as these are spread."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        self.event_shape = tuple(event_shape)
        super().__init__(())

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Take the root of the mean square per dimension; of data and source alike, if there is
        one. Raises `InputError` for non-finite positions."""
        sides = [side.double() for side in ((x,) if source is None else (x, source))]
        if not all(bool(side.isfinite().all()) for side in sides):
            raise InputError("positions that are not finite cannot be standardized")
        size = (self.event_shape[0] - 1) * math.prod(self.event_shape[1:])
        squares = torch.stack([per_event_sum(side.square()).mean() / size for side in sides])
        scale = squares.mean().sqrt()
        scale = torch.where(scale > 0, scale, 1.0)
        self.keep(torch.zeros_like(scale), scale, double=narrowed(x).dtype == torch.float64)

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        return self.put_on(z)

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        return self.taken_off(x)

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithm of the scale, for each dimension of the subspace."""
        return -(self.event_shape[0] - 1) * math.prod(self.event_shape[1:]) * self.scale.log()

    @property
    def length(self) -> float:
        """The scale."""
        return float(self.scale)
