"""Which rows make the batch of a step, and which rows of a source they are joined with."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import derived_seed
from pushforward.training.batches import Batches
from pushforward.training.objective import Objective

__all__ = ["Pairing", "Rows"]

_SOURCE, _COUPLING = range(2)


class Rows(NamedTuple):
    """Row numbers of a batch `(B,)`, and those of the source that go with them."""

    target: Tensor
    source: Tensor | None


class Pairing:
    """The rows of each step: a function of seed and step alone.

    The source has an order of its own, every row once per pass. The model's coupling joins the two
    sides of a batch, one batch ahead in a thread, so that training does not wait for it; or the two
    whole sets, once.
    """

    def __init__(self, objective: Objective, batch_size: int, seed: int) -> None:
        self.objective, self.seed = objective, seed
        self.batches = Batches(state.rows(objective.x), batch_size, seed)
        self._sources: Batches | None = None
        self._partners: Tensor | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, Future[Rows]] | None = None
        if objective.source is not None:
            n = state.rows(objective.source)
            self._sources = Batches(n, batch_size, derived_seed(seed, _SOURCE))
            self._partners = objective.partners()
            self._worker = ThreadPoolExecutor(1, "coupling")

    def __call__(self, step: int) -> Rows:
        """The rows of step `step`, counted from 0."""
        if self._worker is None:
            return Rows(self.batches(step), None)
        if self._ahead is not None and self._ahead[0] == step:
            rows = self._ahead[1].result()
        else:
            rows = self._worker.submit(self._rows, step).result()
        self._ahead = step + 1, self._worker.submit(self._rows, step + 1)
        return rows

    def close(self) -> None:
        """Let go of the thread."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    @torch.no_grad()
    def _rows(self, step: int) -> Rows:
        # The orders of the rows are not shared between threads: only this one asks for them.
        target = self.batches(step)
        if self._partners is not None:
            return Rows(target, self._partners[target])
        assert self._sources is not None
        source = self._sources(step)
        generator = torch.Generator().manual_seed(derived_seed(self.seed, _COUPLING, step))
        return Rows(target, self.objective.coupled(target, source, generator))
