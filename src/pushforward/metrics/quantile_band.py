"""Quantiles of the values of fields, with bands for rows in time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.block_bootstrap import MeanBand, mean_band

__all__ = ["quantile_band"]


def quantile_band(x: Tensor, levels: Sequence[float], *, seed: int = 0) -> MeanBand:
    r"""Quantiles of all values of each channel, `(C, levels)`, with bands.

    The share of values below the quantile is a mean over rows, whose band is by blocks of rows
    (`mean_band`); its ends are carried to values by the quantile function itself (Woodruff 1952),
    so that a band in a long tail is longer above. The standard error is half of what one standard
    error of the share spans.

    Args:
        x: fields `(N, C, *)` in the order of time.
        levels: such as .99 and .999.
        seed: of the resampling.

    Raises `InputError` for fewer than four rows, NaN or infinity, and for levels outside (0, 1).

    >>> x = torch.rand(400, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> found = quantile_band(x, (0.5, 0.9))
    >>> bool((found.low < torch.tensor([0.5, 0.9])).all() and (found.high > 0.5).all())
    True
    """
    if x.ndim < 2:
        raise InputError(f"fields have shape (N, C, ...), not {tuple(x.shape)}")
    if not levels or not all(0 < level < 1 for level in levels):
        raise InputError(f"levels of quantiles lie between 0 and 1, not {list(levels)!r}")
    values = in_double(x).reshape(*x.shape[:2], -1)
    ordered = values.transpose(0, 1).flatten(1).sort(1).values  # (C, all)
    at = values.new_tensor(levels).expand(len(ordered), -1)
    found = _at(ordered, at)
    shares_below = [(values <= found[:, k, None]).double().mean(2) for k in range(len(levels))]
    below = torch.stack(shares_below, 2)
    band = mean_band(below, seed=seed)
    shares = [at + end - band.mean for end in (band.low, band.high)]
    low, high = (_at(ordered, share.clamp(0, 1)) for share in shares)
    ends = [_at(ordered, (at + sign * band.stderr).clamp(0, 1)) for sign in (-1, 1)]
    return MeanBand(found, low, high, (ends[1] - ends[0]) / 2, band.block, band.effective)


def _at(ordered: Tensor, share: Tensor) -> Tensor:
    """The quantiles of sorted rows at shares, by interpolation."""
    place = share * (ordered.shape[1] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=ordered.shape[1] - 1)
    rest = place - low
    return ordered.gather(1, low) * (1 - rest) + ordered.gather(1, high) * rest
