"""The units of point sets: where points are, and how far apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward._precision import narrowed
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces.units import ShiftAndScale

__all__ = ["PointUnits"]


class PointUnits(ShiftAndScale):
    """`x = shift + scale z` for the points that are there, one shift and scale per coordinate.

    Args:
        dim: the number of coordinates.
        center: how many of them, the first ones, are positions about the center of their set: they
            share a scale, the root of the mean square per degree of freedom, and have no shift.
    """

    def __init__(self, dim: int, center: int = 0) -> None:
        super().__init__((dim,))
        self.center = center

    @torch.no_grad()
    def fit(self, x: Any, source: Any = None, *, common: bool = True) -> None:
        """Take shift and scale from all points of all sets; fewer than two leave them alone.

        Raises `InputError` for sets without a point, and coordinates that are not finite.
        """
        points = x.x[x.mask].double()
        if not len(points):
            raise InputError("there is not one point in the data: all of its sets are empty")
        if not bool(points.isfinite().all()):
            raise InputError("point sets with non-finite coordinates cannot be standardized")
        if len(points) < 2:
            return
        shift, scale = points.mean(0), points.std(0)
        if self.center:
            freedom = int((x.number - 1).clamp_min(0).sum()) * self.center
            square = points[:, : self.center].square().sum() / max(freedom, 1)
            shift[: self.center] = 0.0
            scale[: self.center] = torch.where(square > 0, square.sqrt(), 1.0)
        double = self.narrowed(x).x.dtype == torch.float64
        self.keep(shift, scale, double=double)

    def narrowed(self, x: Any) -> Any:
        """In float32, unless a coordinate of the points that are there loses its resolution."""
        if narrowed(x.x[x.mask]).dtype == torch.float64:
            return x
        return x._replace(x=x.x.float())

    def forward(self, z: Any) -> Any:
        """From standardized to data units."""
        return z._replace(x=self.put_on(z.x) * z.mask.unsqueeze(-1))

    def standardized(self, x: Any) -> Any:
        """From data to standardized units."""
        return x._replace(x=self.taken_off(x.x) * x.mask.unsqueeze(-1))

    def log_det_inverse(self) -> Tensor:
        """Raises `CapabilityError`: it depends on the number of points, see `log_volume`."""
        raise CapabilityError("sets of varying size have no common change of volume")

    def log_volume(self, z: Any) -> Tensor:
        """How a density per unit of the data differs from one per unit of the states, `(B,)`.

        Minus the logarithm of the scale of each coordinate, once for each point, and for positions
        about their center once for each point but one.
        """
        scale = torch.where(self.scale > 0, self.scale, 1.0).double().log()
        number = z.number.double()
        relative = (number - 1).clamp_min(0) * scale[: self.center].sum()
        return -(relative + number * scale[self.center :].sum())
