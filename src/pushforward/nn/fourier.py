"""Sines and cosines of a vector, with which a network sees fine structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import layers

__all__ = ["FourierFeatures", "suitable_frequencies"]


def suitable_frequencies(numbers: int) -> int:
    """How many frequencies a network of so many numbers takes by default: `min(5, 12 // numbers)`.

    In few dimensions they are what fine structure needs. In many, few rows show structure finer
    than the spread of the data, and smooth laws are learned faster without: see
    `benchmarks/networks.py`.

    >>> [suitable_frequencies(numbers) for numbers in (1, 2, 4, 8, 16)]
    [5, 5, 3, 1, 0]
    """
    return int(min(5, 12 // numbers))


class FourierFeatures(nn.Module):
    r"""`(x, 2^(-k/2) sin 2^k x, 2^(-k/2) cos 2^k x)` for `k < K`, entry by entry.

    A perceptron learns functions of low frequency first, and those of high frequency hardly at all
    (Rahaman et al. 2019); given sines and cosines of geometrically spaced frequencies it learns
    both (Mildenhall et al. 2020, Tancik et al. 2020). For standardized entries five resolve
    structure of a fiftieth of a standard deviation. The amplitudes keep an untrained network smooth
    enough for data without such structure; equal ones cost those more (`benchmarks/networks.py`).

    Args:
        size: the number of entries.
        frequencies: how many, `K`; 0 passes the vector on as it is.

    Raises `InputError` for a negative number of frequencies.

    >>> FourierFeatures(3, 5)(torch.zeros(2, 3)).shape
    torch.Size([2, 33])
    """

    scales: Tensor
    amplitudes: Tensor

    def __init__(self, size: int, frequencies: int) -> None:
        super().__init__()
        count = layers("frequencies", frequencies, least=0)
        self.features = size * (1 + 2 * count)
        scales = 2.0 ** torch.arange(count).reshape(-1, 1)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("amplitudes", scales**-0.5, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The features `(B, features)` of vectors `(B, size)`."""
        if not len(self.scales):
            return x
        angle = x.unsqueeze(1) * self.scales
        waves = torch.stack([angle.sin(), angle.cos()], 1) * self.amplitudes
        return torch.cat([x, waves.flatten(1)], 1)
