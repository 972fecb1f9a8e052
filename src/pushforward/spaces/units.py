"""The units of a space: the invertible map between data as people have them and states.

`x = units(z)` and `z = units.standardized(x)`, with `log |det dz/dx|` where states have a density.
Which map it is belongs to the space (`Space.units`): a shift and a scale per coordinate on R^d, one
common scale for functions, whose noise would otherwise be another one, and none for angles, points
on a sphere and tokens.

Shift and scale are also what makes states of numbers that float32 cannot carry, such as seconds
since 1970: they are taken off in double precision, and put on again in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward._precision import NOISE, RESOLUTION, DataBuffers, has_double, narrowed
from pushforward.errors import CapabilityError, InputError

__all__ = ["NoUnits", "ProductUnits", "ShiftAndScale", "Standardize", "Units"]


class Units(nn.Module, ABC):
    """An invertible map from states `z` to data `x`, fitted to data and saved with the model."""

    @abstractmethod
    def forward(self, z: Any) -> Any:
        """From states to data."""

    @abstractmethod
    def standardized(self, x: Any) -> Any:
        """From data to states."""

    @abstractmethod
    def log_det_inverse(self) -> Tensor:
        """`log |det dz/dx|`, the same for every state. Raises `CapabilityError` without one."""

    def log_volume(self, z: Any) -> Tensor:
        """`log |det dz/dx|` at states, `(B,)`, where it may differ between them."""
        return self.log_det_inverse().expand(state.rows(z))

    @abstractmethod
    def fit(self, x: Any, source: Any = None, *, common: bool = True) -> None:
        """Fit to data, and to those of a source that shares the units.

        With a source all columns of a vector have one scale in `common`, or one each.
        """

    def spread(self, x: Any, source: Any) -> float:
        """The largest scale of a column over the smallest, where columns share one but need not."""
        return 1.0

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From data to states, with the log-determinant."""
        return self.standardized(x), self.log_det_inverse().expand(len(x))

    @property
    def precise(self) -> bool:
        """Fitted to data that float32 cannot carry: they enter and leave in float64."""
        return False

    def narrowed(self, x: Any) -> Any:
        """Data in the least precision that the units can make states of: single, but double where
        shift and scale bring out what single precision would lose."""
        return state.to(x, dtype=torch.float32)

    @property
    def length(self) -> Any:
        """The length in data units of one unit of the state, a tuple for products. Raises
        `CapabilityError` where coordinates have different ones."""
        return 1.0

    @property
    def own_length(self) -> Any:
        """The length in units of the state of one of these: 1, a tuple of ones for products."""
        return 1.0


