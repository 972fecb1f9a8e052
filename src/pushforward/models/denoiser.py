"""A network read through a parametrization."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward._shapes import like
from pushforward.errors import InputError
from pushforward.models import network
from pushforward.parametrizations import Affine, Parametrization, read
from pushforward.protocols import Time
from pushforward.schedules import Schedule

__all__ = ["Denoiser"]


class Denoiser(nn.Module):
    """A network read through a parametrization: the posterior mean `E[x_0 | x_t]`.

    Raises `InputError` if the network returns another shape than the state's, or if the
    parametrization is undefined at a time.
    """

    def __init__(self, net: nn.Module, schedule: Schedule, table: Parametrization) -> None:
        super().__init__()
        self.net, self.schedule, self.table = net, schedule, table
        # Our networks look at a time that all states share once; any other gets plain `(B,)` times.
        self._shares_time = getattr(net, "shares_time", False)
        self._known: dict[Any, tuple[Affine, Tensor]] = {}

    def forward(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The posterior mean at states `(B, *event)` and times, shaped like the states."""
        row, time = self._at(t, x_t)
        # Most tables leave the input as it is; one pass over the state saved per step.
        plain = isinstance(row.scale_in, float) and row.scale_in == 1.0
        scaled = x_t if plain else x_t * like(row.scale_in, x_t)
        return read(row, network.call(self.net, scaled, time, c), x_t)

    def _at(self, t: Time, x: Tensor) -> tuple[Affine, Tensor]:
        """The parametrization at a time, and the time that the network is told.

        Those of floats are remembered: a sampler comes back to the times of its grid, and making a
        tensor takes as long as a small layer.
        """
        if isinstance(t, Tensor):
            row = self._row(t)
            return row, self._told(torch.as_tensor(row.time).to(x.dtype), x)
        key = (t, x.shape[0], x.dtype, x.device)
        found = self._known.get(key)
        if found is None:
            row = self._row(t)
            with torch.inference_mode(False):
                found = row, self._told(torch.tensor(row.time, dtype=x.dtype, device=x.device), x)
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = found
        return found

    def _told(self, time: Tensor, x: Tensor) -> Tensor:
        """One time for all states, where the network knows what to do with it."""
        if self._shares_time:
            return time
        # A copy: what a network does to its times in place must not reach the loss.
        return time.repeat(x.shape[0]) if time.ndim == 0 else time.clone()

    def _row(self, t: Time) -> Affine:
        """The parametrization at a time, if it is defined there."""
        try:
            row = self.table(self.schedule, t)
        except ZeroDivisionError:
            row = None
        if row is None or not all(isinstance(v, Tensor) or math.isfinite(v) for v in row):
            end = "signal" if isinstance(t, Tensor) or t > 0.5 else "noise"
            raise InputError(
                f"{self.table} is undefined at t = {t}, where no {end} is left: keep the grid "
                f"within {self.schedule.t_min}..{self.schedule.t_max}, or predict 'v' or 'data'"
            )
        return row
