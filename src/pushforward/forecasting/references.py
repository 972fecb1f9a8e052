"""Forecasts that anybody has: the climate, the last frame, the last frame moved on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.data import Data
from pushforward.data.window_rows import frames_of
from pushforward.forecasting.advection import advected
from pushforward.forecasting.rolling import require_windows

__all__ = ["reference_forecasts"]

_CLIMATE = 64
"""Frames that the climate is made of."""


def reference_forecasts(train: Data, past: Tensor, leads: int) -> dict[str, Tensor]:
    """Ensembles `(M, N, leads, C, *sizes)` by name, of frames `(N, past, C, *sizes)`.

    `climatology` is 64 frames of the training data, evenly spread in time, whatever the past was;
    `persistence` the last frame; `advected persistence` what `advected` makes of the last two, for
    fields of two dimensions.
    """
    _, frames = require_windows(train.schema)
    count = min(_CLIMATE, len(train))
    rows = torch.linspace(0, len(train) - 1, count).round().long()
    climate = frames_of(state.take(train.x, rows), frames)[:, 0]
    shape = (len(past), leads, *past.shape[2:])
    found: dict[str, Any] = {
        "climatology": climate[:, None, None].expand(count, *shape),
        "persistence": past[:, -1:].expand(shape)[None],
    }
    if past.shape[1] > 1 and past.ndim == 5:
        turns = [name in frames.periodic for name in frames.dims]
        found["advected persistence"] = advected(past, leads, periodic=turns)[None]
    return found
