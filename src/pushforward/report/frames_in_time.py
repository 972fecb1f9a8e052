"""Rows that follow each other in time count as fewer in the errors of an evaluation."""

from __future__ import annotations

import dataclasses
import math

from torch import Tensor

from pushforward.data import Data
from pushforward.metrics import Evaluation, decorrelation_time

__all__ = ["for_frames"]

_NOTED = 1.5
"""Decorrelation times from which on a reader is told."""

_FEWEST = 8
"""Decorrelation times that `decorrelation_time` wants a series to last."""


def for_frames(found: Evaluation, test: Data) -> Evaluation:
    """An evaluation of fields with the errors of as many independent rows as they are worth.

    Held-out rows are in the order of the store. Standard errors of metrics suppose independent
    rows: they are widened by the root of `decorrelation_time`, as if samples remembered as much,
    which they do not. Of a series too short to know it, by that of the longest that it could tell,
    and rows do not count as converged. Other data are left as they are.

    >>> import torch
    >>> plain = Evaluation((), (), 4, 4, 4, 4, seed=0)
    >>> for_frames(plain, Data(torch.zeros(4, 2))) is plain
    True
    """
    if test.schema.fields is None or not isinstance(test.x, Tensor) or len(test) < 4:
        return found
    tau = decorrelation_time(test.x)
    known = math.isfinite(tau)
    wider = math.sqrt(tau if known else max(1.0, len(test) / _FEWEST))
    rows = tuple(
        dataclasses.replace(
            row,
            stderr=wider * row.stderr,
            floor_stderr=None if row.floor_stderr is None else wider * row.floor_stderr,
            converged=row.converged and known,
        )
        for row in found.rows
    )
    told = []
    if not known:
        told.append(
            f"The {len(test)} held-out rows are too few to tell how long they remember each other: "
            "errors are those of eight independent ones. Take more rows, or further apart in time."
        )
    elif tau >= _NOTED:
        told.append(
            f"Rows remember each other: the {len(test)} held-out ones are worth "
            f"{len(test) / tau:.0f} independent ones, and errors are those of as many."
        )
    return dataclasses.replace(found, rows=rows, warnings=(*found.warnings, *told))
