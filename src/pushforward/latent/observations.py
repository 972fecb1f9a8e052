"""Distributions of data whose entries take some levels, each on its own."""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from pushforward._random import uniform_like
from pushforward.errors import InputError
from pushforward.latent.distributions import Reparametrized

__all__ = ["Bernoulli", "Levels", "Logistic", "check_levels"]


class Levels(Reparametrized):
    """A batch `(B, *event)` with independent entries of equally spaced values, of uniform noise.

    Both ends of the range are among the values.

    Args:
        levels: how many values.
        value_range: the smallest and the largest.
    """

    def __init__(self, levels: int, value_range: tuple[float, float]) -> None:
        self.levels, self.value_range = levels, value_range
        self.width = (value_range[1] - value_range[0]) / (levels - 1)

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean of each entry, `(B, *event)`."""

    @staticmethod
    def noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Uniform."""
        return uniform_like(like, generator)

    def _total(self, each: Tensor) -> Tensor:
        """The sum over the entries of an event, for any number of batch axes before it."""
        return each.sum(tuple(range(1 - self.location.ndim, 0)))

    def index(self, x: Tensor) -> Tensor:
        """The number of the level nearest to each entry, 0 to `levels - 1`, as floats."""
        return ((x - self.value_range[0]) / self.width).round().clamp(0, self.levels - 1)

    def values(self, index: Tensor) -> Tensor:
        """The values of levels given by their numbers."""
        # In place on what is new: one pass through memory less.
        return (self.width * index).add_(self.value_range[0])

    @abstractmethod
    def cdf(self, index: Tensor) -> Tensor:
        """The probability of all levels up to some, for numbers that broadcast to `(B, *event)`."""

    def probabilities(self) -> Tensor:
        """The probability of each level at each entry, `(B, *event, levels)`."""
        steps = [self.cdf(torch.tensor(k).to(self.mean)) for k in range(self.levels)]
        return torch.stack([steps[0], *(b - a for a, b in pairwise(steps))], -1)


class Bernoulli(Levels):
    """Two levels.

    Args:
        logits: the log-odds of the upper one, `(B, *event)`.
        value_range: the lower and the upper one.

    >>> Bernoulli(torch.zeros(1, 1), (0.0, 1.0)).probabilities()
    tensor([[[0.5000, 0.5000]]])
    """

    def __init__(self, logits: Tensor, value_range: tuple[float, float]) -> None:
        super().__init__(2, value_range)
        self.logits = logits

    @property
    def location(self) -> Tensor:
        """The log-odds."""
        return self.logits

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.values(self.logits.sigmoid())

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of the states."""
        # The logarithm of a sigmoid itself takes many times as long on a processor.
        return self._total(-softplus((1 - 2 * self.index(x)) * self.logits))

    def cdf(self, index: Tensor) -> Tensor:
        """That of the lower level, and one."""
        return torch.where(index < 1, (-self.logits).sigmoid(), torch.ones_like(self.logits))

    def push(self, noise: Tensor) -> Tensor:
        """The upper level where uniform noise is below its probability."""
        return self.values((noise < self.logits.sigmoid()).to(noise))


class Logistic(Levels):
    r"""A rounded logistic distribution (Kingma et al. 2016, Salimans et al. 2017).

    The probability of a level `v` is `F(v + w/2) - F(v - w/2)`, with `F` the logistic distribution
    function and `w` the distance of levels; the outermost levels take all that lies beyond.

    Args:
        location: `(B, *event)`.
        scale: positive, anything that broadcasts to it.
        levels: how many values.
        value_range: the smallest and the largest.

    >>> rounded = Logistic(torch.zeros(1, 1), torch.ones(()), 3, (-1.0, 1.0))
    >>> rounded.probabilities().sum(-1)
    tensor([[1.]])
    """

    def __init__(
        self, location: Tensor, scale: Tensor, levels: int, value_range: tuple[float, float]
    ) -> None:
        super().__init__(levels, value_range)
        self._location, self.scale = location, scale

    @property
    def location(self) -> Tensor:
        """That of each logistic distribution."""
        return self._location

    @property
    def mean(self) -> Tensor:
        """The mean of what is rounded, kept in the range: at most `w/2` from that of the levels."""
        low, high = self.value_range
        below = softplus((self.location - low) / self.scale)
        above = softplus((self.location - high) / self.scale)
        # Rounding alone may leave the range.
        return (low + self.scale * (below - above)).clamp(low, high)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of the states."""
        k = self.index(x)
        value = self.values(k)
        upper = (value + self.width / 2 - self.location) / self.scale
        lower = (value - self.width / 2 - self.location) / self.scale
        # log(F(a) - F(b)) = log F(a) + log(1 - F(b)) + log(1 - exp(b - a)), which never cancels.
        gap = torch.log(-torch.expm1(-self.width / self.scale))
        below = torch.where(k < self.levels - 1, logsigmoid(upper), 0.0)
        above = torch.where(k > 0, logsigmoid(-lower), 0.0)
        inside = torch.where((k > 0) & (k < self.levels - 1), gap, 0.0)
        return self._total(below + above + inside)

    def cdf(self, index: Tensor) -> Tensor:
        """`F` at the upper end of a level's cell, one at the last level."""
        edge = self.values(index) + self.width / 2
        inner = ((edge - self.location) / self.scale).sigmoid()
        return torch.where(index < self.levels - 1, inner, torch.ones_like(inner))

    def push(self, noise: Tensor) -> Tensor:
        """A logistic distribution's quantile at uniform noise, rounded to a level."""
        tiny = torch.finfo(noise.dtype).tiny
        x = self.location + self.scale * noise.clamp(min=tiny).logit()
        return self.values(self.index(x))


def check_levels(x: Tensor, levels: int, value_range: tuple[float, float]) -> None:
    """Raise `InputError` unless all entries are among equally spaced levels, up to rounding.

    >>> check_levels(torch.tensor([0.0, 0.5]), 3, (0.0, 1.0))
    """
    low, high = value_range
    place = (x - low) / (high - low) * (levels - 1)
    off = (place - place.round().clamp(0, levels - 1)).abs().flatten()
    # Written so that what is not a number does not pass.
    if not bool((off < 1e-2).all()):
        worst = float(x.flatten()[off.nan_to_num(math.inf).argmax()])
        raise InputError(
            f"the decoder knows {levels} levels on {low:g}..{high:g}, and {worst:g} is none of "
            "them: round the data, or take a Gaussian decoder"
        )
