"""How far fields are from others in what their cells hold, and from those they were made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.spectra import energy_spectrum

__all__ = ["kolmogorov_smirnov", "source_distance"]


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
    if output.shape != source.shape:
        raise InputError(
            f"{tuple(output.shape)} and {tuple(source.shape)} are no pairs of fields: bring the "
            "source to the grid of the output"
        )
    a, b = (_standardized(side) for side in (output, source))
    shells = math.ceil(min(output.shape[2:]) / 2)
    return (2 * energy_spectrum(a - b).mean(0)[:, :shells]).sqrt()


def _standardized(x: Tensor) -> Tensor:
    x = in_double(x)
    axes = (0, *range(2, x.ndim))
    x = x - x.mean(axes, keepdim=True)
    deviation = x.square().mean(axes, keepdim=True).sqrt()
    if not bool((deviation > 0).all()):
        raise InputError("a channel that does not vary has no standard deviation: leave it out")
    return x / deviation
