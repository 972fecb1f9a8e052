"""Which weights validated best, whether validation has been rising since, and when that is enough.

Losses are compared row by row, with the same noise: what makes one held-out row harder than another
cancels, and the standard error is that of the difference alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pushforward.models.checkpoints import HeldWeights
from pushforward.training.position import Position

__all__ = ["Judge", "Rise", "early_end", "last_rise", "overfitting"]

_Z = 1.645
"""A rise is a question with one side: 95 % of chance lie below."""

_NOTICED = 0.01
"""A rise below this share of the spread of the losses between rows is nobody's concern."""


@dataclass(frozen=True)
class Rise:
    """By how much losses are above others of the same rows, in the mean.

    Args:
        value: the mean difference.
        stderr: its standard error over rows.
        n: how many rows.

    >>> Rise(0.12, 0.03, 50).clear, Rise(0.12, 0.03, 2).clear
    (True, False)
    """

    value: float
    stderr: float
    n: int

    @classmethod
    def between(cls, before: Tensor, now: Tensor) -> Rise:
        """That of the losses `(N,)` now over those before."""
        gap = now - before
        spread = float(gap.std()) if len(gap) > 1 else 0.0
        return cls(float(gap.mean()), spread / len(gap) ** 0.5, len(gap))

    @property
    def clear(self) -> bool:
        """Whether it is more than chance: above 95 % of Student's t."""
        return self.n > 1 and self.value > _quantile(self.n - 1) * self.stderr

    def __str__(self) -> str:
        return f"{self.value:.2g} ± {self.stderr:.1g}"


class Judge:
    """Keeps the best of the validations of a run, and counts those that lie clearly above it.

    A validation takes the place of the best before it if its mean loss is lower by more than the
    standard error of the difference on the same rows: of two that cannot be told apart, the earlier
    one has learned less by heart. After `patience` validations in a row, each clearly above the
    best, training is to stop; 0 never stops it.

    That rule alone keeps early weights where losses vary much from row to row, for such errors
    hide any progress. So a run that ends with a validation that is not worse than the best by more
    than one standard error is used with its last weights (`Position.takes_last`): they have seen
    more, at lower learning rates. Nothing else depends on that, and a run that goes on is the same.

    Args:
        position: of the run, where the step, the loss and the count are kept.
        patience: see `Settings`.
        best: the losses of the rows at the best validation, for a run that goes on.

    >>> import torch
    >>> judge = Judge(Position(), patience=2)
    >>> for step, loss in enumerate([1.0, 0.5, 0.7, 0.8], start=1):
    ...     better, numbers = judge(step, loss + torch.tensor([0.0, 0.1, -0.1]))
    >>> judge.position.best["step"], judge.exhausted
    (2, True)
    """

    def __init__(self, position: Position, patience: int, best: Tensor | None = None) -> None:
        self.position, self.patience, self.best = position, patience, best

    @property
    def exhausted(self) -> bool:
        """Whether validation has been rising for as long as patience lasts."""
        return 0 < self.patience <= self.position.rising

    def __call__(self, step: int, losses: Tensor) -> tuple[bool, dict[str, float]]:
        """Take in the losses of a validation; whether it is the best, and what to log of it."""
        at, mean = self.position, float(losses.mean())
        if self.best is not None:
            rise = Rise.between(self.best, losses)
        else:
            # The first, or that of a run that was begun before rows were kept.
            before = math.inf if at.best is None else at.best["val_loss"]
            rise = Rise(mean - before, 0.0, len(losses))
        if rise.value < -rise.stderr:
            at.best, at.rising = {"step": step, "val_loss": mean}, 0
            self.best, rise = losses, Rise(0.0, 0.0, rise.n)
            better = True
        else:
            at.rising = at.rising + 1 if rise.clear and self.best is not None else 0
            at.as_good = step if rise.value <= rise.stderr else at.as_good
            better = False
        return better, {
            "val_rise": rise.value,
            "val_rise_stderr": rise.stderr,
            "val_rows": rise.n,
        }


def last_rise(history: Sequence[dict[str, Any]]) -> Rise | None:
    """How far the last validation of a log lies above the best, if clearly and noticeably."""
    judged = [line for line in history if line.get("val_rise") is not None]
    if not judged:
        return None
    last = judged[-1]
    rise = Rise(last["val_rise"], last["val_rise_stderr"], last["val_rows"])
    if not rise.clear:
        return None
    return rise if rise.value > _NOTICED * last["val_stderr"] * rise.n**0.5 else None


def overfitting(
    history: Sequence[dict[str, Any]], best: dict[str, Any] | None, held: HeldWeights | None
) -> str | None:
    """In a sentence, how far validation has risen after its best, and what weights there are.

    `None` if it has not, clearly and noticeably.

    Args:
        history: the lines of the log.
        best: step and loss of the best validation.
        held: which weights the model has.
    """
    rise = last_rise(history)
    if rise is None or best is None:
        return None
    last = max(line["step"] for line in history if line.get("val_loss") is not None)
    taken = "" if held is None else f" The weights are {held}."
    return (
        f"The validation loss rose after step {best['step']:,}, by {rise} until step {last:,} "
        f"(paired over {rise.n:,} held-out rows): from there on the model overfits its training "
        f"data.{taken} More data, or a smaller model, would gain more than more steps."
    )


def early_end(step: int) -> str:
    """In a sentence, why training ended before its last step, and how it goes on."""
    return (
        f"Training ended early, at step {step:,}: validation had been rising for as long as "
        "patience lasts. It goes on with resume=True and patience=0, or a larger one."
    )


def _quantile(freedom: int) -> float:
    """That of Student's t for 95 %, by the expansion of Cornish and Fisher.

    >>> [round(_quantile(n), 2) for n in (4, 10, 50)]    # exactly 2.13, 1.81, 1.68
    [2.11, 1.81, 1.68]
    """
    z = _Z
    first = (z**3 + z) / (4 * freedom)
    return z + first + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
