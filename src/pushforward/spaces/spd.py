"""Symmetric positive definite matrices: covariances, diffusion tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces._symmetric import exponential, inverse_root, logarithm, root
from pushforward.spaces.coordinates import CoordinateSystem, UpperTriangle
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.views import Scatter, View

__all__ = ["SPD"]


@configurable
@dataclass(frozen=True)
class SPD(Manifold):
    r"""Symmetric positive definite matrices `(..., n, n)` with the affine-invariant metric.

    `<U, V>_P = tr(P^{-1} U P^{-1} V)` (Pennec et al. 2006): distances do not change when all
    matrices become `A P A^T`. Densities are per unit of its volume,
    `2^{n (n - 1) / 4} det(P)^{-(n + 1) / 2} prod_{i <= j} dP_ij`. Curved negatively and not
    bounded. The heat kernel is Varadhan's approximation, right for variances far below one, and
    Brownian motion a random walk: `Geodesic` needs neither.

    Args:
        size: `n`; by default that of the first states seen.

    >>> space, one = SPD(), torch.eye(2).unsqueeze(0)
    >>> round(space.distance(one, 4 * one).item(), 4)  # sqrt(2) log 4
    1.9605
    """

    size: int | None = None

    point_axes = 2
    compact = False

    def check(self, x: Tensor) -> None:
        """Symmetric matrices, to 0.001 of their largest entry, with positive eigenvalues."""
        check_numbers(x, "a positive definite matrix")
        if x.ndim < 3 or x.shape[-1] != x.shape[-2] or self.size not in (None, x.shape[-1]):
            wanted = "square matrices" if self.size is None else f"{self.size} x {self.size}"
            raise InputError(
                f"states are {wanted} (N, n, n), not {tuple(x.shape)}; columns of a table with the "
                "entries on and above the diagonal are coordinates='upper-triangle'"
            )
        points = x.detach().reshape(-1, *x.shape[-2:])
        skew = (points - points.mT).abs().amax((-1, -2)) > 1e-3 * points.abs().amax((-1, -2))
        if bool(skew.any()):
            raise InputError(
                f"matrix {int(skew.nonzero()[0])} is not symmetric: take (P + P^T) / 2 if it should"
            )
        least = torch.linalg.eigvalsh(points.double())[..., 0]
        if bool((least <= 0).any()):
            row = int((least <= 0).nonzero()[0])
            raise InputError(
                f"matrix {row} has the eigenvalue {float(least[row]):.3g}, which is not positive: "
                "add a small multiple of the identity"
            )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Matrices; rows of `n^2` numbers are matrices row by row."""
        if isinstance(arrays, Tensor) and arrays.ndim == 2:
            n = math.isqrt(arrays.shape[1])
            if n * n == arrays.shape[1]:
                arrays = arrays.reshape(-1, n, n)
        x = super().from_arrays(arrays)
        return 0.5 * (x + x.mT)

    def nearest(self, x: Tensor) -> Tensor:
        """The symmetric part."""
        return 0.5 * (x + x.mT)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The symmetric part."""
        return 0.5 * (v + v.mT)

    def tangent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """The symmetric part between two roots of `P`."""
        half = root(x)
        return half @ self.project(x, numbers) @ half

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`P^{1/2} exp(P^{-1/2} V P^{-1/2}) P^{1/2}`."""
        half, back = root(x), inverse_root(x)
        return self.nearest(half @ exponential(back @ v @ back) @ half)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`P^{1/2} log(P^{-1/2} Q P^{-1/2}) P^{1/2}`."""
        half, back = root(x), inverse_root(x)
        return self.nearest(half @ logarithm(back @ y @ back) @ half)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The norm of `log(P^{-1/2} Q P^{-1/2})`, `(B,)`."""
        back = inverse_root(x)
        return torch.linalg.vector_norm(flatten(logarithm(back @ y @ back)), dim=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`E V E^T` with `E = (Q P^{-1})^{1/2}`."""
        half, back = root(x), inverse_root(x)
        way = half @ root(back @ y @ back) @ back
        return self.nearest(way @ v @ way.mT)

    def covector(self, x: Tensor, v: Tensor) -> Tensor:
        """`P^{-1} V P^{-1}`."""
        inverse = torch.linalg.inv(x)
        return inverse @ v @ inverse

    def volume_slope(self, x: Tensor, v: Tensor) -> Tensor:
        """`-(n + 1) / 2 tr(P^{-1} V)`: how the density of the volume changes along `v`."""
        traces = torch.linalg.solve(x, v).diagonal(dim1=-2, dim2=-1)
        return -0.5 * (x.shape[-1] + 1) * per_event_sum(traces)

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """`n (n + 1) / 2`."""
        n = point_shape[-1]
        return n * (n + 1) // 2

    def point_frame(self, x: Tensor) -> Tensor:
        """The orthonormal symmetric matrices, with the root of `P` on either side."""
        n = x.shape[-1]
        axes = x.new_zeros(n * (n + 1) // 2, n, n)
        for k, (i, j) in enumerate(zip(*torch.triu_indices(n, n).tolist(), strict=True)):
            axes[k, i, j] = axes[k, j, i] = 1.0 if i == j else 2**-0.5
        half = root(x).unsqueeze(1)
        return half @ axes @ half

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """`sum_{i < j} log(sinh(g / 2) / (g / 2))` of the gaps `g` of `P^{-1/2} V P^{-1/2}`."""
        back = inverse_root(x)
        w = torch.linalg.eigvalsh(self.nearest(back @ v @ back))
        i, j = torch.triu_indices(w.shape[-1], w.shape[-1], 1)
        half = 0.5 * (w[..., j] - w[..., i])
        near = half < 1e-2
        safe = torch.where(near, 1.0, half)
        # The logarithm of the hyperbolic sine without overflow.
        far = safe + torch.log1p(-torch.exp(-2 * safe)) - math.log(2) - safe.log()
        small = half.square() / 6 - half**4 / 180
        return torch.where(near, small, far).sum(-1)

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """The identity."""
        return torch.eye(shape[-1]).expand(shape).clone()

    def features(self, x: Tensor) -> Tensor:
        """The entries of the matrix logarithm, those off the diagonal times the root of two."""
        log = logarithm(x)
        n = x.shape[-1]
        i, j = torch.triu_indices(n, n)
        weight = torch.where(i == j, 1.0, 2**0.5).to(x)
        return flatten(log[..., i, j] * weight)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """The eigenvalues' logarithms: the least and the largest."""
        w = torch.linalg.eigvalsh(x.reshape(-1, *x.shape[-2:])).log()
        return (Scatter(w[:, [0, -1]], ("log least eigenvalue", "log largest eigenvalue")),)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """The entries on and above the diagonal."""
        many = None if self.size is None else self.size * (self.size + 1) // 2
        return (UpperTriangle(many),)

    @property
    def width(self) -> int | None:
        """`n^2`."""
        return None if self.size is None else self.size**2

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Matrices of a size."""
        return f"positive definite matrices of {event_shape[-1]} x {event_shape[-1]}"
