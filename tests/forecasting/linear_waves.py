"""A world of fields whose forecasts are known: each frame is the last one, moved, and noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import xarray
from torch import Tensor

import pushforward as pf
from pushforward.estimates import Capabilities

KEEP = 0.8
"""How much of a frame is left in the next one, a cell further along x."""


def series(frames: int, n: int = 8, *, seed: int = 0, keep: float = KEEP) -> xarray.Dataset:
    """`u_{k+1} = keep S u_k + sqrt(1 - keep^2) noise`, of unit variance, an hour apart."""
    g = torch.Generator().manual_seed(seed)
    u, found = torch.randn(n, n, generator=g), []
    for _ in range(frames):
        u = keep * u.roll(1, 1) + math.sqrt(1 - keep**2) * torch.randn(n, n, generator=g)
        found.append(u)
    place = np.arange(n) * 1.0
    return xarray.Dataset(
        {"u": (("time", "y", "x"), torch.stack(found).numpy(), {"units": "m"})},
        {
            "time": np.datetime64("2000-01-01", "ns") + np.arange(frames) * np.timedelta64(1, "h"),
            "y": ("y", place, {"periodic": 1, "units": "km"}),
            "x": ("x", place, {"periodic": 1, "units": "km"}),
        },
        {"title": "waves"},
    )


class ExactForecast:
    """Draws of the law of what follows, with noise that may be too large or too small."""

    def __init__(self, leads: int, width: float = 1.0, learned_from: Any = None) -> None:
        self.leads, self.width, self.learned_from = leads, width, learned_from
        self.space, self.units = pf.spaces.Fields(), None
        self.capabilities = Capabilities(sample=True, log_prob="none", conditional=True)

    def sample(self, n: int, c: Tensor, *, seed: int = 0) -> Tensor:
        """The leads after the last of the frames given, `(n, leads, H, W)`."""
        found, u = [], c[:, -1]
        g = torch.Generator().manual_seed(seed)
        for _ in range(self.leads):
            noise = torch.randn(u.shape, generator=g)
            u = KEEP * u.roll(1, -1) + self.width * math.sqrt(1 - KEEP**2) * noise
            found.append(u)
        return torch.stack(found, 1)

    def parameters(self) -> list[Tensor]:
        """None."""
        return []
