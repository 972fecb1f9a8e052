"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Run", "Status"]

Status = Literal["finished", "interrupted", "diverged", "failed"]


@dataclass(frozen=True)
class Run:
    """The result of `fit`.

    Args:
        model: the model with its averaged weights, in evaluation mode.
        history: what was logged, one dictionary per line of `metrics.jsonl`.
        best: step and validation loss of the best checkpoint; `None` without validation.
        path: the run folder, `None` if nothing was written.
        status: `finished`, `interrupted` (resume it), `diverged`, or `failed` if the run folder
            could no longer be written.
        step: the optimizer steps behind the model's weights.

    >>> Run(None, [], {"step": 20, "val_loss": 0.5}, Path("runs/a"), "finished", 40)
    Run(finished at step 40, best validation loss 0.5 at step 20, in runs/a)
    """

    model: Any = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best: dict[str, float] | None
    path: Path | None
    status: Status
    step: int

    def __repr__(self) -> str:
        return f"Run({self})"

    def __str__(self) -> str:
        parts = [f"{self.status} at step {self.step}"]
        if self.best is not None:
            parts.append(
                f"best validation loss {self.best['val_loss']:.4g} at step {self.best['step']}"
            )
        if self.path is not None:
            parts.append(f"in {self.path}")
        return ", ".join(parts)
