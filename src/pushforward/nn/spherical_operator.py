"""Spherical Fourier neural operators: networks from functions on a sphere to such functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward._legendre import legendre, row_weights
from pushforward.checks import whole
from pushforward.config import arguments, configurable
from pushforward.errors import InputError
from pushforward.nn.fourier_operator import FourierOperator

__all__ = ["SphericalConvolution", "SphericalOperator"]


class SphericalConvolution(nn.Module):
    r"""A convolution with a learned kernel of distance: `sum_lm W_l h_lm Y_lm`.

    By spherical harmonics, with a matrix for each degree: it goes along with rotations of the
    sphere (Driscoll & Healy 1994), up to the error of the quadrature. Coefficients are integrals,
    so that they are those of the function, whatever the grid.

    Args:
        width: features of each point, in and out.
        degrees: of the harmonics; on coarse grids as many as they tell apart.
        sines: of the latitudes of the rows, `(rows,)`.

    >>> import torch
    >>> rows = torch.tensor([-60.0, -20.0, 20.0, 60.0]).deg2rad().sin()
    >>> SphericalConvolution(3, 2, rows)(torch.zeros(5, 3, 4, 8)).shape
    torch.Size([5, 3, 4, 8])
    """

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, width: int, degrees: int, sines: Tensor) -> None:
        super().__init__()
        self.degrees = degrees
        self.weight = nn.Parameter(torch.randn(degrees, width, width) / width**0.5)
        # Products of two harmonics are integrated exactly up to half as many degrees as rows.
        kept = min(degrees, max(1, len(sines) // 2))
        shapes = legendre(sines, kept)
        weighted = shapes * row_weights(sines)
        self.register_buffer("analysis", weighted.float(), persistent=False)
        self.register_buffer("synthesis", shapes.float(), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """The result at the points of features `(B, width, rows, columns)`."""
        columns, kept = h.shape[-1], len(self.synthesis)
        waves = min(kept, (columns + 1) // 2)
        scale = math.sqrt(2 * math.pi)
        around = torch.fft.rfft(h, norm="forward")[..., :waves] * scale
        # As pairs of real numbers: tables are real, and complex products would double the work.
        parts = torch.view_as_real(around)
        analysis = self.analysis[:, :waves].to(h)
        modes = torch.einsum("bwimc,lmi->bwlmc", parts, analysis)
        modes = torch.einsum("bwlmc,lwo->bolmc", modes, self.weight[:kept])
        parts = torch.einsum("bolmc,lmi->boimc", modes, self.synthesis[:, :waves].to(h))
        around = torch.view_as_complex(parts.contiguous()) / scale
        return torch.fft.irfft(around, columns, norm="forward")


@configurable
class SphericalOperator(FourierOperator):
    r"""A spherical Fourier neural operator (Bonev et al. 2023), told time and label or context.

    As `FourierOperator`, with convolutions on the sphere in the place of those in a box. The
    transforms are this library's own, in float64 tables: those of `torch-harmonics` are for grids
    with fixed latitudes, and files have others. Each point also sees where it is, as a unit vector.

    Args:
        channels: of a state.
        points: of the grid, `(M, 2)`, row by row, as fractions of latitude and longitude.
        width: features of each point.
        degrees: of the harmonics, 16 by default.
        depth, num_classes, context, out_channels, masked, given: as of `FourierOperator`.

    Raises `InputError` for points that make no grid, or states of another shape.

    >>> rows, columns = torch.linspace(0.125, 0.875, 4), torch.arange(8) / 8
    >>> net = SphericalOperator(1, torch.cartesian_prod(rows, columns), width=8, depth=1)
    >>> net(torch.zeros(2, 1, 4, 8), torch.rand(2)).shape
    torch.Size([2, 1, 4, 8])
    """

    places: Tensor

    def __init__(
        self,
        channels: int,
        points: Tensor,
        width: int = 32,
        degrees: int = 16,
        depth: int = 4,
        num_classes: int | None = None,
        context: int | None = None,
        out_channels: int | None = None,
        masked: bool = False,
        given: bool = False,
    ) -> None:
        super().__init__(
            channels, (False, True), width, 1, depth, num_classes, context, out_channels, masked,
            given,
        )  # fmt: skip
        if not isinstance(points, Tensor) or points.ndim != 2 or points.shape[1] != 2:
            raise InputError(f"points= has shape (M, 2), not {tuple(getattr(points, 'shape', ()))}")
        rows = points[:, 0].double().unique_consecutive()
        self.sizes = (len(rows), len(points) // max(len(rows), 1))
        if math.prod(self.sizes) != len(points):
            raise InputError("points= are those of a grid, row by row")
        latitude, around = (points.double() - points.new_tensor([0.5, 0.0])).unbind(1)
        latitude, around = math.pi * latitude, 2 * math.pi * around
        each = [latitude.cos() * around.cos(), latitude.cos() * around.sin(), latitude.sin()]
        self.register_buffer(
            "places", torch.stack(each).reshape(1, 3, *self.sizes).float(), persistent=False
        )
        sines = (math.pi * (rows - 0.5)).sin()
        for block in self.blocks:
            block.far = SphericalConvolution(width, whole("degrees", degrees), sines)

    def at(self, points: Tensor) -> SphericalOperator:
        """The same network, with copies of its weights, on another grid of the sphere."""
        made = SphericalOperator(**{**arguments(self), "points": points})
        made.load_state_dict(self.state_dict())
        return made.to(self.places.device)

    def _places(self, x: Tensor) -> list[Tensor]:
        """Unit vectors from the center. Raises `InputError` for states on another grid."""
        if tuple(x.shape[2:]) != self.sizes:
            raise InputError(
                f"states are on {self.sizes[0]} x {self.sizes[1]} points of the sphere, not "
                f"{tuple(x.shape[2:])}"
            )
        return list(self.places.to(x).split(1, 1))