class NoUnits(Units):
    """States are the data: angles, unit vectors, symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    zero: Tensor

    def forward(self, z: Any) -> Any:
        """The same."""
        return z

    def standardized(self, x: Any) -> Any:
        """The same."""
        return x

    def log_det_inverse(self) -> Tensor:
        """Zero."""
        return self.zero

    def fit(self, x: Any, source: Any = None, *, common: bool = True) -> None:
        """Nothing to fit."""


class ShiftAndScale(DataBuffers, Units):
    """`x = shift + scale z`, by coordinate.

    A constant has the scale 0: whatever a model makes of its coordinate, the data that come out are
    the constant. On the way in its coordinate is `x - shift`, and it has no part in volumes.

    Fitted to data that float32 cannot carry (`narrowed` leaves them in float64), shift and scale
    are float64 whatever the precision of the model, and so are the data that come out. For a device
    without double precision they, and their arithmetic, stay on the CPU.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    @property
    def precise(self) -> bool:
        """Whether shift and scale are float64 for the sake of the data."""
        return self._precise

    def put_on(self, z: Tensor) -> Tensor:
        """`shift + scale z`."""
        return self.shift + self.scale * z.to(self.shift.device)

    def taken_off(self, x: Tensor) -> Tensor:
        """`(x - shift) / scale`.

        Raises `InputError` for data in less than float64, if float32 cannot carry them.
        """
        shift, scale = self.shift, self.scale
        if x.dtype != torch.float64:
            if self._precise:
                raise InputError(
                    "this model knows its data in float64, since float32 cannot carry them, and "
                    f"these are {x.dtype}: give them as they were before, or x.double()"
                )
        elif not has_double(shift.device):
            shift, scale = shift.cpu(), scale.cpu()
        return (x.to(shift.device) - shift) / torch.where(scale > 0, scale, 1.0)

    def keep(self, shift: Tensor, scale: Tensor, *, double: bool) -> None:
        """Take shift and scale, found in double precision, and hold them in it or in the model's.

        A scale that is no number, that of a single value, becomes 1.
        """
        scale = torch.where(scale >= 0, scale, torch.ones_like(scale))
        if double:
            self.shift, self.scale = shift.clone(), scale.clone()
        else:
            self.shift.copy_(shift)
            self.scale.copy_(scale)
        self._precise = double

    def _load_from_state_dict(self, tensors: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(tensors, prefix, *rest)
        # Those of a model that is in double precision anyway say nothing of the data.
        self._precise = self._precise and self._coarse()

    def _coarse(self) -> bool:
        """Whether float32 numbers about the shift are too far apart for the scale."""
        rounding = (self.shift.abs() * 2.0**-24).clamp(min=2.0**-150)
        large = self.shift.abs() + self.scale > torch.finfo(torch.float32).max
        blurred = (self.scale > 0) & (RESOLUTION * rounding > self.scale)
        return bool((large | blurred).any())


class Standardize(ShiftAndScale):
    """`x = shift + scale z`: zero mean and unit variance.

    A vector gets a shift and a scale per feature, so that a distance does not depend on the unit of
    each. An image `(C, H, W)` gets a shift per channel and one scale for all, so that pictures keep
    their contrast. Until `fit` is called it is the identity.

    Args:
        event_shape: the shape of one state.
        common: one scale for all entries, where their common unit means something: values of a
            function, whose noise has a covariance.

    >>> units = Standardize((2,))
    >>> units.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]))
    >>> units.inverse(torch.tensor([[4.0, 5.0]]))[0]
    tensor([[1., 0.]])
    """

    def __init__(self, event_shape: tuple[int, ...], *, common: bool = False) -> None:
        self.event_shape, self.common = tuple(event_shape), common
        pictures = len(self.event_shape) == 3
        super().__init__((self.event_shape[0], 1, 1) if pictures else self.event_shape)

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Take shift and scale from data `(N, *event)`.

        With a `source`, of any number of rows, both count the same and share one scale, a single
        number, so that noise given in the units of the data keeps its meaning and distances between
        the two are not bent. Unless this is to be `common`, each entry of a vector then has a scale
        of its own, too. Unless all share one scale, a feature of one value has the scale 0.

        Raises `InputError` for another event shape, fewer than two rows, or non-finite values.
        """
        sides = [self._checked(side) for side in ((x,) if source is None else (x, source))]
        axes = (0, 2, 3) if x.ndim == 4 else (0,)
        shift = torch.stack([side.mean(axes, keepdim=True)[0] for side in sides]).mean(0)
        if source is not None:
            squares = torch.stack([(side - shift).square().mean(0) for side in sides]).mean(0)
            one = common or self.common or x.ndim == 4
            scale = (squares.mean() if one else squares).sqrt().expand_as(shift)
        elif x.ndim == 4 or self.common:
            scale = (sides[0] - shift).square().mean().sqrt().expand_as(shift)
        else:
            scale = (sides[0] - shift).square().sum(0).div(len(x) - 1).sqrt()
        given = (x,) if source is None else (x, source)
        double = any(self.narrowed(side).dtype == torch.float64 for side in given)
        if x.ndim != 4 and not self.common and (source is None or not common):
            # By its values: of the spread of a constant, rounding may leave something.
            first = sides[0][0]
            constant = torch.stack([side.eq(first).all(0) for side in sides]).all(0)
            shift = torch.where(constant, first, shift)
            scale = torch.where(constant, 0.0, scale)
        else:
            rounding = NOISE[torch.float64 if double else torch.float32]
            least = rounding * shift.abs() if source is None else torch.zeros_like(shift)
            scale = torch.where(scale > least, scale, torch.ones_like(scale))
        self.keep(shift, scale, double=double)

    @torch.no_grad()
    def spread(self, x: Tensor, source: Tensor) -> float:
        """Of the columns of tables; those that do not vary have no scale."""
        if self.common or len(self.event_shape) != 1:
            return 1.0
        own = Standardize(self.event_shape)
        own.fit(x, source, common=False)
        columns = own.scale[own.scale > 0]
        return float(columns.max() / columns.min()) if len(columns) else 1.0

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        return self.put_on(z)

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        return self.taken_off(x)

    def narrowed(self, x: Tensor) -> Tensor:
        """In float32, unless a feature, or a channel of a picture, loses its resolution."""
        return narrowed(x)

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithms of the scales, summed; those of constants are left out."""
        scale = torch.where(self.scale > 0, self.scale, 1.0)
        return -scale.log().expand(self.event_shape).sum()

    @property
    def length(self) -> float:
        """The one scale of all entries."""
        first = self.scale.flatten()[0]
        if not bool((self.scale == first).all()):
            raise CapabilityError(
                "coordinates have different units, so that a length has none: fit with a source, "
                "or take units with common=True"
            )
        return float(first)

    def _checked(self, x: Tensor) -> Tensor:
        # Double precision: a large offset would swallow the variance in float32.
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"events have shape {tuple(x.shape[1:])}, not {self.event_shape}")
        if len(x) < 2:
            raise InputError(f"standardization needs at least two data points, not {len(x)}")
        if not torch.isfinite(x).all():
            raise InputError("data with non-finite values cannot be standardized")
        device = self.shift.device
        return x.to(device if has_double(device) else "cpu").double()


