"""How a game of generator and critic has ended, told by samples beside data and by the critic."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["faults_of_critic", "faults_of_samples"]

_APART = 0.75
"""The share of pairs from which on a critic tells samples from data: 1/2 is that of chance."""

_WON = 0.95
_CLEAR = 3.0


def faults_of_samples(real: Tensor, fake: Tensor) -> Iterator[str]:
    """Collapse, seen on as many samples `(N, d)` as data, in the units of the model.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(2, 100, 2, generator=g)
    >>> list(faults_of_samples(x, y)), [text[:46] for text in faults_of_samples(x, 0.1 * y)]
    ([], ["The samples have 1% of the data's variance: th"])
    """
    spread = float(fake.var(0).sum() / real.var(0).sum().clamp(min=1e-12))
    if spread < 0.25:
        yield (
            f"The samples have {spread:.0%} of the data's variance: the generator has collapsed. "
            "Try discrepancy=wasserstein, or a larger regularizer."
        )
    near = _nearest(fake).median() / _nearest(real).median().clamp(min=1e-12)
    if near < 0.1:
        yield (
            f"A sample's nearest other sample is {float(near):.0%} as far as data points are from "
            "each other: the generator repeats itself."
        )


def faults_of_critic(real: Tensor, fake: Tensor) -> Iterator[str]:
    """Whether a critic tells samples from data, by its scores `(N,)` and `(M,)` of both.

    Data above a sample in a share of pairs is the area under the curve of a classifier (Hanley &
    McNeil 1982), 1/2 where it knows nothing. From 3/4 on, three standard errors away from it, the
    critic still sees what the generator has not learned.

    >>> scores = torch.linspace(0, 1, 200)
    >>> list(faults_of_critic(scores, scores))
    []
    >>> [text[:60] for text in faults_of_critic(scores + 2, scores)]
    ['The critic ranks data above samples in 100% of pairs: it has']
    """
    above = (real.unsqueeze(1) > fake).double() + 0.5 * (real.unsqueeze(1) == fake).double()
    share = float(above.mean())
    # A pair shares its members with others: what counts is the numbers of states on either side.
    error = (share * (1 - share) / min(len(real), len(fake))) ** 0.5
    pairs = f"The critic ranks data above samples in {share:.0%} of pairs"
    if share > _WON:
        yield f"{pairs}: it has won, and the generator learns little from it."
    elif share - _CLEAR * error > _APART:
        yield (
            f"{pairs}, where 50% is chance: it tells samples from data. Train for more steps, or "
            "take a wider generator."
        )


def _nearest(x: Tensor) -> Tensor:
    """The distance of each row to the nearest other."""
    distances = torch.cdist(x, x)
    return distances.fill_diagonal_(torch.inf).amin(1)
