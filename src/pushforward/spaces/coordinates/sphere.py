"""Coordinates of the sphere: latitude and longitude, azimuth and altitude, unit vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates.system import TURN, CoordinateSystem, Where

__all__ = ["AzimuthAltitude", "LatitudeLongitude", "UnitVector"]

_FEW = 20
"""Rows that tell nothing of their unit."""


@dataclass(frozen=True)
class _OnSphere(CoordinateSystem):
    """An angle from the equator and one around the axis, `(cos a cos b, cos a sin b, sin a)`.

    Args:
        said: the unit of both, `"degrees"` or `"radians"`; by default degrees, unless all could be
            radians.
    """

    said: str | None = None

    kind: ClassVar[str]
    up: ClassVar[int]
    """Which of the numbers is the angle from the equator."""

    manifold: ClassVar[str] = "the unit sphere"

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The unit of both angles."""
        return self.said or "degrees"

    @property
    def turning(self) -> tuple[int, ...]:  # type: ignore[override]
        """The angle around the axis."""
        return (1 - self.up,)

    @property
    def short(self) -> str:
        """The kind alone: the unit is degrees unless more is said."""
        return self.kind

    @property
    def spec(self) -> str:
        """The kind and the unit."""
        return f"{self.kind} {self.unit}"

    def settled(self) -> Self:
        """With the unit said."""
        return replace(self, said=self.unit)

    def check(self, table: Tensor, where: Where) -> None:
        """Angles from the equator within a quarter of a turn, others in a turn from minus a half
        to one."""
        turn = TURN[self.unit]
        around, name = 1 - self.up, self.names[self.up][-1]
        slack = turn * 1e-6
        if self.said is None and len(table) > _FEW:
            low, high = math.pi / 2 + 1e-6, 2 * math.pi + 1e-6
            if bool(
                (table[:, self.up].abs() <= low).all() & (table[:, around].abs() <= high).all()
            ):
                raise InputError(
                    f"every {name} lies within {low:.3g} and every {self.names[around][-1]} within "
                    f"{high:.3g}, as radians do: say which they are, "
                    f"coordinates='{self.kind} radians' or '{self.kind} degrees'"
                )
        good = torch.ones_like(table, dtype=torch.bool)
        good[:, self.up] = table[:, self.up].abs() <= turn / 4 + slack
        swapped = bool((table[:, around].abs() <= turn / 4).all())
        hint = ", or are the two columns the other way round?" if swapped else ""
        where.require(
            good, table, f"{name}s lie in {-turn / 4:.4g}..{turn / 4:.4g} {self.unit}{hint}"
        )
        good[:, around] = (table[:, around] >= -turn / 2 - slack) & (
            table[:, around] <= turn + slack
        )
        where.require(
            good,
            table,
            f"{self.names[around][-1]}s lie in {-turn / 2:.4g}..{turn / 2:.4g} or 0..{turn:.4g} "
            f"{self.unit}",
        )

    def states(self, table: Tensor) -> Tensor:
        """Unit vectors."""
        angles = table * (2 * math.pi / TURN[self.unit])
        a, b = angles[:, self.up], angles[:, 1 - self.up]
        return torch.stack([a.cos() * b.cos(), a.cos() * b.sin(), a.sin()], 1)

    def numbers(self, x: Tensor) -> Tensor:
        """The angles. At the poles, the one around the axis is zero."""
        a, b, c = x.double().reshape(-1, 3).unbind(1)
        up, around = torch.atan2(c, torch.hypot(a, b)), torch.atan2(b, a)
        pair = (up, around) if self.up == 0 else (around, up)
        return torch.stack(pair, 1) * (TURN[self.unit] / (2 * math.pi))


@configurable
@dataclass(frozen=True)
class LatitudeLongitude(_OnSphere):
    """Latitude and longitude, such as those of places on the Earth.

    >>> LatitudeLongitude().states(torch.tensor([[90.0, 0.0]])).round(decimals=3)
    tensor([[-0., -0., 1.]])
    """

    kind = "latitude-longitude"
    names = (("lat", "latitude"), ("lon", "long", "lng", "longitude"))
    up = 0


@configurable
@dataclass(frozen=True)
class AzimuthAltitude(_OnSphere):
    """Azimuth and altitude of a direction: x is where azimuths are counted from (north), y where
    they are a quarter of a turn (east), z is up."""

    kind = "azimuth-altitude"
    names = (("az", "azimuth"), ("alt", "el", "elevation", "altitude"))
    up = 1


@configurable
@dataclass(frozen=True)
class UnitVector(CoordinateSystem):
    """The three entries of unit vectors."""

    spec: ClassVar[str] = "unit-vector"
    names = (("x",), ("y",), ("z",))
    manifold: ClassVar[str] = "the unit sphere"
    way_out: ClassVar[str] = "divide them by their norm"

    def off(self, table: Tensor) -> Tensor:
        """The length less one; nothing is nearest to zero."""
        return _off_length(table)

    def states(self, table: Tensor) -> Tensor:
        """The vectors over their lengths."""
        return table / torch.linalg.vector_norm(table, dim=1, keepdim=True)

    def numbers(self, x: Tensor) -> Tensor:
        """The vectors."""
        return x.double().reshape(-1, 3)


def _off_length(table: Tensor) -> Tensor:
    """How far vectors are from length one, `(N,)`; infinite for zero."""
    length = torch.linalg.vector_norm(table, dim=1)
    return torch.where(length > 1e-12, (length - 1).abs(), torch.inf)
