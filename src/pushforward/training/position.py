"""Where a run stands: all that a resumed run needs beside tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pushforward import checks
from pushforward._records import Check, checked_fields
from pushforward.errors import InputError

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
        rising: validations in a row that were clearly above the best.
        as_good: the latest step that did not validate best, and not worse than the best by more
            than one standard error of the difference; 0 if there is none.
    """

    step: int = 0
    seconds: float = 0.0
    best: dict[str, float] | None = None
    loss_sum: float = 0.0
    losses: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    rising: int = 0
    as_good: int = 0

    @property
    def takes_last(self) -> bool:
        """Whether a run that ends here is used with its last weights, and not with the best.

        >>> best = {"step": 10, "val_loss": 0.5}
        >>> Position(30, best=best, as_good=30).takes_last, Position(31, best=best).takes_last
        (True, False)
        """
        return 0 < self.step == self.as_good

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], name: str) -> Position:
        """The position that a file holds.

        Raises `InputError`, with the file's `name`, for values that no run has written.

        >>> Position.from_plain({"step": -5}, "training.json")
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: training.json lacks best, loss_sum, losses, scaler, seconds
        """
        # Runs of older versions do not count.
        return cls(**checked_fields({"rising": 0, "as_good": 0, **values}, _CHECKS, name))


def _best(name: str, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    fields: dict[str, Check] = {"step": checks.whole, "val_loss": checks.number}
    return checked_fields(_mapping(name, value), fields, name)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name} holds names and values, not {value!r}")
    return value


_COUNT = partial(checks.whole, least=0)
_CHECKS: dict[str, Check] = {
    "step": _COUNT,
    "seconds": partial(checks.number, least=0),
    "best": _best,
    "loss_sum": checks.number,
    "losses": _COUNT,
    "scaler": _mapping,
    "rising": _COUNT,
    "as_good": _COUNT,
}
