"""Where a run stands: all that a resumed run needs beside tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Position"]


@dataclass
class Position:
    """The loop's own numbers; the order of the data and all noise follow from `step`.

    Args:
        step: optimizer steps taken.
        seconds: time spent, over all parts of the run.
        best: step and validation loss of the best checkpoint so far.
        loss_sum: the sum of the losses since the last line of the log.
        losses: how many these are.
        scaler: the loss scale of 16-bit training, empty otherwise.
    """

    step: int = 0
    seconds: float = 0.0
    best: dict[str, float] | None = None
    loss_sum: float = 0.0
    losses: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
