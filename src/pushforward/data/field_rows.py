"""Rows of fields by their numbers, out of a store, with cells that have no values checked."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.field_format import FieldFormat
from pushforward.errors import InputError

__all__ = ["FieldRows", "gap_error"]

_SAMPLED = 16
"""Rows that the fingerprint of a store is made of, beside what it says of itself."""


class FieldRows:
    """The rows of a store as numbers, `(k, C, *sizes)`, NaN where there are none.

    Rows along several dimensions are counted with the last one fastest.

    Args:
        store: a data set of `xarray`.
        found: what of it is read, and how.
        where: what errors name.
    """

    def __init__(self, store: Any, found: FieldFormat, where: str) -> None:
        self.store, self.format, self.where = store, found, where
        self.counts = tuple(int(store.sizes[name]) for name in found.rows)
        kinds = {np.dtype(one.dtype) for one in found.variables}
        wide = any((kind.kind in "iu" and kind.itemsize > 2) or kind.itemsize > 4 for kind in kinds)
        self.dtype = np.dtype("float64" if wide else "float32")

    def __len__(self) -> int:
        return int(np.prod(self.counts))

    def read(self, numbers: NDArray[np.int64], dtype: Any = None) -> NDArray[Any]:
        """Rows of some numbers, in any order, as they are in the store.

        Raises `InputError` for values that cannot be read.
        """
        asked, back = np.unique(numbers, return_inverse=True)
        out = np.empty((len(asked), *self.format.event_shape), dtype or self.dtype)
        *outer, last = np.unravel_index(asked, self.counts)
        groups = np.stack(outer, 1) if outer else np.zeros((len(asked), 0), int)
        for place in np.unique(groups, axis=0):
            here = (groups == place).all(1)
            fixed = dict(zip(self.format.rows[:-1], map(int, place), strict=True))
            out[here] = self._along(fixed, last[here])
        return out[back]

    def checked(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows with zeros in the cells that have no values.

        Raises `InputError` for values that are missing elsewhere, or infinite.
        """
        x = self.read(numbers, np.float32)
        present = self.format.present
        fine = np.isfinite(x) if present is None else np.isfinite(x) | ~present
        if not fine.all():
            raise gap_error(self, x, numbers, ~fine)
        return x if present is None else np.where(present, x, np.float32(0))

    def name_of(self, number: int) -> str:
        """Where a row is in the store, with its coordinate."""
        parts = []
        places = np.unravel_index(number, self.counts)
        for name, place in zip(self.format.rows, places, strict=True):
            said = ""
            if name in self.store.coords:
                said = f" ({_spelled(self.store.coords[name].values[place])})"
            parts.append(f"{name} {int(place)}{said}")
        return ", ".join(parts)

    def identity(self) -> str:
        """A sha256 of what the store says of itself and of some of its rows, in hexadecimal.

        Sixteen rows evenly spread, the first and the last among them: a change in others is not
        seen.
        """
        about = {**self.format.describe(), "counts": self.counts, "mask": None}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
        for name in self.format.rows:
            if name in self.store.coords:
                digest.update(self.store.coords[name].values.astype(str).tobytes())
        numbers = np.unique(np.linspace(0, len(self) - 1, _SAMPLED).astype(np.int64))
        digest.update(np.nan_to_num(self.read(numbers, np.float32)).tobytes())
        return digest.hexdigest()

    def _along(self, fixed: dict[str, int], last: NDArray[np.int64]) -> NDArray[Any]:
        parts = []
        for one in self.format.variables:
            array = self.store[one.name].isel({**fixed, self.format.rows[-1]: last})
            axes = (self.format.rows[-1], *(n for n, _ in one.levels), *self.format.dims)
            try:
                values = array.transpose(*axes).values
            except (OSError, RuntimeError, ValueError) as error:
                raise InputError(
                    f"{self.where}, variable {one.name!r} is damaged ({error})"
                ) from None
            parts.append(values.reshape(len(last), one.channels, *self.format.sizes))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, 1)


def gap_error(
    rows: FieldRows, x: NDArray[Any], numbers: NDArray[np.int64], bad: NDArray[np.bool_]
) -> InputError:
    """What to say of the first value that is missing where others are there, or infinite."""
    row, channel, *cell = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    names = rows.format.channel_names
    place = ", ".join(f"{n} {i}" for n, i in zip(rows.format.dims, cell, strict=True))
    value = x[(row, channel, *cell)]
    what = "is missing" if np.isnan(value) else f"is {value}"
    count = int(bad.reshape(len(bad), -1).any(1).sum())
    column = np.ravel_multi_index((channel, *cell), bad.shape[1:])
    if len(bad) > 1 and bool(bad.reshape(len(bad), -1)[:, column].all()):
        return InputError(
            f"{rows.where}: {names[channel]} {what} at {place} in all of {len(bad)} rows, where "
            "the data of the model, or of the target, have values: fill it in, or begin with these "
            "data"
        )
    return InputError(
        f"{rows.where}: {names[channel]} {what} at {rows.name_of(int(numbers[row]))}, {place}, "
        f"where other rows have a value; so it is in {count} of {len(bad)} rows. Cells that are "
        "missing in every row are masked; fill in the others, or leave these rows out with "
        "drop_nonfinite=True"
    )


def _spelled(value: Any) -> str:
    text = str(value)
    return text.removesuffix("000000000").rstrip(".") if "T" in text else text
