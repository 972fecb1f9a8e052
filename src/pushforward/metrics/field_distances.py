"""How far fields are from others in what their cells hold, and from those they were made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.block_bootstrap import block_means
from pushforward.metrics.spectra import energy_spectrum

__all__ = ["kolmogorov_smirnov", "kolmogorov_smirnov_error", "source_distance", "source_squares"]

_QUANTILES = 200


def kolmogorov_smirnov(x: Tensor, y: Tensor) -> Tensor:
    """The largest difference of the distribution functions of each channel, `(C,)`.

    Of all values of a channel together, `(N, C, *)` and `(M, C, *)`: cells of fields, or means over
    space, `(N, C)`. No p-value goes with it: neighbors in space and time are not independent.

    Raises `InputError` for other channels, NaN or infinity.

    >>> kolmogorov_smirnov(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]]))
    tensor([0.5000], dtype=torch.float64)
    """
    if min(x.ndim, y.ndim) < 2 or x.shape[1] != y.shape[1]:
        raise InputError(
            f"fields have channels on the second axis, as many on both sides: not "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not (bool(x.isfinite().all()) and bool(y.isfinite().all())):
        raise InputError("NaN or infinity has no place in a distribution: leave masked cells out")
    found = []
    for a, b in zip(x.transpose(0, 1), y.transpose(0, 1), strict=True):
        first, second = (in_double(side).flatten().sort().values for side in (a, b))
        at = torch.cat([first, second])
        below = [
            torch.searchsorted(side, at, right=True).double() / len(side)
            for side in (first, second)
        ]
        found.append((below[0] - below[1]).abs().max())
    return torch.stack(found)


def kolmogorov_smirnov_error(x: Tensor, y: Tensor) -> Tensor:
    """The standard error of `kolmogorov_smirnov` for rows in the order of time, `(C,)`.

    Of distribution functions at the 200 quantiles of both sides together, which are means over
    rows, with rows drawn in blocks (`block_means`).

    Raises `InputError` as `kolmogorov_smirnov` does, and for fewer than four rows.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = (torch.randn(100, 1, 50, generator=g) for _ in range(2))
    >>> bool(kolmogorov_smirnov_error(x, y + 1) < 0.02)
    True
    """
    kolmogorov_smirnov(x[:1], y[:1])
    found = []
    for a, b in zip(x.transpose(0, 1), y.transpose(0, 1), strict=True):
        sides = [in_double(side).reshape(len(side), -1) for side in (a, b)]
        ordered = torch.cat([side.flatten() for side in sides]).sort().values
        at = ordered[torch.linspace(0, len(ordered) - 1, _QUANTILES).long()]
        draws = []
        for k, side in enumerate(sides):
            each = side.sort(1).values
            below = torch.searchsorted(each, at.expand(len(each), -1).contiguous(), right=True)
            draws.append(block_means(below.double() / each.shape[1], seed=k).draws)
        found.append((draws[0] - draws[1]).abs().amax(1).std())
    return torch.stack(found)


def source_distance(output: Tensor, source: Tensor) -> Tensor:
    r"""The root mean square distance of fields from their sources by wavenumber, `(C, K)`.

    Of fields `(N, C, H, W)` on one periodic grid, each channel of a side over its own mean and
    standard deviation (Bischoff & Deck 2024). The squares of all shells add up to the mean square
    of the difference; those from `K = N / 2` on are left out. Of two unrelated sets the squares
    are the sum of twice the energies of both.

    Raises `InputError` for other shapes, or channels that do not vary.

    >>> x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> float(source_distance(3 * x + 1, x).max()) < 1e-7
    True
    """
    return source_squares(output, source).mean(0).sqrt()


def source_squares(output: Tensor, source: Tensor) -> Tensor:
    """The squares behind `source_distance` of each row, `(N, C, K)`: `mean_band` of them with
    `of=torch.sqrt` has its errors.

    Raises `InputError` as `source_distance` does.

    >>> x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> source_squares(x, x.roll(1, 0)).shape
    torch.Size([4, 1, 4])
    """
    if output.shape != source.shape:
        raise InputError(
            f"{tuple(output.shape)} and {tuple(source.shape)} are no pairs of fields: bring the "
            "source to the grid of the output"
        )
    a, b = (_standardized(side) for side in (output, source))
    shells = math.ceil(min(output.shape[2:]) / 2)
    return 2 * energy_spectrum(a - b)[..., :shells]


def _standardized(x: Tensor) -> Tensor:
    x = in_double(x)
    axes = (0, *range(2, x.ndim))
    x = x - x.mean(axes, keepdim=True)
    deviation = x.square().mean(axes, keepdim=True).sqrt()
    if not bool((deviation > 0).all()):
        raise InputError("a channel that does not vary has no standard deviation: leave it out")
    return x / deviation
