"""Rotations of space, as matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import fork, normal
from pushforward._shapes import flatten
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces import _rotation_heat, rotations
from pushforward.spaces.coordinates import (
    CoordinateSystem,
    EulerAngles,
    Quaternion,
    RotationMatrix,
    RotationVector,
)
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.rotations import hat, vee
from pushforward.spaces.views import Globe, View

__all__ = ["SO3"]

_OFF = 1e-3


@configurable
@dataclass(frozen=True)
class SO3(Manifold):
    r"""Rotation matrices `(..., 3, 3)`, acting on column vectors.

    The metric is that of rotation angles, `<R A, R B> = tr(A^T B) / 2` for skew-symmetric `A`, `B`:
    the geodesic distance of two rotations is the angle between them, and the volume is
    `8 pi^2`. It is the same in the body frame, where the tangent vector `R hat(w)` has the
    coordinates `w`, and in the space frame (`hat(R w) R`). In the Frobenius metric, `sqrt(2)` times
    as long, variances are twice and densities `2^{-3/2}` times as large.

    The heat kernel is IGSO(3), exact at any variance. Other formats: `spaces.rotations`.

    >>> from pushforward.spaces import rotations
    >>> turn = rotations.from_rotation_vector(torch.tensor([[0.0, 0.0, 1.5]]))
    >>> SO3().distance(torch.eye(3).unsqueeze(0), turn)
    tensor([1.5000])
    """

    point_axes = 2

    measure = "per unit of the volume of the rotations, 8 pi^2 in all"
    period = 2 * math.pi
    fine = True

    def check(self, x: Tensor) -> None:
        """Matrices with `R^T R = 1` to 0.001, and a determinant of 1."""
        check_numbers(x, "a rotation")
        if tuple(x.shape[-2:]) != (3, 3) or x.ndim < 3:
            raise InputError(
                f"rotations are matrices (N, 3, 3), not {tuple(x.shape)}: spaces.rotations makes "
                "them of quaternions, rotation vectors and Euler angles"
            )
        points = x.detach().reshape(-1, 3, 3)
        off = (points.mT @ points - torch.eye(3).to(x)).abs().amax((-1, -2))
        if bool((off > _OFF).any()):
            row = int((off > _OFF).nonzero()[0])
            raise InputError(
                f"rotation {row} is {float(off[row]):.3g} away from R^T R = 1: "
                "spaces.rotations.nearest projects it"
            )
        if bool((torch.linalg.det(points) < 0).any()):
            row = int((torch.linalg.det(points) < 0).nonzero()[0])
            raise InputError(f"rotation {row} has determinant -1: it is a reflection")

    def from_arrays(self, arrays: Any) -> Tensor:
        """Rotations; rows of nine numbers are matrices row by row."""
        if isinstance(arrays, Tensor) and arrays.ndim == 2 and arrays.shape[1] % 9 == 0:
            count = arrays.shape[1] // 9
            arrays = arrays.reshape(len(arrays), *((count,) if count > 1 else ()), 3, 3)
        x = super().from_arrays(arrays)
        off = (x.mT @ x - torch.eye(3).to(x)).abs().amax((-1, -2), keepdim=True)
        return torch.where(off <= 8 * torch.finfo(x.dtype).eps, x, rotations.nearest(x))

    def nearest(self, x: Tensor) -> Tensor:
        """The rotation of least squared distance."""
        return rotations.nearest(x)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """`R` times the skew-symmetric part of `R^T v`."""
        body = x.mT @ v
        return x @ (0.5 * (body - body.mT))

    def tangent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """`R` times the skew-symmetric part: a turn about axes of the body."""
        return x @ (0.5 * (numbers - numbers.mT))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`R` times the rotation by the body velocity of `v`."""
        y = x @ rotations.from_rotation_vector(vee(x.mT @ v))
        # One step of Newton's method for the polar factor: rounding does not add up over steps.
        return y @ (1.5 * torch.eye(3).to(y) - 0.5 * y.mT @ y)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The shortest turn, in coordinates of the space around; at half a turn, one of the two."""
        return x @ hat(rotations.to_rotation_vector(x.mT @ y))

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The rotation angle, the root of the sum of squares for several; `(B,)`."""
        angle = torch.linalg.vector_norm(rotations.to_rotation_vector(x.mT @ y), dim=-1)
        return torch.linalg.vector_norm(flatten(angle), dim=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Along the shortest turn: half of it on either side."""
        half = rotations.from_rotation_vector(0.5 * rotations.to_rotation_vector(x.mT @ y))
        return x @ half @ (x.mT @ v) @ half

    def covector(self, x: Tensor, v: Tensor) -> Tensor:
        """`v / 2`."""
        return 0.5 * v

    def point_dimension(self, point_shape: tuple[int, ...]) -> int:
        """Three."""
        return 3

    def point_frame(self, x: Tensor) -> Tensor:
        """Unit turns about the axes of the body."""
        return x.unsqueeze(1) @ hat(torch.eye(3, dtype=x.dtype, device=x.device))

    def exp_log_det(self, x: Tensor, v: Tensor) -> Tensor:
        """`2 log |sin(r / 2) / (r / 2)|` at the angle `r`, `(N,)`."""
        angle = torch.linalg.vector_norm(vee(x.mT @ v), dim=-1)
        return 2 * torch.sinc(angle / (2 * math.pi)).abs().log()

    def uniform(self, n: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Rotations of uniform unit quaternions."""
        return rotations.from_quaternion(normal((n, *shape[:-2], 4), generator), "wxyz")

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """`log(8 pi^2)` a rotation."""
        return math.prod(shape[:-2]) * math.log(8 * math.pi**2)

    def origin(self, shape: tuple[int, ...]) -> Tensor:
        """The identity."""
        return torch.eye(3).expand(shape).clone()

    def diffuse(
        self, x: Tensor, variance: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Brownian motion from `x` after `variance` `(B,)`, exactly: IGSO(3)."""
        rows = self.per_point(variance, x)
        inner = fork(generator, copies=self.count(x))
        vector = _rotation_heat.sample_vector(rows, inner)
        return self.exp(x, x @ hat(vector).reshape(x.shape))

    def heat_log_kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The log-density of IGSO(3) per unit of the volume `8 pi^2`, `(B,)`."""
        value, _, _ = self._kernel(x, start, variance)
        return self.per_event(value, x) - self.log_volume(tuple(x.shape[1:]))

    def heat_score(self, x: Tensor, start: Tensor, variance: Tensor) -> Tensor:
        """The gradient of the log heat kernel: along the turn back to `start`."""
        _, slope, back = self._kernel(x, start, variance)
        angle = torch.linalg.vector_norm(back, dim=-1, keepdim=True)
        unit = back / angle.clamp_min(torch.finfo(x.dtype).tiny)
        return x @ hat(-slope.reshape(angle.shape) * unit)

    def _kernel(self, x: Tensor, start: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The log kernel of each rotation and its slope, and the way back in the body frame."""
        back = rotations.to_rotation_vector(x.mT @ start)
        angle = torch.linalg.vector_norm(back, dim=-1).flatten()
        rows = self.per_point(variance, x)
        return *_rotation_heat.log_kernel(angle, rows), back

    def features(self, x: Tensor) -> Tensor:
        """The entries of the matrices."""
        return flatten(x)

    def feature_names(self, size: int, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The entries of one matrix."""
        entries = tuple(f"entry {i}{j}" for i in "123" for j in "123")
        return entries if size == len(entries) else super().feature_names(size)

    def views(self, x: Tensor) -> tuple[View, ...]:
        """The axes, colored by the angles."""
        vectors = rotations.to_rotation_vector(x).reshape(-1, 3)
        angle = torch.linalg.vector_norm(vectors, dim=1)
        axes = vectors / angle.clamp_min(torch.finfo(x.dtype).tiny).unsqueeze(1)
        return (Globe(axes, torch.rad2deg(angle), "angle, degrees", (0.0, 180.0)),)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Quaternions, rotation vectors, Euler angles and matrices."""
        return (
            Quaternion("wxyz"),
            Quaternion("xyzw"),
            RotationVector(),
            EulerAngles("ZYX", "degrees"),
            RotationMatrix(),
        )

    @property
    def width(self) -> int | None:
        """Nine."""
        return 9

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The entries of the matrix row by row, `r11` to `r33`."""
        flat = flatten(x)
        names = [f"r{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)]
        if flat.shape[1] > 9:
            names = [f"{name}_{k}" for k in range(flat.shape[1] // 9) for name in names]
        return flat, tuple(names)

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Rotations, or so many of them."""
        many = math.prod(event_shape[:-2])
        return "rotations" if many == 1 else f"states of {many} rotations"
