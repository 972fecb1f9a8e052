"""Devices, precision and processes: Lightning Fabric, where it has something to do."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import parallel
from pushforward.errors import InputError
from pushforward.models.row_memory import advising
from pushforward.training.objective import Objective
from pushforward.training.pairing import Rows
from pushforward.training.part_draws import sees_all
from pushforward.training.settings import Settings

__all__ = ["Engine", "start"]


class Engine:
    """Forward, backward and optimizer steps of an objective.

    One process in full precision calls torch itself: there Fabric's wrappers change nothing, and
    cost a tenth of a small step. Loss scaling, autocasting and several processes go through Fabric.
    """

    def __init__(
        self,
        fabric: Any,
        settings: Settings,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.fabric, self.objective, self.optimizer = fabric, objective, optimizer
        self._accumulate = settings.accumulate
        self._max_norm = settings.clip or math.inf
        self._parameters = [p for p in objective.parameters() if p.requires_grad]
        self._players = [group["params"] for group in optimizer.param_groups]
        # Else torch looks through all parameters at every step whether it may.
        fast = all(p.device.type in ("cpu", "cuda") for player in self._players for p in player)
        self._foreach = fast or None
        alone = fabric.world_size == 1 and settings.precision == "32-true"
        # Nothing to train is nothing to wrap either.
        self._plain = alone or not self._parameters
        if fabric.world_size > 1:
            objective.reach_all()
        if fabric.world_size * self._accumulate > 1 and fabric.is_global_zero:
            for text in sees_all(objective.model):
                warnings.warn(text, stacklevel=4)
        if not self._plain:
            self._wrapped, self._stepper = fabric.setup(objective, optimizer)

    def gradients(self, rows: Rows, seed: int) -> Tensor:
        """Add up the gradients of the rows of a step, in micro-batches; the mean loss, detached.

        All processes get all rows and the same seed, and each takes its own part of them. An error
        of memory says how much a row takes.
        """

        def act(n: int) -> Tensor:
            return self.objective(rows.target, seed, slice(0, n), rows.source)

        with advising(act, len(rows.target) // self._accumulate, learns=True):
            return self._gradients(rows, seed)

    def _gradients(self, rows: Rows, seed: int) -> Tensor:
        if self._plain and self._accumulate == 1:
            loss = self.objective(rows.target, seed, None, rows.source)
            if self._parameters:
                loss.backward()
            return loss.detach()
        losses = []
        size = len(rows.target) // (self._accumulate * self.fabric.world_size)
        first = self.fabric.global_rank * self._accumulate
        for k in range(self._accumulate):
            part = slice((first + k) * size, (first + k + 1) * size)
            if self._plain:
                loss = self.objective(rows.target, seed, part, rows.source) / self._accumulate
                if self._parameters:
                    loss.backward()
            else:
                more = k + 1 < self._accumulate
                with self.fabric.no_backward_sync(self._wrapped, enabled=more):
                    loss = self._wrapped(rows.target, seed, part, rows.source) / self._accumulate
                    self.fabric.backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def step(self, lr: float) -> Tensor:
        """Clip the gradients, move the weights, and return the norm before clipping.

        The gradients of each group of parameters have a norm of their own, so that those of one
        player of a game do not shrink the other's.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["rate"]
        if not self._plain:
            self.fabric.strategy.precision.unscale_gradients(self.optimizer)
            self.objective.release_frozen()
        norms = [
            nn.utils.clip_grad_norm_(player, self._max_norm, foreach=self._foreach)
            for player in self._players
        ]
        (self.optimizer if self._plain else self._stepper).step()
        self.optimizer.zero_grad()
        return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def start(device: str, settings: Settings) -> Any:
    """Lightning Fabric: one process by default, as many as `torchrun` started under it.

    Raises `InputError` for settings that do not go with the device or the number of processes.
    """
    if settings.precision == "16-mixed" and (device == "cpu" or not _has_accelerator()):
        raise InputError("precision '16-mixed' needs a GPU: on a CPU use bf16-mixed or 32-true")
    processes = parallel.world_size()
    # Equal parts, so that the mean of their means is the mean of the batch.
    if settings.batch % (settings.accumulate * processes):
        raise InputError(
            f"batch_size {settings.batch_size} must be a multiple of accumulate "
            f"{settings.accumulate} times {processes} processes"
        )
    return parallel.launch(device, settings.precision)


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()
