"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

__all__ = ["Run", "Status"]

Status = Literal["finished", "interrupted", "diverged"]


@dataclass(frozen=True)
class Run:
    """The result of `fit`.

    Args:
        model: the model with its averaged weights, in evaluation mode.
        history: what was logged, one dictionary per line of `metrics.jsonl`.
        best: step and validation loss of the best checkpoint; `None` without validation.
        path: the run folder, `None` if nothing was written.
        status: `finished`, `interrupted` (resume it) or `diverged`.
        step: the optimizer steps that were taken.
    """

    model: nn.Module
    history: list[dict[str, Any]] = field(repr=False)
    best: dict[str, float] | None
    path: Path | None
    status: Status
    step: int
