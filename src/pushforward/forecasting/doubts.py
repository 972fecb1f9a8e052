"""Frames that are far from all that a model has learned from, such as other units of them."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.data import Schema
from pushforward.data.window_rows import contexts_of, frames_of
from pushforward.forecasting.forecaster import Forecaster
from pushforward.forecasting.recent import Recent
from pushforward.forecasting.rolling import require_windows

__all__ = ["doubts_of"]

_FAR = 6.0
"""Standard deviations of the training data, in the root mean square over frames and cells."""


@torch.no_grad()
def doubts_of(model: Forecaster, recent: Recent, schema: Schema) -> list[str]:
    """A sentence for each variable of some frames that lies far from the training data.

    The distance is the root mean square over frames and cells of the values in the units of the
    model, in which its training data have mean zero and variance one. Units that are wrong by an
    offset or make values much larger, degrees Celsius for kelvins or millimeters for meters, are
    seen; those that make values small about a mean near zero are not. A model without units, such
    as one that was never trained, has no doubts.
    """
    units = model.units
    if units is None:
        return []
    windows, frames = require_windows(schema)
    x = recent.frames
    # The map to units is one of states: each frame stands for all leads of one.
    alike = x[:, None].expand(len(x), windows.drawn, *x.shape[1:])
    window = contexts_of(alike, frames).reshape(len(x), -1, *frames.sizes)
    present = torch.ones(frames.event_shape, dtype=torch.bool)
    if frames.present is not None:
        present = torch.from_numpy(frames.present)
    z = frames_of(units.standardized(window).cpu().double(), frames)
    center = frames_of(units(torch.zeros_like(window[:1])).cpu().double(), frames)
    found = []
    for k, name in enumerate(frames.channel_names):
        cells = present[k]
        away = float(z[:, :, k][..., cells].square().mean().sqrt())
        if away <= _FAR:
            continue
        mean, usual = float(x[:, k][:, cells].mean()), float(center[0, :, k][:, cells].mean())
        units_of = _units_of(name, frames)
        found.append(
            f"{name} of the frames given is {mean:.4g} on average and lies {away:.3g} standard "
            f"deviations from the mean of the training data, {usual:.4g}{units_of}: a model knows "
            "nothing of what is that far. Are these the same units?"
        )
    return found


def _units_of(channel: str, frames: Any) -> str:
    for one in frames.variables:
        if channel in one.channel_names and one.units not in (None, "", "1"):
            return f" {one.units}"
    return ""
