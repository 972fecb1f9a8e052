"""Coordinates of rotations: quaternions, rotation vectors, Euler angles, matrices, and poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.spaces import rotations
from pushforward.spaces.coordinates.system import TURN, CoordinateSystem, Where

__all__ = ["EulerAngles", "PoseMatrix", "Quaternion", "RotationMatrix", "RotationVector"]


@configurable
@dataclass(frozen=True)
class Quaternion(CoordinateSystem):
    """Unit quaternions, scalar first (`wxyz`) or scalar last (`xyzw`); `q` and `-q` are one.

    Of samples the scalar part is never negative.
    """

    order: str

    manifold: ClassVar[str] = "the unit quaternions"
    way_out: ClassVar[str] = "divide by the norm"

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:  # type: ignore[override]
        """qw, qx, qy, qz in their order."""
        return tuple((f"q{part}", f"q_{part}", f"quat_{part}") for part in self.order)

    @property
    def spec(self) -> str:
        """The kind and the order."""
        return f"quaternion-{self.order}"

    def words(self, names: tuple[str, ...]) -> str:
        """Names and order."""
        return f"{', '.join(names)} (quaternions {self.order})"

    def off(self, table: Tensor) -> Tensor:
        """The length less one; nothing is nearest to zero."""
        length = torch.linalg.vector_norm(table, dim=1)
        return torch.where(length > 1e-12, (length - 1).abs(), torch.inf)

    def states(self, table: Tensor) -> Tensor:
        """Matrices."""
        return rotations.from_quaternion(table, self.order)

    def numbers(self, x: Tensor) -> Tensor:
        """Quaternions."""
        return rotations.to_quaternion(x.double(), self.order)


@configurable
@dataclass(frozen=True)
class RotationVector(CoordinateSystem):
    """Axis times angle, of at most a full turn; samples have at most half a turn."""

    unit: str = "radians"

    names = (("rx", "rotvec_x"), ("ry", "rotvec_y"), ("rz", "rotvec_z"))

    @property
    def spec(self) -> str:
        """The kind and the unit."""
        return f"rotation-vector {self.unit}"

    def words(self, names: tuple[str, ...]) -> str:
        """Names and unit."""
        return f"{', '.join(names)} (rotation vectors in {self.unit})"

    def check(self, table: Tensor, where: Where) -> None:
        """Of a length within a full turn."""
        length = torch.linalg.vector_norm(table, dim=1, keepdim=True)
        turn = TURN[self.unit]
        where.require(
            (length <= turn * (1 + 1e-6)).expand_as(table),
            table,
            f"rotation vectors are as long as their angle, within {turn:.4g} {self.unit}",
        )

    def states(self, table: Tensor) -> Tensor:
        """Matrices."""
        return rotations.from_rotation_vector(table * (TURN["radians"] / TURN[self.unit]))

    def numbers(self, x: Tensor) -> Tensor:
        """Rotation vectors."""
        return rotations.to_rotation_vector(x.double()) * (TURN[self.unit] / TURN["radians"])


@configurable
@dataclass(frozen=True)
class EulerAngles(CoordinateSystem):
    """Euler angles of a sequence of axes: capitals turn along (intrinsic), small letters stay."""

    axes: str
    unit: str

    turning = (0, 2)

    @property
    def size(self) -> int:
        """Three."""
        return 3

    @property
    def spec(self) -> str:
        """The kind, the sequence and the unit."""
        return f"euler-{self.axes} {self.unit}"

    def words(self, names: tuple[str, ...]) -> str:
        """Names, sequence and unit."""
        sort = "intrinsic" if self.axes.isupper() else "extrinsic"
        return f"{', '.join(names)} in {self.unit} ({sort} Euler angles {self.axes})"

    def check(self, table: Tensor, where: Where) -> None:
        """The outer two within a full turn."""
        self.require_turns(table, where)

    def states(self, table: Tensor) -> Tensor:
        """Matrices."""
        return rotations.from_euler(table, self.axes, degrees=self.unit == "degrees")

    def numbers(self, x: Tensor) -> Tensor:
        """Euler angles, the middle one in its half turn."""
        return rotations.to_euler(x.double(), self.axes, degrees=self.unit == "degrees")


@configurable
@dataclass(frozen=True)
class RotationMatrix(CoordinateSystem):
    """The nine entries of rotation matrices, row by row."""

    spec: ClassVar[str] = "matrix"
    manifold: ClassVar[str] = "the rotation matrices"
    way_out: ClassVar[str] = "take the nearest rotation"

    @property
    def size(self) -> int:
        """Nine."""
        return 9

    def words(self, names: tuple[str, ...]) -> str:
        """Names and order."""
        return f"{', '.join(names)} (matrices row by row)"

    def off(self, table: Tensor) -> Tensor:
        """The Frobenius distance from the nearest rotation."""
        m = table.reshape(-1, 3, 3)
        return torch.linalg.matrix_norm(m - rotations.nearest(m))

    def states(self, table: Tensor) -> Tensor:
        """Matrices, the nearest rotations."""
        return rotations.nearest(table.reshape(-1, 3, 3))

    def numbers(self, x: Tensor) -> Tensor:
        """Their entries."""
        return x.double().flatten(1)


@configurable
@dataclass(frozen=True)
class PoseMatrix(CoordinateSystem):
    """The sixteen entries of homogeneous matrices, row by row: a rotation and a position."""

    spec: ClassVar[str] = "pose-matrix"
    manifold: ClassVar[str] = "the poses"
    way_out: ClassVar[str] = "take the nearest rotation, and (0, 0, 0, 1) below"

    @property
    def size(self) -> int:
        """Sixteen."""
        return 16

    def words(self, names: tuple[str, ...]) -> str:
        """Names and order."""
        return f"{', '.join(names)} (4 x 4 matrices row by row)"

    def off(self, table: Tensor) -> Tensor:
        """The Frobenius distance of all but the position."""
        m = table.reshape(-1, 4, 4)
        turn = torch.linalg.matrix_norm(m[:, :3, :3] - rotations.nearest(m[:, :3, :3]))
        below = torch.linalg.vector_norm(m[:, 3] - m.new_tensor([0.0, 0.0, 0.0, 1.0]), dim=1)
        return torch.hypot(turn, below)

    def states(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation matrices and positions."""
        m = table.reshape(-1, 4, 4)
        return rotations.nearest(m[:, :3, :3]), m[:, :3, 3]

    def numbers(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """The entries of the homogeneous matrices."""
        turn, place = (part.double() for part in x)
        top = torch.cat([turn, place[:, :, None]], 2)
        below = turn.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(turn), 1, 4)
        return torch.cat([top, below], 1).flatten(1)
