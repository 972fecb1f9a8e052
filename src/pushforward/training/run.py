"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pushforward._notebook import Displayed
from pushforward.models.checkpoints import HeldWeights

__all__ = ["Run", "Status"]

Status = Literal["finished", "interrupted", "diverged", "failed"]


@dataclass(frozen=True)
class Run(Displayed):
    """The result of `fit`.

    Args:
        model: the model in evaluation mode, with the averaged weights that validated best, or the
            last ones where these are as good but for chance, nothing is held out, or the loss does
            not measure quality.
        history: what was logged, one dictionary per line of `metrics.jsonl`.
        best: step and validation loss of the best checkpoint; `None` without validation.
        path: the run folder, `None` if nothing was written.
        status: `finished`, `interrupted` (resume it), `diverged`, or `failed` if the run folder
            could no longer be written.
        step: the optimizer steps that were made.
        weights: which of them are behind the model's weights.
        stopped_early: whether the run finished before its last step, since its validation loss had
            been rising for as long as `patience` lasts.

    >>> Run(None, [], {"step": 20, "val_loss": 0.5}, Path("runs/a"), "finished", 40)
    Run(finished at step 40, best validation loss 0.5 at step 20, in runs/a)
    >>> print(Run(None, [], None, None, "finished", 40, HeldWeights("best", 20, 40)))
    finished at step 40; weights: those of step 20 of 40, which validated best
    """

    model: Any = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best: dict[str, float] | None
    path: Path | None
    status: Status
    step: int
    weights: HeldWeights | None = None
    stopped_early: bool = False

    def __repr__(self) -> str:
        return f"Run({self})"

    def __str__(self) -> str:
        parts = [f"{self.status} at step {self.step}"]
        if self.stopped_early:
            parts.append("stopped early as validation was rising")
        if self.best is not None:
            parts.append(
                f"best validation loss {self.best['val_loss']:.4g} at step {self.best['step']}"
            )
        if self.path is not None:
            parts.append(f"in {self.path}")
        text = ", ".join(parts)
        return text if self.weights is None else f"{text}; weights: {self.weights}"
