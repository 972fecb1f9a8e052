"""What the numbers of fields are: variables with units on the dimensions of a store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.packed import PackedArray

__all__ = ["FieldCoordinate", "FieldFormat", "FieldVariable"]


@dataclass(frozen=True)
class FieldVariable:
    """A variable of a store, which becomes one channel, or one for each of its levels.

    Args:
        name: in the store.
        dtype: of its numbers there, once scale and offset are applied.
        levels: the dimensions that become channels, with their sizes.
        attributes: such as `units`.
        chunks: the sizes of its chunks along rows, levels and space, if it has any.
    """

    name: str
    dtype: str = "float32"
    levels: tuple[tuple[str, int], ...] = ()
    attributes: Mapping[str, Any] | None = None
    chunks: tuple[int, ...] | None = None

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return int(np.prod([size for _, size in self.levels], dtype=int))

    @property
    def units(self) -> str | None:
        """The units, if they are said; `"1"` is that of numbers without dimension."""
        found = (self.attributes or {}).get("units")
        return None if found is None else str(found)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Of its channels, with the place of each level.

        >>> FieldVariable("t", levels=(("level", 2),)).channel_names
        ('t[0]', 't[1]')
        """
        if not self.levels:
            return (self.name,)
        places = np.ndindex(*(size for _, size in self.levels))
        return tuple(f"{self.name}[{','.join(map(str, place))}]" for place in places)


