"""The places of rows in the store that they came from, for what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pushforward.data.calendars import in_hours, of_calendar
from pushforward.data.dataset import Data
from pushforward.data.field_format import FieldCoordinate, FieldFormat
from pushforward.data.packed import PackedArray
from pushforward.data.stores import opened, plain_attributes
from pushforward.errors import InputError

__all__ = ["with_row_coordinates"]


def with_row_coordinates(source: Any, data: Data) -> FieldFormat:
    """The format of fields with the coordinates of their rows, such as the times of a file.

    For fields that are made of those of a store, one each: samples are of no time. Days of
    calendars that numpy does not know are numbers of hours (`data.calendars.in_hours`).

    Args:
        source: what the data were read from: a path, or an object of `xarray`.
        data: fields.

    Raises `InputError` for data that are no fields.
    """
    fields = data.schema.fields
    if fields is None:
        raise InputError("these data are no fields of a store")
    store, _ = opened(source)
    counts = [int(store.sizes[name]) for name in fields.rows]
    total = int(np.prod(counts))
    numbers = np.arange(total) if data.rows is None else data.rows.cpu().numpy()
    places = np.unravel_index(numbers, counts)
    found = []
    for name, place in zip(fields.rows, places, strict=True):
        one = store.coords.get(name)
        if one is None or one.dims != (name,):
            continue
        values, attributes = one.values[place], plain_attributes(one.attrs)
        if of_calendar(values):
            values, more = in_hours(values)
            attributes = {**(attributes or {}), **more}
        if values.dtype.kind in "biufMmU":
            packed = PackedArray.of(values)
            found.append(FieldCoordinate(name, (fields.row_name,), packed, attributes))
    return replace(fields, coordinates=(*fields.coordinates, *found))
