"""Several spaces side by side: a state is a tuple with a part for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates import (
    CoordinateSystem,
    JointCoordinates,
    Numbers,
    PoseMatrix,
    RotationMatrix,
)
from pushforward.spaces.space import Space
from pushforward.spaces.units import ProductUnits, Units
from pushforward.spaces.views import View

__all__ = ["Product"]


@configurable
class Product(Space[tuple[Any, ...]]):
    """The product of some spaces, such as a place and a direction.

    >>> from pushforward.spaces import Euclidean, Torus
    >>> space = Product(Euclidean(2), Torus(1))
    >>> [part.shape[1] for part in space.from_arrays(torch.zeros(5, 3))]
    [2, 1]
    """

    def __init__(self, *factors: Space) -> None:
        # Written to a configuration as one list.
        if len(factors) == 1 and isinstance(factors[0], list | tuple):
            factors = tuple(factors[0])
        if len(factors) < 2:
            raise InputError(f"a product has at least two factors, not {len(factors)}")
        self.factors = factors

    def check(self, x: tuple[Any, ...]) -> None:
        """A tuple with a batch of each factor, with as many rows."""
        if not isinstance(x, tuple) or len(x) != len(self.factors):
            what = f"{len(x)} parts" if isinstance(x, tuple) else type(x).__name__
            raise InputError(f"a state has {len(self.factors)} parts, one per factor, not {what}")
        state.check(x)
        for factor, part in zip(self.factors, x, strict=True):
            factor.check(part)

    def units(self, event_shape: state.EventShape) -> Units:
        """Those of each factor."""
        pairs = zip(self.factors, event_shape, strict=True)
        return ProductUnits([factor.units(shape) for factor, shape in pairs])

    def features(self, x: tuple[Any, ...]) -> Tensor:
        """Those of all factors."""
        pairs = zip(self.factors, x, strict=True)
        return torch.cat([factor.features(part) for factor, part in pairs], 1)

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """The factors have units of their own."""
        return False

    def embed(self, x: tuple[Any, ...]) -> Tensor:
        """All that there is to the parts, one after the other."""
        pairs = zip(self.factors, x, strict=True)
        return torch.cat([factor.embed(part).flatten(1) for factor, part in pairs], 1)

    def state_shape(self, event_shape: state.EventShape) -> state.EventShape:
        """That of each factor."""
        pairs = zip(self.factors, event_shape, strict=True)
        return tuple(factor.state_shape(part) for factor, part in pairs)

    def views(self, x: tuple[Any, ...]) -> tuple[View, ...]:
        """Those of each factor in turn."""
        pairs = zip(self.factors, x, strict=True)
        return tuple(view for factor, part in pairs for view in factor.views(part))

    def categories(self, x: tuple[Any, ...]) -> dict[str, Tensor]:
        """Those of each factor."""
        return {
            f"{name} of part {k}": kinds
            for k, (factor, part) in enumerate(zip(self.factors, x, strict=True), start=1)
            for name, kinds in factor.categories(part).items()
        }

    @property
    def arrays(self) -> tuple[str, ...]:  # type: ignore[override]
        """The numbers of the factors."""
        return tuple(map(str, range(len(self.factors))))

    def from_arrays(self, arrays: Any) -> tuple[Any, ...]:
        """States from a tuple of parts, from arrays named 0, 1, ..., or from the columns of a
        table, cut by the widths of the factors, of which one may be open."""
        if isinstance(arrays, Mapping):
            names = self.arrays
            if set(arrays) != set(names):
                raise InputError(
                    f"a product of {len(names)} takes the arrays {', '.join(names)}, not "
                    f"{', '.join(arrays)}"
                )
            arrays = tuple(arrays[name] for name in names)
        if isinstance(arrays, Tensor):
            arrays = arrays.split(self._widths(arrays), 1)
        if len(arrays) != len(self.factors):
            raise InputError(f"{len(arrays)} parts do not fit {len(self.factors)} factors")
        pairs = zip(self.factors, arrays, strict=True)
        found = tuple(factor.from_arrays(part) for factor, part in pairs)
        self.check(found)
        return found

    @property
    def measure(self) -> str:  # type: ignore[override]
        """Those of the factors that have one."""
        return ", ".join(factor.measure for factor in self.factors if factor.measure)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Homogeneous matrices of rotations beside positions; all else is of the factors."""
        wanted = RotationMatrix(), Numbers(3)
        if len(self.factors) == len(wanted) and all(
            factor.has_coordinates(one) for factor, one in zip(self.factors, wanted, strict=True)
        ):
            return (PoseMatrix(),)
        return ()

    @property
    def names_coordinates(self) -> bool:
        """Whether those of a factor may."""
        return any(factor.names_coordinates for factor in self.factors)

    def has_coordinates(self, found: CoordinateSystem) -> bool:
        """Those of each factor, one after the other."""
        if len(found.parts) != len(self.factors):
            return super().has_coordinates(found)
        pairs = zip(self.factors, found.parts, strict=True)
        return all(factor.has_coordinates(part) for factor, part in pairs)

    def coordinates_named(self, names: Sequence[str]) -> CoordinateSystem | None:
        """Of one factor at least by the names of columns, and of those beside it by their order."""
        found = [factor.coordinates_named(names) for factor in self.factors]
        if all(own is None for own in found):
            return None
        parts = []
        for factor, own in zip(self.factors, found, strict=True):
            plain = own or next((one for one in factor.coordinates if not one.names), None)
            if plain is None:
                return None
            parts.append(plain)
        return JointCoordinates(tuple(parts))

    def to_table(self, x: tuple[Any, ...]) -> tuple[Tensor, tuple[str, ...]]:
        """The columns of all factors; names that come twice are told apart by a number."""
        tables = [factor.to_table(part) for factor, part in zip(self.factors, x, strict=True)]
        names = [name for _, own in tables for name in own]
        if len(set(names)) < len(names):
            names = [f"part{k}.{name}" for k, (_, own) in enumerate(tables) for name in own]
        columns = [table.double() for table, _ in tables]
        return torch.cat(columns, 1), tuple(names)

    def describe_states(self, event_shape: state.EventShape) -> str:
        """The parts, one after the other."""
        pairs = zip(self.factors, event_shape, strict=True)
        return " with ".join(factor.describe_states(shape) for factor, shape in pairs)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"

    def _widths(self, table: Tensor) -> list[int]:
        """How many columns each factor takes."""
        if table.ndim != 2:
            raise InputError(f"a product is cut from a table (N, columns), not {table.shape}")
        widths = [factor.width for factor in self.factors]
        open_ones = [k for k, width in enumerate(widths) if width is None]
        rest = table.shape[1] - sum(width for width in widths if width is not None)
        if len(open_ones) > 1 or rest < len(open_ones) or (not open_ones and rest):
            raise InputError(
                f"{table.shape[1]} columns do not fit {self}: say how many each factor takes, as "
                "in Product(Euclidean(2), Torus(1))"
            )
        return [rest if width is None else width for width in widths]
