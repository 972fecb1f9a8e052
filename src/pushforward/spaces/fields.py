"""Fields on a grid: several variables, some cells without values, cells of unequal size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import normal_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.channel_units import ChannelUnits
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.space import LinearSpace
from pushforward.spaces.units import Units
from pushforward.spaces.views import Curves, Maps, View

__all__ = ["Fields"]


@configurable
class Fields(LinearSpace):
    r"""Fields `(C, *sizes)` of `C` variables, with white noise in the cells that have values.

    Cells without values, such as those on land of a temperature of the sea, are zero and stay so:
    states are the linear subspace of arrays that vanish there, noise is standard normal in it, and
    what a network puts out there is taken off. Losses are means over cells that have values, by
    their `weights`; any positive weights leave the conditional expectation the minimum. Each
    variable has a shift and a scale of its own.

    Args:
        mask: where there are values, `(C, *sizes)` or `(*sizes)`; everywhere by default.
        weights: of the cells in losses, `(*sizes)` or what spreads over them, such as the cosine of
            the latitude, `(H, 1)`; all alike by default.
        periodic: which of the axes of a field have ends that meet; none by default.
        names: of the variables, with their units, for pictures.
        upward: whether the first row of cells is at the bottom of a map.

    Raises `InputError` for a mask without cells, or weights that are not positive anywhere.

    >>> space = Fields(mask=torch.tensor([[True, True], [True, False]]))
    >>> space.dimension((3, 2, 2))
    9
    >>> space.nearest(torch.ones(1, 1, 2, 2))
    tensor([[[[1., 1.],
              [1., 0.]]]])
    """

    def __init__(
        self,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
        periodic: Sequence[bool] = (),
        names: Sequence[str] = (),
        upward: bool = False,
    ) -> None:
        if mask is not None and not bool(mask.any()):
            raise InputError("the mask leaves no cell with a value")
        if weights is not None and not (
            bool((weights >= 0).all()) and bool(weights.isfinite().all()) and bool(weights.any())
        ):
            raise InputError("weights of cells are finite numbers, not negative and not all zero")
        self.mask = None if mask is None else mask.bool()
        self.weights, self.names, self.upward = weights, tuple(names), bool(upward)
        self.periodic: tuple[bool, ...] = tuple(map(bool, periodic))

    @property
    def white(self) -> bool:  # type: ignore[override]
        """Where every cell has a value."""
        return self.mask is None

    @property
    def subspace(self) -> bool:  # type: ignore[override]
        """Where some cells have none."""
        return self.mask is not None

    @property
    def measure(self) -> str:  # type: ignore[override]
        """Of densities, in words."""
        return "" if self.mask is None else "per unit of the values of the cells that have some"

    def check(self, x: Tensor) -> None:
        """Numbers `(B, C, *sizes)` that fit mask and weights."""
        check_numbers(x, "a field")
        shape = tuple(x.shape[1:])
        if len(shape) < 2:
            raise InputError(f"fields have shape (B, C, *sizes), not {tuple(x.shape)}")
        for what, part in (("mask", self.mask), ("weights", self.weights)):
            if part is None:
                continue
            try:
                fits = torch.broadcast_shapes(part.shape, shape) == shape
            except RuntimeError:
                fits = False
            if not fits:
                raise InputError(
                    f"the {what} of {tuple(part.shape)} does not fit fields of {shape}"
                )
        if self.mask is not None and self.weights is not None:
            weighed = self.weights.expand(shape).cpu() * self.mask.expand(shape).cpu()
            if not bool(weighed.any()):
                raise InputError("no cell with a value has a weight: give weights to some of them")
        if self.names and len(self.names) != shape[0]:
            raise InputError(f"{len(self.names)} variables do not fit fields of {shape}")

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift and a scale for each variable."""
        return ChannelUnits(event_shape, self._mask_of(event_shape))

    def _mask_of(self, event_shape: state.EventShape) -> Tensor | None:
        return None if self.mask is None else self.mask.expand(event_shape)

    @classmethod
    def renewed(
        cls, arguments: dict[str, Any], version: int
    ) -> tuple[type[Fields], dict[str, Any]]:
        """What stands for arguments that an older version wrote: there was an argument
        `means_apart`, which is a space of its own now."""
        from pushforward.spaces.means_apart import FieldsWithMeans

        apart = arguments.pop("means_apart", False)
        return (FieldsWithMeans if apart else cls), arguments

    def dimension(self, event_shape: tuple[int, ...]) -> int:
        """The number of cells with values, in all variables."""
        if self.mask is None:
            return math.prod(event_shape)
        return int(self.mask.expand(event_shape).sum())

    def nearest(self, x: Tensor) -> Tensor:
        """The field with zeros in cells without values."""
        return x if self.mask is None else torch.where(self._cells(x), x, 0.0)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The field with zeros in cells without values."""
        return self.nearest(v)

    def frame(self, x: Tensor) -> Tensor:
        """A unit vector for each cell with a value."""
        size = math.prod(x.shape[1:])
        axes = torch.eye(size, dtype=x.dtype, device=x.device)
        if self.mask is not None:
            axes = axes[self._cells(x).expand(x.shape[1:]).flatten()]
        axes = axes.reshape(1, -1, *x.shape[1:])
        return axes.expand(len(x), *axes.shape[1:])

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Independent standard normal values."""
        return self.nearest(normal_like(x, generator))

    def squared_norm(self, x: Tensor, v: Tensor) -> Tensor:
        """The mean square over the cells of all variables that have values, by their weights,
        `(B,)`: a variable with fewer of them counts less."""
        weights = v.new_ones(()) if self.weights is None else self.weights.to(v)
        if self.mask is not None:
            weights = weights * self._cells(v)
        weights = weights.expand(v.shape[1:])
        return per_event_sum(v.square() * weights) / weights.sum()

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The standard normal log-density of the values, `(B,)`."""
        size = self.dimension(tuple(x.shape[1:]))
        return -0.5 * (per_event_sum(x.square()) + size * math.log(2 * math.pi))

    def features(self, x: Tensor) -> Tensor:
        """The values of the cells that have some."""
        flat = flatten(x)
        if self.mask is None:
            return flat
        return flat[:, self._cells(x).expand(x.shape[1:]).flatten()]

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """One variable has one unit; several have their own."""
        return bool(event_shape[0] == 1)

    def embed(self, x: Tensor) -> Tensor:
        """The field."""
        return x

    def views(self, x: Tensor) -> tuple[View, ...]:
        """A map of each variable, or a curve."""
        channels = range(min(x.shape[1], _SEEN))
        if x.ndim == 4:
            gaps = x if self.mask is None else torch.where(self._cells(x), x, torch.nan)
            return tuple(Maps(gaps[:, k], self._name(k), self.upward) for k in channels)
        return tuple(Curves(x[:, k].flatten(1), self._name(k)) for k in channels)

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Fields of so many variables on a grid."""
        count = f"{event_shape[0]} variables" if event_shape[0] > 1 else "one variable"
        return f"fields of {count} on {' x '.join(map(str, event_shape[1:]))} cells"

    def _cells(self, like: Tensor) -> Tensor:
        assert self.mask is not None
        return self.mask.to(like.device)

    def _name(self, channel: int) -> str:
        return self.names[channel] if self.names else ""

    def __repr__(self) -> str:
        parts = []
        if self.mask is not None:
            parts.append(f"{float(self.mask.float().mean()):.1%} of the cells")
        if any(self.periodic):
            parts.append(f"periodic={self.periodic}")
        return f"{type(self).__name__}({', '.join(parts)})"


_SEEN = 6
"""Variables of which maps are drawn."""
