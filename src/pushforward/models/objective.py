"""The loss of a network on a process, as `matching_loss` takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.models.predictor import Predictor
from pushforward.processes import GenerativeProcess
from pushforward.protocols import Process, Time
from pushforward.weightings import Output, Weighting

__all__ = ["weighted"]


def weighted(
    predictor: Predictor, process: GenerativeProcess, weight: Weighting
) -> tuple[Any, Process]:
    """The model and the process that `matching_loss` compares, for a weight over time.

    By default, `weightings.Output`, a posterior mean is compared as the network puts it out: its
    squared error over `out^2` is that of the output itself. Other weights multiply the loss of the
    process. A process without an affine table has its own loss, and no other weight.

    Raises `InputError` for a weight that the process does not take.
    """
    table = predictor.reading.table
    if isinstance(weight, Output):
        if table is None:
            return predictor, process
        return _Output(predictor), _OutputLoss(process, predictor.reading)
    if table is None:
        raise InputError(
            f"{weight} weighs the errors of a posterior mean, which {type(process).__name__} does "
            "not predict: leave weight= out"
        )
    return predictor, _Weighted(process, weight, table)


@dataclass(frozen=True)
class _Output:
    """The row of a reading and the network's output, not yet read."""

    predictor: Predictor

    def __call__(self, x_t: Any, t: Time, c: Any = None) -> tuple[Any, Any]:
        return self.predictor.answer(x_t, t, c)


@dataclass(frozen=True)
class _Changed:
    """A process with another loss."""

    process: Any

    def prior(self, shape: Any) -> Any:
        return self.process.prior(shape)

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        return self.process.sample(z, t, generator)

    def dynamics(self, pred: Any, x_t: Any, t: Time) -> Any:
        return self.process.dynamics(pred, x_t, t)

    def tabulate(self, grid: Any) -> None:
        self.process.tabulate(grid)


@dataclass(frozen=True)
class _OutputLoss(_Changed):
    """The squared error of the output."""

    reading: Any

    def loss(self, pred: Any, z: Any, x_t: Any, t: Time) -> Tensor:
        row, output = pred
        found: Tensor = self.process.space.squared_norm(
            x_t, output - self.reading.target(row, z, x_t)
        )
        return found


@dataclass(frozen=True)
class _Weighted(_Changed):
    """The loss times a weight."""

    weight: Weighting
    table: Any

    def loss(self, pred: Any, z: Any, x_t: Any, t: Time) -> Tensor:
        loss: Tensor = self.process.loss(pred, z, x_t, t)
        return loss * self.weight(self.process.clock, t, self.table)
