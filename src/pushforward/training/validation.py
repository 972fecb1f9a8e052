"""The averaged model on held-out rows: its losses, with the same noise every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.data import Data
from pushforward.training.objective import Objective, dequantize, labels_for

__all__ = ["Validation"]

_AT_ONCE = 512
"""Rows that go through the network together."""

_BATCHES = 4
"""How many batches are drawn at least."""


class Validation:
    """Losses of held-out rows, each the mean over as many draws of noise as four batches hold.

    Few rows would otherwise be judged by the noise that they happen to meet: of 50 rows that 5 are
    held out of, one draw chose weights of a diffusion model 31 nats worse than the best, and many
    draws weights 1.2 nats worse. A validation costs at least about as much as one step of training.
    """

    def __init__(
        self, objective: Objective, held: Data, source: Data | None, batch_size: int, seed: int
    ) -> None:
        model: Any = objective.model
        most = model.judged_rows()
        if most is not None and most < len(held):
            held, _ = held.split(1 - most / len(held), seed)
        self.objective, self.held, self.source, self.seed = objective, held, source, seed
        # Who says how many rows there are seconds for has none for more.
        draws = max(1, _BATCHES * batch_size // len(held)) if most is None else 1
        # Whole copies one after the other, so that rows of a source that come in pairs stay so.
        self._rows = torch.arange(len(held)).repeat(draws)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.held)

    @torch.no_grad()
    def __call__(self, model: Any, tell: Callable[[str], None] | None = None) -> Tensor:
        """The loss of each row, `(N,)` in float64 on the CPU; `tell` is told how far it is."""
        device = self.objective.device
        labels = labels_for(model, self.held)
        generator = torch.Generator(device)
        generator.manual_seed(self.seed)
        found = []
        for i in range(0, len(self._rows), _AT_ONCE):
            rows = self._rows[i : i + _AT_ONCE]
            if tell is not None:
                tell(f"validating, {i / len(self._rows):.0%}")
            x = state.to(state.take(self.held.x, rows), device)
            x = dequantize(model, self.held, x, generator)
            c = None if labels is None else state.to(state.take(labels, rows), device)
            start = self.objective.start_for(model, x, c, i, generator, self.source)
            found.append(model.loss(x, c, generator=generator, **start).cpu().double())
        return torch.cat(found).view(-1, len(self.held)).mean(0)
