"""Cumulants of the values of fields, with errors for rows in time."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.block_bootstrap import MeanBand, mean_band

__all__ = ["cumulants"]


def cumulants(x: Tensor, *, seed: int = 0) -> MeanBand:
    r"""The second to fourth cumulant of the values of each channel, `(C, 3)`, with bands.

    Variance `m2`, `m3` and `m4 - 3 m2^2` of all cells and rows together, of central moments: the
    last two vanish for a normal distribution. Errors are by blocks of rows, `mean_band`.

    Args:
        x: fields `(N, C, *)` in the order of time.
        seed: of the resampling.

    Raises `InputError` for fewer than four rows, NaN or infinity.

    >>> x = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> found = cumulants(2 * x)
    >>> bool((found.mean[0, 0] - 4).abs() < 4 * found.stderr[0, 0])
    True
    """
    if x.ndim < 2:
        raise InputError(f"fields have shape (N, C, ...), not {tuple(x.shape)}")
    values = in_double(x).reshape(*x.shape[:2], -1)
    # About the mean of all, which powers of large values would lose in rounding.
    values = values - values.mean((0, 2), keepdim=True)
    powers = torch.stack([values.pow(p).mean(2) for p in (1, 2, 3, 4)], -1)  # (N, C, 4)
    return mean_band(powers, of=_cumulants, seed=seed)


def _cumulants(moments: Tensor) -> Tensor:
    """Of raw moments `(*, 4)`, `(*, 3)`."""
    m1, m2, m3, m4 = moments.unbind(-1)
    second = m2 - m1.square()
    third = m3 - 3 * m1 * m2 + 2 * m1.pow(3)
    fourth = m4 - 4 * m1 * m3 + 6 * m1.square() * m2 - 3 * m1.pow(4)
    return torch.stack([second, third, fourth - 3 * second.square()], -1)
