"""Fields as data: what `load` makes of NetCDF files, Zarr stores and `xarray` objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward._precision import narrowed
from pushforward.data import formats
from pushforward.data.columns import listed
from pushforward.data.dataset import Data
from pushforward.data.declared import require_room
from pushforward.data.field_choice import Asked, chosen_format
from pushforward.data.field_format import FieldFormat
from pushforward.data.field_matching import as_known, as_target, on_own_grid
from pushforward.data.field_patches import in_patches
from pushforward.data.field_rows import FieldRows, gap_error
from pushforward.data.joined_stores import is_pattern
from pushforward.data.options import given_options
from pushforward.data.patch_format import parse_patches
from pushforward.data.places import existing
from pushforward.data.schema import Schema
from pushforward.data.stored import Stored, rows_at_once
from pushforward.data.stores import is_store, opened
from pushforward.data.window_rows import WindowRows
from pushforward.data.windows import Windows
from pushforward.errors import InputError

__all__ = ["load_as_target", "load_on_own_grid", "reading_fields"]

F = TypeVar("F", bound=Callable[..., Data])

Matching = Callable[..., tuple[FieldFormat, list[str]]]

IN_MEMORY = 1 << 30
"""Bytes of float32 that are read at once; more stay in the store unless `lazy` says otherwise."""

_LOOKED_AT = 64
"""Rows of a store that stays there in which missing cells are looked for when it is opened."""

_OPTIONS = ("variables", "rows", "periodic", "weights", "means", "lazy", "forecast", "patches")


def reading_fields(load: F) -> F:
    """A reader of data that also reads fields, with `variables=`, `rows=`, `periodic=`, `weights=`,
    `means=`, `lazy=`, `forecast=` and `patches=`."""

    @wraps(load)
    def reading(
        source: Any,
        *,
        variables: Sequence[str] | str | None = None,
        rows: Sequence[str] | str | None = None,
        periodic: Sequence[str] | str | None = None,
        weights: str | None = None,
        means: str | None = None,
        lazy: bool | None = None,
        forecast: str | None = None,
        patches: str | None = None,
        **options: Any,
    ) -> Data:
        given = {
            "variables": _names(variables),
            "rows": _names(rows),
            "periodic": _names(periodic),
            "weights": weights,
            "means": means,
            "lazy": lazy,
            "forecast": forecast,
            "patches": patches,
        }
        said = {name: value for name, value in given.items() if value is not None}
        # By its name an array is read as one, without coordinates.
        as_arrays = not given_options(options).keys().isdisjoint({"key", "label"})
        if is_store(source) and not as_arrays:
            return _in_patches(_read(source, said, **options), said, options.get("like"))
        if said:
            name = next(iter(said))
            raise InputError(
                f"{name}= means nothing for {source if isinstance(source, str) else 'these data'}: "
                "it is for fields, from NetCDF files with coordinates, Zarr stores and xarray"
            )
        return load(source, **options)

    return cast(F, reading)


def load_on_own_grid(source: Any, like: Schema, **options: Any) -> Data:
    """The variables of other fields, `like.fields`, on the grid that they have in a store.

    Coarse fields for a model of fine ones: `downscaling.refined` brings them to its grid. `options`
    are those that `load` has for fields, which read the rows.

    Raises `InputError` for what is no store, and as `load` does for other variables and units.
    """
    return _of_target(source, like, on_own_grid, options)


def load_as_target(source: Any, like: Schema, **options: Any) -> Data:
    """Other fields of a target, `like.fields`, on its grid: `load` with `like=`, without a model.

    Raises `InputError` for what is no store, and as `load` does for all that differs.
    """
    return _of_target(source, like, as_target, options)


def _of_target(source: Any, like: Schema, matching: Matching, options: dict[str, Any]) -> Data:
    """Fields that some format of a target matches."""
    if isinstance(source, str | os.PathLike) and not is_pattern(source):
        existing(source)
    if not is_store(source):
        raise InputError(
            f"{source} is no store of fields, as the data are: give a NetCDF file, a Zarr store or "
            "an xarray object"
        )
    taken = {key: options.pop(key) for key in ("rows", "lazy") if options.get(key) is not None}
    if "rows" in taken:
        taken["rows"] = _names(taken["rows"])
    return _read(source, taken, like=like, matching=matching, **options)


def _read(
    source: Any,
    said: dict[str, Any],
    *,
    matching: Matching = as_known,
    space: Any = None,
    like: Data | Schema | None = None,
    name: str | None = None,
    label: Any = None,
    drop_nonfinite: bool = False,
    double: bool = False,
    **options: Any,
) -> Data:
    """The rows of a store as `Data` of fields."""
    odd = list(given_options(options))
    if odd:
        raise InputError(
            f"{odd[0]}= means nothing for fields; they take "
            f"{', '.join(f'{option}=' for option in _OPTIONS)}, drop_nonfinite= and double="
        )
    store, where = opened(source)
    schema = (like.schema if isinstance(like, Data) else like or Schema()).whole
    windows = _asked_windows(said.get("forecast"), schema)
    known = schema.fields if schema.frames is None else schema.frames
    asked = {key: said[key] for key in said if key not in ("lazy", "forecast", "patches")}
    if known is None:
        found, notes = chosen_format(store, where, Asked(**asked))
    else:
        found, notes = matching(store, where, known, asked.get("rows"))
    rows = FieldRows(store, found, where)
    if not len(rows):
        raise InputError(f"{where} has no rows along {listed(found.rows)}")
    size = 4 * len(rows) * int(np.prod(found.event_shape))
    lazy = said.get("lazy")
    lazy = size > IN_MEMORY if lazy is None else lazy
    if lazy and (drop_nonfinite or double):
        option = "drop_nonfinite" if drop_nonfinite else "double"
        raise InputError(
            f"{option}=True reads all of {where}, {size / 2**30:.1f} GiB: with lazy=False if that "
            "fits in memory"
        )
    numbers: Tensor | None = None
    x: Tensor
    if lazy:
        x, rows = _in_store(rows, masked=known is None)
        notes.append(
            f"{where}: {len(rows):,} rows, {size / 2**20:,.0f} MiB, stay in the store and are read "
            "as they are needed; lazy=False reads all of them"
        )
    else:
        x, rows, numbers = _in_memory(rows, drop_nonfinite, masked=known is None)
        x = x if double else narrowed(x)
    path = Path(source).expanduser() if isinstance(source, str | os.PathLike) else None
    origin = None
    if path is not None:
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in said.items()}
        more = {"drop_nonfinite": True} if drop_nonfinite else {}
        origin = {"source": str(path.resolve()), **plain, **more}
        origin |= {} if name is None else {"name": name}
    found, dropped = rows.format, len(rows) - len(x)
    states, c = found.words, None
    if windows is None:
        notes += _of_times(rows)
    else:
        inside = WindowRows.of(x, rows, numbers, windows)
        x, c, numbers, windows = inside.x, inside.c, inside.starts, inside.windows
        notes += inside.notes
        states, found = f"{states}, {windows.words}", windows.of_leads(found)
    data = Data(
        x,
        c,
        name=name or _name(path, where),
        kind="image" if len(found.sizes) == 2 else "vector",
        source=where if path is None else str(path),
        schema=Schema(fields=found, windows=windows),
        dropped=dropped,
        rows=numbers,
        states=states,
        notes=tuple(notes),
        origin=origin,
    )
    if space is not None:
        try:
            space.check(x)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    return data


def _in_store(rows: FieldRows, *, masked: bool) -> tuple[Stored, FieldRows]:
    """Rows that are read as they are asked for; cells without values as some of the rows say."""
    if masked:
        event_shape = rows.format.event_shape
        count = min(len(rows), _LOOKED_AT, 4 * rows_at_once(event_shape))
        numbers = np.unique(np.linspace(0, len(rows) - 1, count).astype(np.int64))
        missing = np.zeros(event_shape, bool)
        always = np.ones(event_shape, bool)
        step = rows_at_once(event_shape)
        for i in range(0, len(numbers), step):
            gaps = np.isnan(rows.read(numbers[i : i + step], np.float32))
            missing |= gaps.any(0)
            always &= gaps.all(0)
        if (missing & ~always).any():
            # Said by the row that lacks a value.
            rows.format = rows.format.with_mask(~always)
            for number in numbers:
                rows.checked(number[None])
        rows.format = _with_cells(rows, ~always)
    shape, identity = rows.format.event_shape, rows.identity()
    return Stored(rows.checked, shape, len(rows), identity, rows.where), rows


def _in_memory(
    rows: FieldRows, drop: bool, *, masked: bool
) -> tuple[Tensor, FieldRows, Tensor | None]:
    """All rows, those that are left of them, and the numbers of these if some were left out."""
    numbers = np.arange(len(rows))
    require_room((len(rows), *rows.format.event_shape), rows.dtype, rows.where)
    x = rows.read(numbers)
    gaps = np.isnan(x)
    whole = gaps.reshape(len(x), -1).all(1)
    if whole.all():
        raise InputError(f"{rows.where}: every value is missing")
    if masked:
        rows.format = _with_cells(rows, ~gaps[~whole if drop else slice(None)].all(0))
    present = rows.format.present
    bad = ~np.isfinite(x) if present is None else ~np.isfinite(x) & present
    keep = ~bad.reshape(len(x), -1).any(1)
    if not keep.all() and not drop:
        raise gap_error(rows, x, numbers, bad)
    if not keep.any():
        raise InputError(f"{rows.where}: every one of the {len(x)} rows has a missing value")
    x = x[keep]
    if present is not None:
        x = np.where(present, x, x.dtype.type(0))
    kept = None if keep.all() else torch.from_numpy(np.flatnonzero(keep))
    return torch.from_numpy(np.ascontiguousarray(x)), rows, kept


def _with_cells(rows: FieldRows, present: NDArray[np.bool_]) -> Any:
    """The format with a mask, which leaves every variable some cells."""
    names = rows.format.channel_names
    for channel, name in enumerate(names):
        if not present[channel].any():
            raise InputError(f"{rows.where}: {name} has no value anywhere: leave it out")
    return rows.format.with_mask(present)


def _of_times(rows: FieldRows) -> list[str]:
    """Whether the times of rows are unevenly spaced, which makes no difference to rows."""
    if len(rows.format.rows) != 1 or rows.format.rows[0] not in rows.store.coords:
        return []
    name = rows.format.rows[0]
    values = rows.store.coords[name].values
    if values.dtype.kind not in "Miuf" or len(values) < 3:
        return []
    steps = np.diff(values).astype(np.float64)
    if np.ptp(steps) <= 1e-6 * np.abs(steps).max():
        return []
    if values.dtype.kind == "M" and steps.min() > 0 and steps.max() <= 1.2 * steps.min():
        return []  # months and years
    return [f"{rows.where}: the steps along {name} are uneven, and each row stands for itself"]


def _asked_windows(forecast: str | None, schema: Schema) -> Windows | None:
    """The windows that are asked for, or those of the data of a model.

    Raises `InputError` for others than those.
    """
    if schema.fields is None:
        return None if forecast is None else Windows.parse(forecast)
    known = schema.windows
    if forecast is not None and (known is None or str(Windows.parse(forecast)) != str(known)):
        what = "no forecasts" if known is None else f"forecasts {known}"
        raise InputError(f"forecast={forecast!r}, and the model was trained on {what}")
    return known


def _in_patches(data: Data, said: dict[str, Any], like: Data | Schema | None) -> Data:
    """The data in the patches that are asked for, or those of the data of a model.

    Raises `InputError` for others than those.
    """
    schema = like.schema if isinstance(like, Data) else like or Schema()
    known, asked = schema.patches, said.get("patches")
    if asked is not None:
        size, overlap = parse_patches(asked)
        cut = in_patches(data, size, overlap)
        if schema.fields is not None and cut.schema.patches != known:
            what = "whole fields" if known is None else f"patches of {known.size}, of which "
            what += "" if known is None else f"neighbors share {known.overlap} cells"
            raise InputError(f"patches={asked!r}, and the model was trained on {what}")
    elif known is None:
        return data
    else:
        cut = in_patches(data, known.size, known.overlap)
    return replace(cut, origin=data.origin)


def _names(value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    several = value.split(",") if isinstance(value, str) else value
    return tuple(str(name).strip() for name in several if str(name).strip())


def _name(path: Path | None, where: str) -> str:
    if path is None:
        return where.removeprefix("the ")
    if is_pattern(path):
        # Files of one kind lie in a folder that says what they are.
        return path.parent.name or path.name
    return path.name.removesuffix(".zarr") if path.is_dir() else formats.stem(path)
