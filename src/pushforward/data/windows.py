"""Windows of frames: what a forecast is given, and what it forecasts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.field_format import FieldCoordinate, FieldFormat
from pushforward.data.packed import PackedArray
from pushforward.data.time_steps import TimeStep
from pushforward.errors import InputError

__all__ = ["LEAD", "Windows"]

LEAD = "lead"
"""The dimension of the frames that are forecast together."""


@dataclass(frozen=True)
class Windows:
    """Frames in a row: `past` of them are given, the `leads` that follow are learned.

    Together by default. Of variables `v` with levels, the channels of a state are then those of `v`
    at lead 1, at lead 2 and so on, then those of the next variable: leads are levels of the
    variables, so that everything that fields have, masks, units, maps and spectra, they have too.
    Contexts are ordered alike.

    Of `direct` leads a state is one frame, and its context says which of the leads it is, in a last
    channel: one network for every lead, each learned straight from what is given.

    Args:
        past: how many frames are given.
        leads: how many are forecast.
        step: the time from one to the next, once it is known.
        counts: entries of each dimension of rows, where these are of several series; rows are
            counted with the last one fastest.
        along: which of these dimensions is time.
        direct: whether a state is one of the leads, of which the network is told, in the place of
            all of them together.

    >>> windows = Windows.parse("20:8")
    >>> windows.past, windows.leads, windows.length
    (20, 8, 28)
    >>> Windows.parse("20:1-8").direct
    True
    """

    past: int
    leads: int
    step: TimeStep | None = None
    counts: tuple[int, ...] | None = None
    along: int = 0
    direct: bool = False

    @classmethod
    def parse(cls, text: str) -> Windows:
        """Windows from `"PAST:LEADS"`, or `"PAST:1-LEADS"` for direct leads. Raises `InputError`
        for anything else."""
        found = re.fullmatch(r"\s*(\d+)\s*:\s*(1\s*-\s*)?(\d+)\s*", str(text))
        if found is None or min(int(found[1]), int(found[3])) < 1:
            raise InputError(
                f"forecast={text!r} is not PAST:LEADS, the frames that are given and those that "
                "are forecast, such as 20:8 for eight frames together, or 20:1-8 for each of them "
                "by itself"
            )
        return cls(int(found[1]), int(found[3]), direct=found[2] is not None)

    def __str__(self) -> str:
        return f"{self.past}:{'1-' if self.direct else ''}{self.leads}"

    @property
    def drawn(self) -> int:
        """Frames of a state."""
        return 1 if self.direct else self.leads

    @property
    def length(self) -> int:
        """Frames of a window."""
        return self.past + self.leads

    @property
    def words(self) -> str:
        """What a window is."""
        given = "one frame" if self.past == 1 else f"{self.past} frames"
        if self.direct:
            return f"each of the {self.leads} next after {given}"
        return f"the {'next' if self.leads == 1 else f'{self.leads} next'} after {given}"

    def of_leads(self, frames: FieldFormat) -> FieldFormat:
        """What the states are in a store: the variables of single frames with leads as a level.

        Those of direct leads are single frames already. Raises `InputError` for frames that have
        such a dimension already.
        """
        if self.direct:
            return frames
        taken = {*frames.dims, *frames.rows, *(n for v in frames.variables for n, _ in v.levels)}
        if LEAD in taken:
            raise InputError(
                f"the data have a dimension {LEAD!r} already, which forecasts take: rename it"
            )
        variables = tuple(
            replace(
                one,
                levels=((LEAD, self.leads), *one.levels),
                chunks=None if one.chunks is None else (one.chunks[0], self.leads, *one.chunks[1:]),
            )
            for one in frames.variables
        )
        found = replace(
            frames, variables=variables, coordinates=(*frames.coordinates, self._coordinate())
        )
        if frames.present is None:
            return found
        parts = np.split(frames.present, np.cumsum([v.channels for v in frames.variables])[:-1])
        every = [np.concatenate([part] * self.leads) for part in parts]
        return found.with_mask(np.concatenate(every))

    def of_frames(self, found: FieldFormat) -> FieldFormat:
        """What single frames are, of states that `of_leads` made."""
        if self.direct:
            return found
        variables, at = [], 0
        kept: list[int] = []
        for one in found.variables:
            chunks = None if one.chunks is None else (one.chunks[0], *one.chunks[2:])
            own = replace(one, levels=one.levels[1:], chunks=chunks)
            variables.append(own)
            kept += range(at, at + own.channels)
            at += one.channels
        frames = replace(
            found,
            variables=tuple(variables),
            coordinates=tuple(one for one in found.coordinates if one.name != LEAD),
            mask=None,
        )
        return frames if found.present is None else frames.with_mask(found.present[kept])

    def last_frame(self, frames: FieldFormat) -> tuple[int, ...]:
        """For each channel of a state, the channel of its context that it follows in time."""
        found, at = [], 0
        for one in frames.variables:
            own = range(at + (self.past - 1) * one.channels, at + self.past * one.channels)
            found += list(own) * self.drawn
            at += self.past * one.channels
        return tuple(found)

    def given(self, frames: FieldFormat) -> int:
        """Channels of a context: those of the frames given, and one that says which lead."""
        return self.past * frames.event_shape[0] + int(self.direct)

    def times(self, rows: Tensor) -> Tensor:
        """Where some rows of the store are along its dimension of time.

        >>> Windows(1, 1, counts=(5, 3)).times(torch.tensor([0, 4, 14]))  # of three series
        tensor([0, 1, 4])
        """
        return rows if self.counts is None else torch.unravel_index(rows, self.counts)[self.along]

    def parted(self, starts: Tensor, held: int, name: str) -> tuple[Tensor, Tensor]:
        """Which windows are trained on and which are held out, by the rows that they begin at.

        The last ones are held out, of all series, and those that share a frame, or the time of one,
        with them are in neither part. Raises `InputError` if nothing is left to train on.
        """
        starts = self.times(starts)
        order = starts.argsort(stable=True)
        first = starts[order[-held]]
        train = (starts + self.length <= first).nonzero()[:, 0]
        if len(train) == 0:
            raise InputError(
                f"{name}: no window of {self.length} frames ends before the {held} that are held "
                "out begin: hold out less, or take shorter windows"
            )
        return train, order[-held:].sort().values

    def describe(self) -> dict[str, Any]:
        """Plain values."""
        step = None if self.step is None else self.step.describe()
        told: dict[str, Any] = {"past": self.past, "leads": self.leads, "step": step}
        if self.counts is not None:
            told |= {"counts": list(self.counts), "along": self.along}
        return told | ({"direct": True} if self.direct else {})

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Windows:
        """The windows that `describe` described."""
        step = described["step"]
        known = None if step is None else TimeStep.from_description(step)
        counts = described.get("counts")
        several = None if counts is None else tuple(counts)
        past, leads = described["past"], described["leads"]
        along, direct = described.get("along", 0), described.get("direct", False)
        return cls(past, leads, known, several, along, direct)

    def _coordinate(self) -> FieldCoordinate:
        """How far ahead each lead is, in steps."""
        values = PackedArray.of(np.arange(1, self.leads + 1))
        about = {"long_name": "frames ahead", "units": "1"}
        if self.step is not None:
            about["step"] = str(self.step)
        return FieldCoordinate(LEAD, (LEAD,), values, about)
