"""Where functions are known, and in what form they lay in a file: wide, long, or an array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.packed import PackedArray
from pushforward.errors import InputError

__all__ = ["FunctionFormat"]


@dataclass(frozen=True)
class FunctionFormat:
    """The points of functions `(N, C, *sizes)` and how these are written.

    Args:
        form: `"wide"`, a table with a row for each function and a column for each point; `"long"`,
            one with a row for each value; `"array"`; or `"store"`, of fields.
        coordinates: the names of the coordinates, empty where there are none.
        axes: the coordinates of a grid, an array for each axis; of scattered points one array
            `(M, d)`.
        scattered: whether the points are.
        values: the names of the channels.
        columns: of a wide table, the names of its columns; of a long one all names in their order.
        id: the column of a long table that tells functions apart.
        periodic: the numbers of the axes whose ends meet.
        masked: whether values may be missing.
        channels: whether an array has an axis of channels.
        ids: of a long table, what its functions are called; not kept with a model.

    >>> known = FunctionFormat("wide", axes=(PackedArray.of(np.arange(3.0)),), columns=("a", "b"))
    >>> known.sizes, FunctionFormat.from_description(known.describe()) == known
    ((3,), True)
    """

    form: str
    coordinates: tuple[str, ...] = ()
    axes: tuple[PackedArray, ...] = ()
    scattered: bool = False
    values: tuple[str, ...] = ("",)
    columns: tuple[str, ...] = ()
    id: str | None = None
    periodic: tuple[int, ...] = ()
    masked: bool = False
    channels: bool = False
    ids: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of the points."""
        return tuple(axis.shape[0] for axis in self.axes)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(C, *sizes)`."""
        return (len(self.values), *self.sizes)

    @property
    def dimension(self) -> int:
        """How many coordinates a point has."""
        return self.axes[0].shape[1] if self.scattered else len(self.axes)

    def space_options(self) -> dict[str, Any]:
        """The arguments of the space, `spaces.Functions`."""
        where: dict[str, Any]
        if self.scattered:
            where = {"points": self.axes[0].array().astype(np.float64).tolist()}
        else:
            where = {"axes": [axis.array().astype(np.float64).tolist() for axis in self.axes]}
        return {
            **where,
            "periodic": [k in self.periodic for k in range(self.dimension)],
            "masked": self.masked,
            "names": list(self.values) if any(self.values) else [],
            "labels": list(self.coordinates),
        }

    def check_alike(self, other: FunctionFormat, where: str) -> None:
        """Raise `InputError` unless functions of another file lie on the same points."""
        if self.values != other.values and any(self.values) and any(other.values):
            raise InputError(
                f"{where} has the channels {', '.join(other.values)}, where the model knows "
                f"{', '.join(self.values)}"
            )
        if self.sizes != other.sizes or self.scattered != other.scattered:
            raise InputError(
                f"{where} has functions at {_counted(other.sizes)} points, the model knows "
                f"{_counted(self.sizes)}: it takes functions on the grid of its training"
            )
        names = (", ".join(self.coordinates),) if self.scattered else self.coordinates
        for name, own, new in zip(
            names or len(self.axes) * ("",), self.axes, other.axes, strict=True
        ):
            a, b = own.array().astype(np.float64), new.array().astype(np.float64)
            step = 1e-3 * np.ptp(a, axis=0) / max(len(a) - 1, 1)
            if bool((np.abs(a - b) > step).any()):
                k = int(np.abs(a - b).reshape(len(a), -1).max(1).argmax())
                called = f" of {name}" if name else ""
                raise InputError(
                    f"{where} is on another grid: point {k}{called} is {b.reshape(len(b), -1)[k]}, "
                    f"where the model knows {a.reshape(len(a), -1)[k]}"
                )

    def with_gaps(self, masked: bool) -> FunctionFormat:
        """The same, and whether values may be missing."""
        return replace(self, masked=masked)

    def table(
        self, x: Tensor, told: Mapping[str, NDArray[Any]] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Functions as the columns of a table, in the form that they came in.

        A long table has the number of each function in the column of its names, and leaves missing
        values out; a wide one has NaN there. What is `told` are values for each function that a
        table has in further columns, a long one after these numbers or in their place.
        """
        values = x.reshape(len(x), len(self.values), -1).numpy()
        if self.form == "wide":
            return {**dict(zip(self.columns, values[:, 0].T, strict=True)), **(told or {})}
        if self.form != "long":
            names = [f"{value}{k}" for value in self._named("x") for k in range(values.shape[2])]
            return dict(zip(names, values.reshape(len(x), -1).T, strict=True))
        there = ~np.isnan(values).all(1)
        function, point = np.nonzero(there)
        found: dict[str, NDArray[Any]] = {str(self.id): function}
        for k, name in enumerate(self.coordinates):
            found[name] = self._coordinate(k)[point]
        for k, name in enumerate(self.values):
            found[name] = values[:, k][function, point]
        more = {name: values[function] for name, values in (told or {}).items()}
        found.update(more)
        return {name: found[name] for name in self._with(more)}

    def _with(self, more: Iterable[str]) -> list[str]:
        """The columns of a long table, with further ones after that of the names."""
        at = self.columns.index(str(self.id)) + 1
        new = [name for name in more if name not in self.columns]
        return [*self.columns[:at], *new, *self.columns[at:]]

    def array(self, x: Tensor) -> Tensor:
        """Functions as the array that they came in."""
        return x if self.channels or len(self.values) > 1 else x[:, 0]

    def _named(self, default: str) -> Sequence[str]:
        return self.values if any(self.values) else [default]

    def _coordinate(self, k: int) -> NDArray[Any]:
        """A coordinate of every point, one after the other."""
        if self.scattered:
            return self.axes[0].array()[:, k]
        grids = np.meshgrid(*(axis.array() for axis in self.axes), indexing="ij")
        flat: NDArray[Any] = grids[k].reshape(-1)
        return flat

    @property
    def words(self) -> str:
        """What the states are, as `spaces.Functions` says it."""
        count = f" of {len(self.values)} channels" if len(self.values) > 1 else ""
        return f"functions{count} at {_counted(self.sizes)} points"

    def summary(self) -> list[str]:
        """What a user wants to know of it, a line each."""
        kind = {"wide": "a row for each function", "long": f"functions told apart by {self.id!r}"}
        lines = [kind.get(self.form, "an array of functions")]
        if self.scattered:
            return [*lines, f"{self.sizes[0]} scattered points of {self.dimension} coordinates"]
        for k, axis in enumerate(self.axes):
            place = axis.array()
            name = self.coordinates[k] if k < len(self.coordinates) and self.coordinates[k] else ""
            turns = ", periodic" if k in self.periodic else ""
            lines.append(
                f"{name or f'axis {k}'}: {len(place)} points from {place[0]:g} to {place[-1]:g}"
                f"{turns}"
            )
        return lines

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold, without what is empty."""
        described = {
            "form": self.form,
            "coordinates": list(self.coordinates),
            "axes": [axis.describe() for axis in self.axes],
            "scattered": self.scattered,
            "values": list(self.values),
            "columns": list(self.columns),
            "id": self.id,
            "periodic": list(self.periodic),
            "masked": self.masked,
            "channels": self.channels,
        }
        return {key: value for key, value in described.items() if value}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> FunctionFormat:
        """The format that `describe` described."""
        return cls(
            described["form"],
            tuple(described.get("coordinates") or ()),
            tuple(map(PackedArray.from_description, described.get("axes") or ())),
            bool(described.get("scattered")),
            tuple(described.get("values") or ("",)),
            tuple(described.get("columns") or ()),
            described.get("id"),
            tuple(described.get("periodic") or ()),
            bool(described.get("masked")),
            bool(described.get("channels")),
        )


def _counted(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