class ProductUnits(Units):
    """The units of the factors of a product, each for its part of the state."""

    def __init__(self, parts: Sequence[Units]) -> None:
        super().__init__()
        self.parts: Any = nn.ModuleList(parts)

    def forward(self, z: tuple[Any, ...]) -> tuple[Any, ...]:
        """Each part in its own units."""
        return tuple(units(part) for units, part in zip(self.parts, z, strict=True))

    def standardized(self, x: tuple[Any, ...]) -> tuple[Any, ...]:
        """Each part from its own units."""
        return tuple(units.standardized(part) for units, part in zip(self.parts, x, strict=True))

    def log_det_inverse(self) -> Tensor:
        """The sum over the factors."""
        return torch.stack([units.log_det_inverse() for units in self.parts]).sum()

    def log_volume(self, z: tuple[Any, ...]) -> Tensor:
        """The sum over the factors."""
        pairs = zip(self.parts, z, strict=True)
        return torch.stack([units.log_volume(part) for units, part in pairs]).sum(0)

    def fit(
        self, x: tuple[Any, ...], source: tuple[Any, ...] | None = None, *, common: bool = True
    ) -> None:
        """Fit each part to its own data."""
        sources = (None,) * len(x) if source is None else source
        for units, part, start in zip(self.parts, x, sources, strict=True):
            units.fit(part, start, common=common)

    def spread(self, x: tuple[Any, ...], source: tuple[Any, ...]) -> float:
        """The largest of the factors."""
        parts = zip(self.parts, x, source, strict=True)
        return max(units.spread(part, start) for units, part, start in parts)

    @property
    def precise(self) -> bool:
        """Whether one of the parts is."""
        return any(units.precise for units in self.parts)

    def narrowed(self, x: tuple[Any, ...]) -> tuple[Any, ...]:
        """Each part by its own units."""
        return tuple(units.narrowed(part) for units, part in zip(self.parts, x, strict=True))

    @property
    def length(self) -> tuple[Any, ...]:
        """That of each factor."""
        return tuple(units.length for units in self.parts)

    @property
    def own_length(self) -> tuple[Any, ...]:
        """That of each factor."""
        return tuple(units.own_length for units in self.parts)
