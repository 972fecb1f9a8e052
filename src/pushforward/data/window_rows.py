"""Frames in a row out of a series, read as they are needed, and never across a gap in time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.columns import listed
from pushforward.data.field_format import FieldFormat
from pushforward.data.field_rows import FieldRows
from pushforward.data.stored import Stored
from pushforward.data.time_steps import TimeStep, positions
from pushforward.data.windows import Windows
from pushforward.errors import InputError

__all__ = ["WindowRows", "contexts_of", "frames_of", "require_step", "times_of"]


@dataclass(frozen=True)
class WindowRows:
    """The windows of one or several series of frames, as states and contexts.

    Args:
        windows: with the step of the series.
        frames: what one frame is.
        x: the states, `(N, channels, *sizes)`, all leads of a variable one after the other.
        c: the contexts, `(N, channels, *sizes)`, or vectors where a field has one dimension.
        starts: the row of the store with the first frame of each window, `(N,)`; of direct leads
            those of a window follow each other, and all begin there.
        notes: what to know of them, a sentence each.
    """

    windows: Windows
    frames: FieldFormat
    x: Tensor
    c: Tensor
    starts: Tensor
    notes: tuple[str, ...]

    @classmethod
    def of(cls, x: Tensor, rows: FieldRows, kept: Tensor | None, asked: Windows) -> WindowRows:
        """The windows of frames `(N, C, *sizes)`, those of some rows of a store, `kept`.

        A frame that lacks is a gap, whether its time lacks or its row was left out. Further
        dimensions of rows, such as the members of an ensemble, number series: no window goes from
        one to the next, and they stand one after the other.

        Raises `InputError` for rows of which none is a time, uneven steps, or too few frames.
        """
        step, at, along, notes = times_of(rows)
        if asked.step is not None:
            require_step(step, asked.step, rows.where)
        several = rows.counts if len(rows.counts) > 1 else None
        windows = replace(asked, step=step, counts=several, along=along if several else 0)
        numbers = np.arange(len(rows)) if kept is None else kept.numpy()
        places = np.unravel_index(numbers, rows.counts)
        others = [k for k in range(len(places)) if k != along]
        series = np.zeros(len(numbers), np.int64)
        for k in others:
            series = series * rows.counts[k] + places[k]
        # Between series lies more than a window, whatever their times.
        at = at[places[along]] + series * (int(at[-1]) + windows.length + 1)
        order = np.argsort(at, kind="stable")
        at = at[order]
        count = len(at) - windows.length + 1
        ends = np.arange(max(count, 0))
        whole = ends[at[ends + windows.length - 1] - at[ends] == windows.length - 1]
        if len(whole) == 0:
            longest = _longest(at)
            raise InputError(
                f"{rows.where} has {len(at)} frames, {longest} of them in a row at the most, and a "
                f"forecast {windows} takes windows of {windows.length}: give it fewer frames"
            )
        gaps = int((np.diff(at) > 1).sum()) - int((np.diff(series[order]) > 0).sum())
        if gaps:
            notes.append(
                f"{rows.where}: no window goes across its {gaps} gap{'s' if gaps > 1 else ''} in "
                "time"
            )
        frames = rows.format
        reading = _Reading(x, windows, frames, order)
        shapes = reading.shapes
        identity = hashlib.sha256(f"{_identity(x)} {windows} {whole.tolist()}".encode())
        parts: list[Tensor] = []
        states = len(whole) * (windows.leads // windows.drawn)
        for k, shape in enumerate(shapes):
            read = reading.part(k, whole)
            if x.dtype == torch.float32:
                name = f"{identity.hexdigest()} {k}"
                parts.append(Stored(read, shape, states, name, rows.where))
            else:
                # Numbers that float32 cannot carry are not read again and again.
                parts.append(torch.from_numpy(read(np.arange(states))))
        starts = torch.from_numpy(numbers[order[whole]]).repeat_interleave(states // len(whole))
        return cls(windows, frames, parts[0], parts[1], starts, tuple(notes))


class _Reading:
    """What gives states and contexts by the numbers of windows."""

    def __init__(
        self, x: Tensor, windows: Windows, frames: FieldFormat, order: NDArray[np.int64]
    ) -> None:
        self.x, self.windows, self.frames, self.order = x, windows, frames, order

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of one state and of one context."""
        channels, *sizes = self.frames.event_shape
        told = (self.windows.given(self.frames), *sizes)
        given = told if len(sizes) == 2 else (int(np.prod(told)),)
        return (self.windows.drawn * channels, *sizes), given

    def part(self, which: int, starts: NDArray[np.int64]) -> Any:
        """A function from numbers of windows to their states, or to their contexts."""
        windows = self.windows
        first, count = (windows.past, windows.drawn) if which == 0 else (0, windows.past)

        def read(numbers: NDArray[np.int64]) -> NDArray[Any]:
            window, lead = np.divmod(numbers, windows.leads // windows.drawn)
            # Which of the direct leads a state is; all are together otherwise.
            after = lead if which == 0 else np.zeros_like(lead)
            places = (starts[window] + first + after)[:, None] + np.arange(count)
            asked, back = np.unique(places, return_inverse=True)
            fields = self._frames(asked)[back.reshape(-1)]
            fields = fields.reshape(len(numbers), count, *fields.shape[1:])
            if which == 0:
                return _by_variable(fields, self.frames)
            ahead = torch.from_numpy(lead + 1) / windows.leads if windows.direct else None
            return contexts_of(torch.from_numpy(fields), self.frames, ahead).numpy()

        return read

    def _frames(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        numbers = self.order[numbers]
        if isinstance(self.x, Stored):
            return self.x.reading(self.x.numbers.numpy()[numbers])
        return self.x.numpy()[numbers]


def contexts_of(frames: Tensor, found: FieldFormat, ahead: Tensor | None = None) -> Tensor:
    """Past frames `(N, past, C, *sizes)` as a model is told them, `(N, past C, *sizes)`.

    Cells without values have the mean of the others, so that they say nothing and are not far from
    everything; fields of one dimension are vectors. Of direct leads `ahead` says which of them is
    asked for, over the last one, `(N,)`: a further channel, alike everywhere.
    """
    if found.present is not None:
        present = torch.from_numpy(found.present).to(frames.device)
        axes = tuple(range(3, frames.ndim))
        count = present.flatten(1).sum(1).reshape(-1, *(1 for _ in axes))
        mean = (frames * present).sum(axes, keepdim=True) / count
        frames = torch.where(present, frames, mean.to(frames))
    joined = torch.from_numpy(_by_variable(frames.cpu().numpy(), found)).to(frames.device)
    if ahead is not None:
        lead = ahead.to(joined).reshape(-1, *(1 for _ in joined.shape[1:]))
        joined = torch.cat([joined, lead.expand(len(joined), 1, *joined.shape[2:])], 1)
    return joined if joined.ndim == 4 else joined.flatten(1)


def frames_of(x: Tensor, found: FieldFormat) -> Tensor:
    """States or contexts of windows, `(N, T C, *sizes)` or vectors, as frames `(N, T, C, *sizes)`.

    >>> from pushforward.data.field_format import FieldVariable
    >>> two = FieldFormat((FieldVariable("u"), FieldVariable("v")), ("time",), ("x",), (1,))
    >>> frames_of(torch.tensor([[[1.0], [2.0], [10.0], [20.0]]]), two)[0, :, :, 0]
    tensor([[ 1., 10.],
            [ 2., 20.]])
    """
    channels, *sizes = found.event_shape
    x = x.reshape(len(x), -1, *sizes)
    count = x.shape[1] // channels
    parts = x.split([count * one.channels for one in found.variables], 1)
    shaped = [part.reshape(len(x), count, -1, *sizes) for part in parts]
    return torch.cat(shaped, 2)


def times_of(rows: FieldRows) -> tuple[TimeStep, NDArray[np.int64], int, list[str]]:
    """The step of some series, where their times are in steps after the first, which dimension of
    rows these are, and what to know of it.

    Raises `InputError` for several dimensions of rows of which no one is a time, and as
    `time_steps.positions` does.
    """
    names, store = rows.format.rows, rows.store
    along = _time_of(rows)
    name, notes = names[along], []
    if len(names) > 1:
        others = [other for other in names if other != name]
        count = int(np.prod([rows.counts[names.index(other)] for other in others]))
        notes.append(f"{rows.where}: {count} series along {listed(others)}, in the same times")
    if name not in store.coords:
        note = f"{rows.where}: no coordinate {name}: its rows are taken for even steps in time"
        return TimeStep(1, "row"), np.arange(rows.counts[along]), along, [*notes, note]
    one = store.coords[name]
    step, at = positions(one.values, f"{rows.where}, {name}", str(one.attrs.get("units", "")))
    return step, at, along, notes


def _time_of(rows: FieldRows) -> int:
    """Which dimension of rows is time: the only one, that of dates, or that called so."""
    names = rows.format.rows
    if len(names) == 1:
        return 0
    dates = [
        k
        for k, name in enumerate(names)
        if name in rows.store.coords and rows.store.coords[name].dtype.kind == "M"
    ]
    called = [k for k, name in enumerate(names) if name in ("time", "valid_time", "t", "date")]
    for found in (dates, called):
        if len(found) == 1:
            return found[0]
    raise InputError(
        f"{rows.where}: forecasts are of series in time, and of the rows along {listed(names)} "
        "none, or more than one, is a time: call that dimension 'time', or cut one entry out"
    )


def require_step(own: TimeStep, known: TimeStep, where: str) -> None:
    """Raise `InputError` for another step than that of a model."""
    same = own.kind == known.kind and abs(own.size - known.size) <= 1e-3 * known.size
    if not same and "row" not in (own.kind, known.kind):
        raise InputError(
            f"{where} has a frame every {own}, and the model was trained on one every {known}: "
            "take frames of that step"
        )


def _by_variable(fields: NDArray[Any], found: FieldFormat) -> NDArray[Any]:
    """Frames `(N, T, C, *sizes)` as channels, those of a variable at all times together."""
    ends = np.cumsum([one.channels for one in found.variables])[:-1]
    parts = np.split(fields, ends, axis=2)
    joined = [part.reshape(len(part), -1, *part.shape[3:]) for part in parts]
    return joined[0] if len(joined) == 1 else np.concatenate(joined, 1)


def _longest(at: NDArray[np.int64]) -> int:
    """Frames of the longest stretch without a gap."""
    breaks = np.flatnonzero(np.diff(at) != 1) + 1
    return max((len(part) for part in np.split(at, breaks)), default=0)


def _identity(x: Tensor) -> str:
    if isinstance(x, Stored):
        return f"{x.identity} {x.numbers.tolist()}"
    return hashlib.sha256(x.contiguous().numpy().data).hexdigest()
