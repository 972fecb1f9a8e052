"""The observed order of convergence of a sampler or an integrator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate

__all__ = ["observed_order"]


def observed_order(steps: Sequence[int] | Tensor, errors: Sequence[float] | Tensor) -> Estimate:
    r"""The `p` in errors that fall like `steps^-p`: minus the slope of `log error` in `log steps`.

    Args:
        steps: numbers of steps, `(K,)`, at least two different ones.
        errors: the error at each, `(K,)`, positive.

    Returns the least-squares slope with its standard error from the scatter about the line, NaN
    for two points, which have none. Raises `InputError` for errors or steps that are not positive
    and finite, naming the first.

    >>> print(observed_order([10, 20, 40], [0.1, 0.026, 0.0063]))
    1.994 ± 0.029
    """
    x = torch.as_tensor(steps, dtype=torch.float64).detach().cpu()
    y = torch.as_tensor(errors, dtype=torch.float64).detach().cpu()
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(
            f"steps and errors have shapes {tuple(x.shape)} and {tuple(y.shape)}; they must be "
            "lists of one length"
        )
    for name, values in (("steps", x), ("errors", y)):
        bad = ~(torch.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(
                f"{name} must be positive and finite to have a logarithm, not "
                f"{float(values[bad][0]):g}"
            )
    if len(x.unique()) < 2:
        raise InputError("an order needs errors at two different numbers of steps at least")
    x, y = x.log(), y.log()
    centered = x - x.mean()
    spread = float(centered.square().sum())
    slope = float((centered * y).sum()) / spread
    residual = y - y.mean() - slope * centered
    freedoms = len(x) - 2
    stderr = math.sqrt(float(residual.square().sum()) / freedoms / spread) if freedoms else math.nan
    return Estimate(-slope, stderr, len(x))
