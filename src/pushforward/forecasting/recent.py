"""The last frames of a store, which a forecast is given, and the times that follow them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data import Schema, load
from pushforward.data.calendars import in_hours
from pushforward.data.columns import listed
from pushforward.data.field_format import FieldCoordinate, FieldFormat
from pushforward.data.packed import PackedArray
from pushforward.data.stores import opened, plain_attributes
from pushforward.data.time_steps import TimeStep
from pushforward.errors import InputError
from pushforward.forecasting.rolling import require_windows

__all__ = ["Recent", "recent_frames"]

_CLOSE = 1e-3
"""How far a step may be from that of the model, over it."""

_OF_ROWS = ("stay in the store", "stands for itself")
"""What is said of rows in a store, and means nothing to the last few of them."""


@dataclass(frozen=True)
class Recent:
    """Frames in a row, after which a forecast begins.

    Args:
        frames: `(past, C, *sizes)`.
        fields: what they are in their store.
        step: the time from one to the next.
        last: the time of the last one, of numpy or of another calendar; `None` without times.
        attributes: of the coordinate of time.
        identity: of the data, a fingerprint.
        notes: what to know of them, a sentence each.
    """

    frames: Tensor
    fields: FieldFormat
    step: TimeStep
    last: Any
    attributes: dict[str, Any] | None
    identity: str
    notes: tuple[str, ...]

    def continued(self, leads: int) -> FieldFormat:
        """What forecasts are in a store: the frames of the data, at the times that follow.

        Times of calendars that numpy does not know are numbers of hours, as the conventions of
        climate and forecast files have them.
        """
        if self.last is None or self.step.kind == "row":
            return self.fields
        name, about = self.fields.row_name, self.attributes
        if hasattr(self.last, "calendar"):
            times, more = _of_calendar(self.last, self.step, leads)
            about = {**(about or {}), **more}
        else:
            times = self.step.after(self.last, leads)
        axis = FieldCoordinate(name, (name,), PackedArray.of(times), about)
        return replace(self.fields, coordinates=(*self.fields.coordinates, axis))


def recent_frames(source: Any, schema: Schema, **options: Any) -> Recent:
    """The last frames of a store, as many as a model is given.

    Args:
        source: a NetCDF file, a Zarr store or an `xarray` object with the variables of the model,
            of which only the last rows are read.
        schema: of the data of the model.
        options: of `data.load`, such as `rows=`. `drop_nonfinite=True` reads all rows, and leaves
            out those that lack values: at the end, the forecast begins earlier; among the last
            frames, such a row is a gap.

    Raises `InputError` for other variables, units or grids than those of the model, fewer frames
    than it is given, a gap or another step of time among them, and values that lack.
    """
    windows, frames = require_windows(schema)
    plain = replace(schema, fields=frames, windows=None)
    # Which rows are whole is known when all have been read.
    lazy = not (options.get("drop_nonfinite") or options.get("double"))
    given = {name: value for name, value in options.items() if value is not None}
    data = load(source, like=plain, **{"lazy": lazy, **given})
    where, count = str(data.source), len(data)
    if data.schema.fields is not None and len(data.schema.fields.rows) > 1:
        others = data.schema.fields.rows
        raise InputError(
            f"{where} has rows along {listed(others)}: a forecast follows one series, so cut one "
            f"out, such as store.isel({others[0]}=0), or select its entry in the file"
        )
    if count < windows.past:
        raise InputError(
            f"{where} has {count} frame{'s' if count > 1 else ''}, and the model is given the last "
            f"{windows.past}: give it a longer series"
        )
    fields = data.schema.fields
    assert fields is not None
    step, last, attributes = windows.step or TimeStep(1, "row"), None, None
    kept = np.arange(count) if data.rows is None else data.rows.numpy()
    rows = kept[-windows.past :]
    store, _ = opened(source)
    name, off = fields.rows[0], np.diff(rows) - 1.0
    said = [f"row {row}" for row in rows]
    if len(fields.rows) == 1 and name in store.coords:
        one = store.coords[name]
        values = one.values[rows]
        said = [f"{name} {row} ({value})" for row, value in zip(rows, values, strict=True)]
        if step.kind != "row":
            off = step.between(values, f"{where}, {name}") - 1
        last = values[-1]
        attributes = plain_attributes(one.attrs)
    if (np.abs(off) > _CLOSE).any():
        k = int(np.argmax(np.abs(off) > _CLOSE))
        raise InputError(
            f"{where}: from {said[k]} to the next ({said[k + 1]}) it is {off[k] + 1:g} times "
            f"{step}, and the model is given the last {windows.past} frames, one every {step}: "
            "fill in what lacks, or bring the frames to that step"
        )
    notes = [note for note in data.notes if not any(words in note for words in _OF_ROWS)]
    total = count + data.dropped
    if rows[-1] < total - 1:
        notes.append(
            f"{where}: the last {total - 1 - int(rows[-1])} of {total} frames lack values and are "
            f"left out: what follows begins after {said[-1]}"
        )
    frames_given = data.x[torch.arange(count - windows.past, count)]
    return Recent(frames_given, fields, step, last, attributes, data.fingerprint, tuple(notes))


def _of_calendar(last: Any, step: TimeStep, leads: int) -> tuple[NDArray[Any], dict[str, Any]]:
    """The times after one of a calendar of its own, in hours, and the attributes that say so."""
    times = [last]
    for k in range(1, leads + 1):
        if step.kind == "months":
            years, month = divmod(last.month - 1 + k * round(step.size), 12)
            first = last.replace(year=last.year + years, month=month + 1, day=1)
            days = first.daysinmonth
            ended = last.day == last.daysinmonth
            times.append(first.replace(day=days if ended else min(last.day, days)))
        else:
            times.append(last + timedelta(microseconds=k * step.size / 1000))
    # From the day of the last frame, which is not one of them.
    hours, said = in_hours(np.array(times))
    return hours[1:], said
