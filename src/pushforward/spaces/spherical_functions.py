"""Functions on a sphere, on grids of latitudes and longitudes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import state
from pushforward._legendre import row_weights
from pushforward.config import amend, configurable
from pushforward.errors import InputError
from pushforward.spaces.function_noise import NoiseRoot
from pushforward.spaces.functions import Functions
from pushforward.spaces.points_of_functions import is_regular
from pushforward.spaces.spherical_noise import SphericalMatern

__all__ = ["SphericalFunctions"]


@configurable
class SphericalFunctions(Functions):
    r"""Functions `(C, rows, columns)` of latitude and longitude, in degrees.

    Noise is that of the sphere, the same in all directions, and errors are weighted by area: the
    losses are integrals over the sphere, by quadrature, and not over a map, in which the poles are
    as wide as the equator. Longitudes go all around in equal steps; latitudes are any, such as
    those of a Gaussian grid.

    Args:
        noise: a `SphericalMatern`.
        axes: latitudes and longitudes.
        points: none, as of functions in a box.
        domain: of another grid of the same functions, whose first meridian is kept.
        periodic: of no meaning: longitudes are, and latitudes are not.
        norm, masked, names, labels: as of `Functions`.

    Raises `InputError` for other grids.

    >>> space = SphericalFunctions(axes=[[-60.0, 0.0, 60.0], [0.0, 90.0, 180.0, 270.0]])
    >>> space.randn(torch.zeros(2, 1, 3, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 3, 4])
    """

    def __init__(
        self,
        noise: SphericalMatern | None = None,
        axes: Sequence[Sequence[float]] | None = None,
        points: Tensor | Sequence[Sequence[float]] | None = None,
        domain: Sequence[Sequence[float]] | None = None,
        periodic: Sequence[bool] = (),
        norm: Literal["l2", "cameron-martin"] = "l2",
        masked: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> None:
        if points is not None:
            raise InputError(
                "spherical functions are on a grid of latitudes and longitudes: for scattered "
                "points take functions of the coordinates x, y and z, space=functions"
            )
        ends = None if axes is None else _whole_sphere(axes)
        own = SphericalMatern() if noise is None else noise
        plain: Any = own
        super().__init__(plain, axes, None, ends, (False, True), norm, masked, names, labels)
        if domain is not None:
            # Other columns of the same sphere are told where they are from the same meridian.
            low, high = domain[1]
            self.domain = (self.domain[0], (float(low), float(high)))
        if noise is None and axes is not None:
            amend(self, noise=own)

    def root(self, sizes: tuple[int, ...]) -> NoiseRoot:
        """The root of the covariance of the noise on the grid."""
        if sizes not in self._roots:
            noise: Any = self.noise
            self._roots[sizes] = noise.root(self._sines(), sizes[1])
        return self._roots[sizes]

    def unit_points(self, sizes: tuple[int, ...]) -> Tensor:
        """The points as fractions of latitude and longitude, `(M, 2)` in float64."""
        found = super().unit_points(sizes)
        return torch.stack([found[:, 0], found[:, 1].remainder(1)], 1)

    def networks(self, event_shape: state.EventShape) -> dict[str, dict[str, Any]]:
        """A spherical Fourier operator, or attention over points."""
        places = self.unit_points(tuple(event_shape[1:])).float()
        return {
            "spherical-operator": {"points": places, "masked": self.masked},
            "point-attention": {"points": places},
        }

    def _weights(self, like: Tensor) -> Tensor:
        """Those of a quadrature over the sphere, over their mean."""
        weights = row_weights(self._sines())
        return (weights / weights.mean()).unsqueeze(-1).to(like)

    def _sines(self) -> Tensor:
        if self.axes is None:
            raise InputError("where spherical functions are has to be known: give axes=")
        return torch.tensor(self.axes[0], dtype=torch.float64).deg2rad().sin()


def _whole_sphere(axes: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The ends of latitude, in the order of the rows, and of longitude.

    Raises `InputError` for what is no grid of the sphere.
    """
    if len(axes) != 2:
        raise InputError(f"spherical functions have latitudes and longitudes, not {len(axes)} axes")
    rows, columns = ([float(value) for value in axis] for axis in axes)
    if not rows or min(rows) < -90 or max(rows) > 90:
        raise InputError("latitudes are degrees of -90 to 90, and come first")
    widest = max(abs(b - a) for a, b in itertools.pairwise(rows)) if len(rows) > 1 else 0.0
    if min(rows) + 90 > 1.5 * widest or 90 - max(rows) > 1.5 * widest:
        raise InputError(
            f"latitudes of {min(rows):g} to {max(rows):g} are a part of the sphere: take functions "
            "of a box, space=functions with periodic=, for these"
        )
    step = (columns[-1] - columns[0]) / max(len(columns) - 1, 1)
    if not is_regular(columns) or abs(abs(step) * len(columns) - 360) > 0.5 * abs(step):
        raise InputError(
            f"longitudes go all around in equal steps, which {len(columns)} of {columns[0]:g} to "
            f"{columns[-1]:g} do not"
        )
    start = columns[0] - step / 2
    poles = (-90.0, 90.0) if rows[0] < rows[-1] else (90.0, -90.0)
    return [poles, (start, start + step * len(columns))]
