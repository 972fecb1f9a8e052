r"""Functions of one to three coordinates, on grids or at scattered points, with colored noise.

White noise has no limit as a grid is refined; noise `N(0, C)` of trace class has, and so do the
process and its time reversal (Lim et al. 2023; Pidstrigach et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import amend, configurable
from pushforward.errors import InputError
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.function_noise import KernelRoot, NoiseRoot, Spectral
from pushforward.spaces.function_units import FunctionUnits
from pushforward.spaces.kernels import CovarianceKernel, Matern
from pushforward.spaces.points_of_functions import (
    cell_widths,
    check_centers,
    domain_of,
    filled,
    is_regular,
)
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.units import Units
from pushforward.spaces.views import Curves, Maps, View

__all__ = ["Functions"]


@configurable
class Functions(LinearSpace):
    r"""Functions `(C, *sizes)` of `C` channels; unit noise is `N(0, C)`, alike in all channels.

    The score is preconditioned, `C grad log p`, as in the Cameron-Martin geometry of the noise:
    with it every formula of R^d holds as it stands, on any grid. A value that was not observed is
    NaN. It stays so: noise, losses and units are those of the values that are there, which are the
    marginals of the same process at these points.

    Args:
        noise: `function_noise.Spectral`, for regular grids, or a kernel of `spaces.kernels`, for
            any points. Lengths are fractions of the sides of the domain.
        axes: the coordinates of a grid, numbers that grow, or fall, for each axis. Left out with
            `points` too, states are on the cells of a unit box, as many as they have.
        points: the coordinates `(M, d)` of scattered points, for states `(C, M)`.
        domain: the two ends of each coordinate; by default half a cell beyond the first and last
            point of a grid, and the range of scattered points. Grids of one domain belong together.
            Spectral noise takes those of the whole domain, at the centers of equal cells.
        periodic: which axes have ends that meet; none by default.
        norm: of losses: `l2`, the mean square over the domain by quadrature, or `cameron-martin`,
            `|C^{-1/2} v|^2`, which is finite for what is smoother than the noise and takes
            functions without missing values.
        masked: whether values may be missing, which networks are made for.
        names: of the channels, for pictures.
        labels: of the coordinates, for pictures.

    Raises `InputError` for coordinates that do not grow, noise that the points do not take, or
    missing values with the Cameron-Martin norm.

    >>> space = Functions(axes=[[0.0, 1.0, 2.0, 3.0]])
    >>> space.randn(torch.zeros(2, 1, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 4])
    >>> space.domain
    ((-0.5, 3.5),)
    """

    pictures = False
    format_version = 2

    def __init__(
        self,
        noise: Spectral | CovarianceKernel | None = None,
        axes: Sequence[Sequence[float]] | None = None,
        points: Tensor | Sequence[Sequence[float]] | None = None,
        domain: Sequence[Sequence[float]] | None = None,
        periodic: Sequence[bool] = (),
        norm: Literal["l2", "cameron-martin"] = "l2",
        masked: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> None:
        if axes is not None and points is not None:
            raise InputError("axes= are of a grid, points= are scattered: give one of them")
        self.axes = None if axes is None else tuple(tuple(map(float, axis)) for axis in axes)
        if points is not None and not isinstance(points, Tensor):
            points = torch.tensor(points, dtype=torch.float64)
        self.points: Tensor | None = points
        self.names, self.labels, self.masked = tuple(names), tuple(labels), bool(masked)
        checks.one_of("norm", norm, ("l2", "cameron-martin"))
        self.norm = norm
        if self.masked and norm == "cameron-martin":
            raise InputError(
                "norm=cameron-martin is of complete functions, and these have missing values: "
                "leave norm= out, or fill them in"
            )
        count = len(self.axes) if self.axes else 1 if points is None else points.shape[-1]
        self.turns = tuple(map(bool, periodic)) or count * (False,)
        self.periodic: tuple[bool, ...] | None = self.turns
        self.domain = domain_of(self.axes, points, domain, self.turns)
        regular = points is None and (self.axes is None or all(map(is_regular, self.axes)))
        if noise is None:
            noise = Spectral() if regular else Spectral().kernel
            if axes is not None or points is not None:
                # Without points the noise is open: these say what it can be.
                amend(self, noise=noise)
        if isinstance(noise, Spectral) and not regular:
            raise InputError(
                "noise={class: spectral} is for regular grids, and these points are none: take a "
                "kernel itself as the noise, such as noise={class: matern, nu: 0.5, length: 0.02}"
            )
        if isinstance(noise, Spectral) and self.axes is not None and domain is not None:
            # The noise is the same from either end, and wherever a circle is cut.
            ends = zip(self.axes, self.domain, strict=True)
            along = [
                axis if (axis[0] < axis[1]) == (a < b) else axis[::-1] for axis, (a, b) in ends
            ]
            others = "another domain=, or a kernel itself as the noise"
            check_centers(along, self.domain, "noise={class: spectral}", others, self.turns)
        self.noise: Spectral | CovarianceKernel = noise
        self._roots: dict[tuple[int, ...], NoiseRoot] = {}

    @classmethod
    def renewed(
        cls, arguments: dict[str, Any], version: int
    ) -> tuple[type[Functions], dict[str, Any]]:
        """What stands for arguments that an older version wrote: the noise was smoother where
        nothing was said of it."""
        if version < 2 and cls is Functions and arguments.get("noise") is None:
            arguments["noise"] = Spectral(Matern(nu=0.5, length=0.1))
        return cls, arguments

    def on(
        self,
        axes: Sequence[Sequence[float]] | None = None,
        points: Tensor | None = None,
        noise: Spectral | CovarianceKernel | None = None,
    ) -> Functions:
        """The same functions at other points of the domain, with the same noise there.

        Raises `InputError` for points outside the domain, and, with spectral noise, for others than
        a grid of the whole of it.

        >>> coarse = Functions(axes=[[0.5, 1.5]])
        >>> coarse.on([[0.25, 0.75, 1.25, 1.75]]).domain == coarse.domain
        True
        """
        kept = self.noise if noise is None else noise
        return type(self)(
            kept, axes, points, self.domain, self.turns, self.norm, self.masked, self.names,
            self.labels,
        )  # fmt: skip

    def check(self, x: Tensor) -> None:
        """Numbers `(B, C, *sizes)` at the points, finite where there are any."""
        check_numbers(x, "a function")
        known = self._sizes
        if known is not None and tuple(x.shape[2:]) != known:
            where = " x ".join(map(str, known))
            raise InputError(
                f"functions have shape (B, C, {', '.join(map(str, known))}), at {where} points, not"
                f" {tuple(x.shape)}"
            )
        if x.ndim < 3 or x.ndim > 5:
            raise InputError(
                f"functions have shape (B, C, *sizes) of one to three axes, not {tuple(x.shape)}"
            )
        if bool(x.isinf().any()):
            raise InputError("a function has infinite values")
        empty = x.isnan().flatten(1).all(1)
        if bool(empty.any()):
            raise InputError(f"function {int(empty.int().argmax())} has no value at all")

    def from_arrays(self, arrays: object) -> Tensor:
        """Values `(N, *sizes)` or `(N, C, *sizes)`."""
        if isinstance(arrays, Tensor) and arrays.ndim == self._axes + 1:
            arrays = arrays.unsqueeze(1)
        return super().from_arrays(arrays)

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift and a scale for each channel."""
        return FunctionUnits(event_shape)

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise `N(0, C)`, shaped like `x`; zero where a function has no values."""
        white, root, gaps = normal_like(x, generator), self.root(tuple(x.shape[2:])), x.isnan()
        if isinstance(root, KernelRoot) and bool(gaps.any()):
            flat = white.flatten(2)
            present = ~gaps.flatten(2).all(1)
            return root.color_some(flat, present).reshape(x.shape)
        return root.color(white)

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the values that are there, weighted by their cells; or, in the
        Cameron-Martin norm, of the complete functions alone, `|C^{-1/2} v|^2`. `(B,)`."""
        if self.norm == "cameron-martin":
            return per_event_sum(self.root(tuple(v.shape[2:])).whiten(v).square())
        present = ~v.isnan()
        weights = present * self._weights(v)
        return per_event_sum(weights * torch.where(present, v, 0.0).square()) / per_event_sum(
            weights
        )

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of `N(0, C)` with respect to the values at the points, `(B,)`."""
        root = self.root(tuple(x.shape[2:]))
        square = per_event_sum(root.whiten(x).square() + math.log(2 * math.pi))
        return -0.5 * square - x.shape[1] * root.log_det

    def noise_root(self, event_shape: state.EventShape) -> NoiseRoot:
        """That of the covariance, in each channel."""
        return self.root(tuple(event_shape[1:]))

    def root(self, sizes: tuple[int, ...]) -> NoiseRoot:
        """The root of the covariance of the noise on a grid of so many points."""
        if sizes not in self._roots:
            if isinstance(self.noise, Spectral):
                self._roots[sizes] = self.noise.root(sizes, self._turns(sizes))
            else:
                self._roots[sizes] = KernelRoot(self.noise, self.unit_points(sizes), sizes)
        return self._roots[sizes]

    def unit_points(self, sizes: tuple[int, ...]) -> Tensor:
        """The points in the unit box of the domain, `(M, d)` in float64."""
        low, high = torch.tensor(self.domain, dtype=torch.float64).unbind(1)
        if self.points is not None:
            return (self.points.double().cpu() - low) / (high - low)
        if self.axes is None:
            each = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in sizes]
        else:
            each = [
                (torch.tensor(axis, dtype=torch.float64) - a) / (b - a)
                for axis, a, b in zip(self.axes, low, high, strict=True)
            ]
        return torch.cartesian_prod(*each).reshape(-1, len(each))

    def networks(self, event_shape: state.EventShape) -> dict[str, dict[str, Any]]:
        """A Fourier operator on regular grids, attention over points elsewhere."""
        sizes = tuple(event_shape[1:])
        regular = self.points is None and (self.axes is None or all(map(is_regular, self.axes)))
        attention = {"point-attention": {"points": self.unit_points(sizes).float()}}
        if not regular:
            return attention
        own = {"periodic": self._turns(sizes), "masked": self.masked}
        return {"fourier-operator": own, **attention}

    def completed(self, x: Tensor) -> Tensor:
        """In the place of each missing value, the nearest one along the last axis."""
        return filled(x)

    def features(self, x: Tensor) -> Tensor:
        """The values, of which those that are missing are `completed`."""
        return flatten(filled(x))

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """One channel has one unit."""
        return bool(event_shape[0] == 1)

    def embed(self, x: Tensor) -> Tensor:
        """The values, NaN where there are none."""
        return x

    def views(self, x: Tensor) -> tuple[View, ...]:
        """Curves over the points, or maps."""
        names = self.names or tuple("" for _ in range(x.shape[1]))
        found: list[View] = []
        for channel, name in enumerate(names[:_SEEN]):
            values = x[:, channel]
            if x.ndim == 4:
                low, high = self.domain[0]
                found.append(Maps(values, name, upward=low < high))
            elif self.points is None:
                places = None if self.axes is None else self.axes[-1]
                label = self.labels[-1] if self.labels else "grid point"
                found.append(Curves(values.flatten(0, -2), name, places, label))
            elif self.points.shape[1] == 1:
                order = self.points[:, 0].argsort()
                label = self.labels[0] if self.labels else "coordinate"
                places = tuple(self.points[order, 0].tolist())
                found.append(Curves(values[:, order], name, places, label))
            else:
                found.append(Curves(values, name, label="number of the point"))
        return tuple(found)

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Functions at so many points."""
        count = f" of {event_shape[0]} channels" if event_shape[0] > 1 else ""
        return f"functions{count} at {' x '.join(map(str, event_shape[1:]))} points"

    @property
    def gaps(self) -> bool:  # type: ignore[override]
        """Whether values may be missing."""
        return self.masked

    @property
    def _axes(self) -> int:
        """Of a state, after that of the channels: scattered points have one."""
        return len(self.turns) if self.points is None else 1

    @property
    def _sizes(self) -> tuple[int, ...] | None:
        if self.points is not None:
            return (len(self.points),)
        return None if self.axes is None else tuple(map(len, self.axes))

    def _turns(self, sizes: tuple[int, ...]) -> tuple[bool, ...]:
        return self.turns if len(self.turns) == len(sizes) else len(sizes) * (False,)

    def _weights(self, like: Tensor) -> Tensor:
        """The volume of the cell of each value, over their mean."""
        if self.axes is None or all(map(is_regular, self.axes)):
            return like.new_ones(())
        weights = like.new_ones(())
        for axis, ends in zip(self.axes, self.domain, strict=True):
            weights = weights.unsqueeze(-1) * cell_widths(axis, ends).to(like)
        return weights

    def __repr__(self) -> str:
        sizes = self._sizes
        where = "any grid" if sizes is None else f"{' x '.join(map(str, sizes))} points"
        return f"Functions({where}, noise={self.noise})"


_SEEN = 6
"""Channels of which pictures are drawn."""