@dataclass(frozen=True)
class FieldCoordinate:
    """A coordinate of the store that does not depend on the row.

    Args:
        name, dims: as in the store.
        values: of any type.
        attributes: such as `units`.
    """

    name: str
    dims: tuple[str, ...]
    values: PackedArray
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FieldFormat:
    """What the axes and the channels of fields `(N, C, *sizes)` are in the store they came from.

    Args:
        variables: in the order of the channels.
        rows: the dimensions of the store whose entries are rows, one after the other.
        dims: the dimensions of a field, in their order.
        sizes: of these.
        coordinates: of all dimensions but the rows.
        attributes: of the store.
        mask: where there are values, `(C, *sizes)`; `None` for everywhere.
        periodic: the dimensions whose ends meet.
        latitude: the dimension whose rows of cells cover less of the sphere towards the poles.
        means: `"apart"` where the means of fields have a scale of their own.

    >>> wind = FieldFormat((FieldVariable("u"), FieldVariable("v")), ("time",), ("y", "x"), (4, 8))
    >>> wind.channel_names, wind.event_shape
    (('u', 'v'), (2, 4, 8))
    >>> FieldFormat.from_description(wind.describe()) == wind
    True
    """

    variables: tuple[FieldVariable, ...]
    rows: tuple[str, ...]
    dims: tuple[str, ...]
    sizes: tuple[int, ...]
    coordinates: tuple[FieldCoordinate, ...] = ()
    attributes: Mapping[str, Any] | None = None
    mask: PackedArray | None = None
    periodic: tuple[str, ...] = ()
    latitude: str | None = None
    means: str | None = None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return tuple(name for variable in self.variables for name in variable.channel_names)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(C, *sizes)`."""
        return (sum(variable.channels for variable in self.variables), *self.sizes)

    @property
    def row_name(self) -> str:
        """The dimension of rows in a store that is written: theirs, or `sample` of several."""
        return self.rows[0] if len(self.rows) == 1 else "sample"

    @cached_property
    def present(self) -> NDArray[np.bool_] | None:
        """Where there are values, `(C, *sizes)`; `None` for everywhere."""
        return None if self.mask is None else self.mask.array()

    def coordinate(self, name: str) -> FieldCoordinate | None:
        """The coordinate of a name, if there is one."""
        return next((one for one in self.coordinates if one.name == name), None)

    def with_mask(self, present: NDArray[np.bool_]) -> FieldFormat:
        """With another mask; none where there are values everywhere."""
        return replace(self, mask=None if present.all() else PackedArray.of(present))

    def with_gaps(self, x: Tensor) -> Tensor:
        """Fields with NaN where there are no values."""
        if self.present is None:
            return x
        return torch.where(torch.from_numpy(self.present).to(x.device), x, torch.nan)

    def grid_options(self) -> dict[str, Any]:
        """The arguments of the space of the fields, `spaces.Fields`: where there are values, the
        weights of the cells, which axes are periodic, what the channels are called in pictures,
        and whether the first row of cells is at the bottom."""
        weights = None
        if self.latitude is not None:
            place = self.coordinate(self.latitude)
            assert place is not None
            along = [-1 if name == self.latitude else 1 for name in self.dims]
            degrees = torch.from_numpy(place.values.array().astype(np.float64))
            areas = _band_areas(degrees).reshape(along)
            weights = areas.expand(self.sizes).float().contiguous()
        return {
            "mask": None if self.present is None else torch.from_numpy(self.present),
            "weights": weights,
            "periodic": tuple(name in self.periodic for name in self.dims),
            "names": tuple(
                f"{name} ({variable.units})" if variable.units not in (None, "", "1") else name
                for variable in self.variables
                for name in variable.channel_names
            ),
            "upward": self._grows(self.dims[-2]) if len(self.dims) > 1 else False,
        }

    def _grows(self, name: str) -> bool:
        """Whether a coordinate grows along its dimension."""
        place = self.coordinate(name)
        if place is None or place.dims != (name,):
            return False
        values = place.values.array()
        return values.dtype.kind in "iuf" and len(values) > 1 and bool(values[0] < values[-1])

    @property
    def words(self) -> str:
        """What the states are, as `spaces.Fields` says it."""
        count = sum(variable.channels for variable in self.variables)
        what = f"{count} variables" if count > 1 else "one variable"
        return f"fields of {what} on {' x '.join(map(str, self.sizes))} cells"

    def summary(self) -> list[str]:
        """What a user wants to know of it, a line each.

        >>> FieldFormat((FieldVariable("u", attributes={"units": "m/s"}),), ("time",), ("x",), (4,)
        ...             ).summary()
        ['rows along time; fields along x (4)', 'u in m/s']
        """
        axes = [
            f"{name} ({size}{', periodic' if name in self.periodic else ''})"
            for name, size in zip(self.dims, self.sizes, strict=True)
        ]
        lines = [f"rows along {' and '.join(self.rows)}; fields along {' and '.join(axes)}"]
        at = 0
        for one in self.variables:
            line = f"{one.name}, without units"
            if one.units:
                line = one.name if one.units == "1" else f"{one.name} in {one.units}"
            if one.levels:
                line += f", {one.channels} levels along {' and '.join(n for n, _ in one.levels)}"
            if self.present is not None:
                share = 1 - float(self.present[at : at + one.channels].mean())
                line += f", {share:.1%} of its cells masked" if share else ""
            at += one.channels
            lines.append(line)
        if self.latitude is not None:
            lines.append(f"cells weigh as their area in bands of {self.latitude}")
        return lines

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold, without what is empty."""
        described = {
            "variables": [
                {
                    "name": one.name,
                    "dtype": one.dtype,
                    "levels": [list(level) for level in one.levels],
                    "attributes": dict(one.attributes or {}),
                    "chunks": None if one.chunks is None else list(one.chunks),
                }
                for one in self.variables
            ],
            "rows": list(self.rows),
            "dims": list(self.dims),
            "sizes": list(self.sizes),
            "coordinates": [
                {
                    "name": one.name,
                    "dims": list(one.dims),
                    "values": one.values.describe(),
                    "attributes": dict(one.attributes or {}),
                }
                for one in self.coordinates
            ],
            "attributes": dict(self.attributes or {}),
            "mask": None if self.mask is None else self.mask.describe(),
            "periodic": list(self.periodic),
            "latitude": self.latitude,
            "means": self.means,
        }
        return {key: value for key, value in described.items() if value}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> FieldFormat:
        """The format that `describe` described."""
        mask = described.get("mask")
        return cls(
            tuple(
                FieldVariable(
                    one["name"],
                    one["dtype"],
                    tuple((name, size) for name, size in one["levels"]),
                    one["attributes"] or None,
                    None if one["chunks"] is None else tuple(one["chunks"]),
                )
                for one in described["variables"]
            ),
            tuple(described["rows"]),
            tuple(described["dims"]),
            tuple(described["sizes"]),
            tuple(
                FieldCoordinate(
                    one["name"],
                    tuple(one["dims"]),
                    PackedArray.from_description(one["values"]),
                    one["attributes"] or None,
                )
                for one in _listed(described.get("coordinates"))
            ),
            described.get("attributes") or None,
            None if mask is None else PackedArray.from_description(mask),
            tuple(_listed(described.get("periodic"))),
            described.get("latitude"),
            described.get("means"),
        )


def _band_areas(latitudes: Tensor) -> Tensor:
    """The areas of bands of cells about latitudes in degrees, over their mean height in radians.

    They are the cosines of latitudes but for cells that reach the poles: a row at a pole stands for
    half a cell, whose area is not zero as its cosine is.
    """
    place = torch.deg2rad(latitudes)
    if len(place) < 2:
        return place.cos().clamp(min=0)
    between = (place[1:] + place[:-1]) / 2
    first, last = (3 * place[0] - place[1]) / 2, (3 * place[-1] - place[-2]) / 2
    edges = torch.cat([first[None], between, last[None]]).clamp(-math.pi / 2, math.pi / 2)
    return edges.sin().diff().abs() / place.diff().abs().mean()


def _listed(values: Sequence[Any] | None) -> Sequence[Any]:
    return () if values is None else values
