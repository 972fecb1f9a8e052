"""A network read through a parametrization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward._shapes import like
from pushforward.errors import InputError
from pushforward.parametrizations import Parametrization, read
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

    def forward(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The posterior mean at states `(B, *event)` and times, shaped like the states."""
        try:
            row = self.table(self.schedule, t)
        except ZeroDivisionError:
            raise InputError(
                f"{self.table} is undefined at t = {t}, where no signal is left: "
                "start the grid earlier or predict 'v' or 'data'"
            ) from None
        time = row.time
        if not isinstance(time, Tensor):
            time = torch.full((), time, dtype=x_t.dtype, device=x_t.device)
        if time.ndim == 0:
            # Expanded, not copied: a network can see that all states share their time.
            time = time.expand(x_t.shape[0])
        # Most tables leave the input as it is; one pass over the state saved per step.
        plain = isinstance(row.scale_in, float) and row.scale_in == 1.0
        scaled = x_t if plain else x_t * like(row.scale_in, x_t)
        output = self.net(scaled, time, c)
        if output.shape != x_t.shape:
            raise InputError(
                f"{type(self.net).__name__} returned shape {tuple(output.shape)} for states of "
                f"shape {tuple(x_t.shape)}: a network must return the shape it is given"
            )
        return read(row, output, x_t)
