"""Frames after frames: the leads that a model draws together, and further ones after these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed
from pushforward.data import Schema
from pushforward.data.field_format import FieldFormat
from pushforward.data.window_rows import contexts_of, frames_of
from pushforward.data.windows import Windows
from pushforward.errors import InputError
from pushforward.forecasting.forecaster import Forecaster

__all__ = ["require_windows", "rolled_out", "stride_of", "within_limits"]


def require_windows(schema: Schema) -> tuple[Any, Any]:
    """The windows of a model and what its frames are.

    Raises `InputError` for a model of anything else.
    """
    if schema.windows is None or schema.frames is None:
        raise InputError(
            "this model was not trained on windows of frames: train it with forecast=PAST:LEADS "
            "(`pushforward train DATA --forecast 20:8`)"
        )
    return schema.windows, schema.frames


def within_limits(x: Tensor, past: Tensor, frames: FieldFormat) -> Tensor:
    """Frames `(*, C, *sizes)` with values no further than the attributes `valid_min`, `valid_max`
    and `valid_range` of their variables say: no rain below zero.

    An end that frames of the past go beyond is that of packed integers, or wrong, and left aside.

    >>> from pushforward.data.field_format import FieldVariable
    >>> rain = FieldVariable("rain", attributes={"valid_min": 0.0})
    >>> found, past = torch.tensor([[-1.0, 2.0]]), torch.tensor([[0.0, 1.0]])
    >>> within_limits(found, past, FieldFormat((rain,), ("time",), ("x",), (2,)))
    tensor([[0., 2.]])
    """
    low, high = [], []
    for one in frames.variables:
        told = one.attributes or {}
        ends = told.get("valid_range") or (told.get("valid_min"), told.get("valid_max"))
        low += one.channels * [-torch.inf if ends[0] is None else float(ends[0])]
        high += one.channels * [torch.inf if ends[1] is None else float(ends[1])]
    shape = (-1, *(1 for _ in frames.sizes))
    least, most = x.new_tensor(low).reshape(shape), x.new_tensor(high).reshape(shape)
    axes = (*range(past.ndim - len(shape)), *range(1 - len(shape), 0))
    least = torch.where(past.amin(axes, keepdim=True).reshape(shape) < least, -torch.inf, least)
    most = torch.where(past.amax(axes, keepdim=True).reshape(shape) > most, torch.inf, most)
    return x.clamp(least, most)


def stride_of(windows: Windows, leads: int, stride: int | None = None) -> int:
    """After how many frames a forecast of some leads goes on from its own; all leads of a model by
    default.

    Direct leads are each drawn straight from the past. Together they are no draw of several frames,
    so that nothing can follow from them but from one: of a model that is given more than one frame
    strides are of one frame, or there is no going on.

    Raises `InputError` for a stride beyond the leads of the model, and where going on takes more
    frames than follow from each other.

    >>> stride_of(Windows.parse("4:8"), 24), stride_of(Windows.parse("1:1-8"), 24)
    (8, 8)
    """
    chosen = windows.leads if stride is None else checks.whole("stride", stride)
    if chosen > windows.leads:
        raise InputError(f"stride={chosen}, and the model draws {windows.leads} frames ahead")
    if windows.direct and windows.past > 1 and 1 < chosen < leads:
        raise InputError(
            f"this model draws each of its {windows.leads} leads straight from {windows.past} "
            f"frames, and {leads} leads in strides of {chosen} would follow from frames that were "
            f"not drawn together: go on frame by frame (stride=1), or ask for {windows.leads} "
            "leads or fewer"
        )
    return chosen


@torch.no_grad()
def rolled_out(
    model: Forecaster,
    past: Tensor,
    schema: Schema,
    leads: int | None = None,
    *,
    stride: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
    **options: Any,
) -> Tensor:
    """A draw of the next frames for each row, `(B, past, C, *sizes)` to `(B, leads, C, *sizes)`.

    The leads that the model has learned are drawn together, or each by itself where they are
    direct, with the same noise; further ones follow from the last frames that were drawn, each row
    from its own. Values beyond the valid range of a variable are brought to its ends,
    `within_limits`.

    Args:
        model: draws windows, in data units.
        past: as many frames as the model is given, or more, of which the last count.
        schema: of the data of the model.
        leads: how many; by default those that the model has learned.
        stride: after how many frames to go on from those that were drawn, `stride_of`; 1 goes frame
            by frame.
        seed: the noise of row `k` follows from the seed and `k`.
        progress: called with the number of leads that there are, and of all.
        options: of `model.sample`.

    Raises `InputError` for fewer frames than the model is given, for other frames, and for a stride
    that does not go on.
    """
    windows, frames = require_windows(schema)
    leads = windows.leads if leads is None else checks.whole("leads", leads)
    each = stride_of(windows, leads, stride)
    if tuple(past.shape[2:]) != frames.event_shape:
        raise InputError(f"frames have shape {frames.event_shape}, not {tuple(past.shape[2:])}")
    if past.shape[1] < windows.past:
        raise InputError(
            f"the model is given {windows.past} frames in a row, and there are {past.shape[1]}"
        )
    found: list[Tensor] = []
    there = past[:, -windows.past :]
    for block in range(0, leads, each):
        own = derived_seed(seed, block)
        asked: list[float | None] = [None]
        if windows.direct:
            asked = [k / windows.leads for k in range(1, min(each, leads - block) + 1)]
        parts = []
        for lead in asked:
            ahead = None if lead is None else torch.full((len(there),), lead)
            c = contexts_of(there, frames, ahead)
            drawn = model.sample(len(there), c, seed=own, **options)
            parts.append(frames_of(drawn.to(past), frames))
        new = within_limits(torch.cat(parts, 1)[:, :each], past, frames)
        found.append(new)
        there = torch.cat([there, new], 1)[:, -windows.past :]
        if progress is not None:
            progress(min(block + each, leads), leads)
    return torch.cat(found, 1)[:, :leads]
