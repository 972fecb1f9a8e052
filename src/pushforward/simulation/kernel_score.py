"""The score of a kernel density estimate: the baseline that learns nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._distances import squared_distances
from pushforward._shapes import flatten
from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.sequential_score import ScoreFit

__all__ = ["KernelScore"]


@configurable
class KernelScore:
    r"""`grad log (1/n) sum_j N(x; x_j, h^2 S)` with `S` the variances of the particles.

    At a particle its own kernel, whose score is zero there, counts with the others, and in ten or
    more dimensions it outweighs them: the score is then near zero where the flow asks for it. At
    other places that of a normal distribution comes out about `1 / (1 + h^2)` times as large, since
    the estimate is wider than the distribution.

    Args:
        bandwidth: `h`, in standard deviations of each number; by default Silverman's
            `(4 / ((d + 2) n))^(1 / (d + 4))`.

    Raises `InputError` for a bandwidth that is not positive.

    >>> from pushforward._random import resolve
    >>> x = torch.randn(1000, 1, generator=resolve(seed=0))
    >>> score = KernelScore()
    >>> _ = score.fit(x, Diffusivity(1.0, (1,)), resolve(seed=0), first=True)
    >>> bool((score(torch.ones(1, 1)) + 1).abs() < 0.2)
    True
    """

    def __init__(self, bandwidth: float | None = None) -> None:
        self.bandwidth = None if bandwidth is None else positive("bandwidth", bandwidth)
        self._known: Tensor | None = None
        self._width: Tensor | None = None
        self._center: Tensor | None = None

    def fit(
        self, x: Tensor, diffusivity: Diffusivity, generator: torch.Generator, *, first: bool
    ) -> ScoreFit:
        """Take the particles as they are."""
        known = flatten(x).detach()
        n, d = known.shape
        h = self.bandwidth or (4 / ((d + 2) * n)) ** (1 / (d + 4))
        self._known, self._width = known, h * known.std(0).clamp_min(torch.finfo(x.dtype).tiny)
        self._center = known.mean(0)
        return ScoreFit(0, math.nan, math.nan, True)

    def __call__(self, x: Tensor) -> Tensor:
        """The score at states `(B, *event)`. Raises `InputError` before it is fitted."""
        if self._known is None or self._width is None or self._center is None:
            raise InputError("fit the score to particles first")
        known, at = ((z - self._center) / self._width for z in (self._known, flatten(x)))
        weights = (-0.5 * squared_distances(at, known)).softmax(1)
        return ((weights @ known - at) / self._width).reshape(x.shape)

    def state(self) -> dict[str, Tensor]:
        """Nothing: every fit begins anew."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """There is nothing to put back."""
