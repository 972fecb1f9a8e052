"""Whether states are finite: drawn ones are told of, given ones refused."""

from __future__ import annotations

import warnings
from typing import Any

from pushforward import state
from pushforward.errors import InputError

__all__ = ["finite", "with_density"]


def finite(x: Any) -> Any:
    """Samples as they are, with a warning if some are not finite."""
    fine = state.finite_rows(x)
    if not bool(fine.all()):
        bad = int((~fine).sum())
        warnings.warn(
            f"{bad} of {len(fine)} samples are not finite: take more steps or another sampler, and "
            "look at the training loss",
            stacklevel=5,
        )
    return x


def with_density(x: Any) -> Any:
    """States as they are. Raises `InputError` unless all are finite: others have no density."""
    fine = state.finite_rows(x)
    if not bool(fine.all()):
        raise InputError(
            f"{int((~fine).sum())} of {len(fine)} states are not finite: they have no density"
        )
    return x
