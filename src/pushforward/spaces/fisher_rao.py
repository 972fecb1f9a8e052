"""Compositions on the sphere: their roots are unit vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import state
from pushforward._shapes import per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.spaces.charts import Chart, ChartUnits
from pushforward.spaces.compositions import Compositions
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.sphere import Sphere
from pushforward.spaces.units import NoUnits, Units

__all__ = ["FisherRao", "SquareRoots"]

_SPHERE = Sphere()
_EDGE = 0.1
"""How near to an edge, in radians, fields begin to turn along it."""
_NO_HEAT = (
    "Brownian motion of roots is reflected at the edges, and its heat kernel is not known here: "
    "take processes.WrightFisher(0.5), which is the same motion, or processes.Geodesic"
)


@configurable
@dataclass(frozen=True)
class SquareRoots(Chart):
    r"""`u = sqrt(x)`, a unit vector with no negative entry.

    Per unit of area of the sphere: `|d area / dx| = 2^{1-K} prod x_k^{-1/2}`.

    >>> SquareRoots()(torch.tensor([[0.6, 0.8]]))
    tensor([[0.3600, 0.6400]])
    """

    def __call__(self, z: Tensor) -> Tensor:
        """Squares, over their sum."""
        squares = z.square()
        return squares / squares.sum(-1, keepdim=True)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Roots; the volume is infinite where a share is zero."""
        size = math.prod(x.shape[1:-1]) * (x.shape[-1] - 1)
        return x.clamp_min(0).sqrt(), -0.5 * per_event_sum(x.log()) - size * math.log(2)


@configurable
@dataclass(frozen=True)
class FisherRao(Compositions, Manifold):
    r"""Shares, whose states are their square roots: the part of the unit sphere with no negative
    entries.

    Lengths there are half of those of the Fisher-Rao metric, `sum dx_k^2 / x_k`, the one metric of
    probabilities that statistics is blind to the choice of (Čencov). `Geodesic(FisherRao())` is
    flow matching along its geodesics (Cheng et al. 2024; Davis et al. 2024), with the velocity
    `log(x_t, x_1) - log(x_t, x_0)`, which needs no division by the time that is left. Zeros are
    points like others, and no geodesic leaves the space. The uniform distribution is
    `Dirichlet(1/2, ..., 1/2)`.

    Args:
        parts: how many shares there are, where a table has columns for other things too.

    >>> space, corners = FisherRao(), torch.eye(3)
    >>> round(float(space.distance(corners[:1], corners[1:2])), 4)  # a quarter of a turn
    1.5708
    """

    parts: int | None = None

    no_heat = _NO_HEAT
    singular = (
        "densities per unit of shares are infinite where a share is zero: replace zeros, as "
        "spaces.replace_zeros does, or leave these rows out"
    )

    def units(self, event_shape: state.EventShape) -> Units:
        """Square roots."""
        return ChartUnits(SquareRoots(), NoUnits())

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest unit vector without negative entries."""
        # A vector without positive entries is nearest to the corner of its largest one.
        corner = functional.one_hot(x.argmax(-1), x.shape[-1]).to(x)
        kept = torch.where((x > 0).any(-1, keepdim=True), x.clamp_min(0), corner)
        return kept / torch.linalg.vector_norm(kept, dim=-1, keepdim=True)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The part of `v` tangent to the sphere."""
        return _SPHERE.project(x, v)

    def tangent(self, x: Tensor, numbers: Tensor) -> Tensor:
        r"""The part tangent to the sphere of `w_k u_k / (u_k + 0.1)`, for numbers `w`.

        Across an edge, where a share is zero, such a field does not flow, nor does that of
        geodesics between points inside. A flow that did would carry points onto the edge, so that
        different points became one, and what it has for a density would have more mass than one.
        """
        inside = x.clamp_min(0)
        return self.project(x, numbers * inside / (inside + _EDGE))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Along the great circle, or where that leaves the space, at its edge."""
        return self.nearest(_SPHERE.exp(x, v))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The velocity of the great circle, of at most a quarter of a turn."""
        return _SPHERE.log(x, y)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The angle, half the Fisher-Rao distance; `(B,)`."""
        return _SPHERE.distance(x, y)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Along the great circle."""
        return _SPHERE.transport(x, y, v)

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """One less than the shares."""
        return point_shape[-1] - 1

    def point_frame(self, x: Tensor) -> Tensor:
        """That of the sphere."""
        return _SPHERE.point_frame(x)

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """That of the sphere."""
        return _SPHERE.exp_log_det(x, v)

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """Equal shares."""
        return torch.full(shape, shape[-1] ** -0.5)

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Uniform unit vectors, each entry without its sign."""
        return _SPHERE.uniform(n, shape, generator).abs()

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """The logarithm of the part `2^{-K}` of the area of the sphere."""
        return _SPHERE.log_volume(shape) - math.prod(shape) * math.log(2)

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Raises `CapabilityError`."""
        raise CapabilityError(_NO_HEAT)

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """Raises `CapabilityError`."""
        raise CapabilityError(_NO_HEAT)

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """Raises `CapabilityError`."""
        raise CapabilityError(_NO_HEAT)

    def embed(self, x: Tensor) -> Tensor:
        """The roots, of the order of one."""
        return x.shape[-1] ** 0.5 * x
