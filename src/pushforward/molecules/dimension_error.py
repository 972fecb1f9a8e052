"""How far a law of sizes is from another, as in conditional generation of molecules."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["dimension_error", "law_of_sizes", "sampling_floor"]


def law_of_sizes(sizes: Tensor, most: int) -> Tensor:
    """The frequencies of the sizes `0..most`, float64.

    Raises `InputError` for no sizes, or one beyond `most`.

    >>> law_of_sizes(torch.tensor([1, 2, 2, 1]), 3)
    tensor([0.0000, 0.5000, 0.5000, 0.0000], dtype=torch.float64)
    """
    if len(sizes) == 0 or int(sizes.max()) > most:
        raise InputError(f"{len(sizes)} sizes up to {most} make no law: give one, none larger")
    return torch.bincount(sizes, minlength=most + 1).double() / len(sizes)


def dimension_error(p: Tensor, q: Tensor) -> float:
    r"""`1 - \sum_n \sqrt{p_n q_n}`, the squared Hellinger distance of two laws of sizes.

    0 for the same law, 1 for laws without a common size (Campbell et al. 2023, whose name it is).
    Of `n` draws of a law with `K` sizes it is `sampling_floor(K, n)` on average, not 0.

    >>> half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    >>> dimension_error(half, half), dimension_error(half, half.flip(0) * 0)
    (0.0, 1.0)
    """
    return max(0.0, 1.0 - float((p.double() * q.double()).sqrt().sum()))


def sampling_floor(sizes: int, n: int) -> float:
    """What `dimension_error` is on average for `n` draws of the law itself: `(K - 1) / (8 n)`.

    >>> sampling_floor(9, 100)
    0.01
    """
    return (sizes - 1) / (8 * n)
