"""Decoders: networks that say what data a latent vector stands for, `p(x | z, c)`."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.latent.distributions import DiagonalNormal, Reparametrized
from pushforward.latent.networks import check_network
from pushforward.latent.observations import Bernoulli, Levels, Logistic, check_levels

__all__ = ["BernoulliDecoder", "Decoder", "GaussianDecoder", "LogisticDecoder"]

LEAST = 1e-3
"""A learned deviation never falls below this: a point's density would have no bound."""


class Decoder(nn.Module):
    """`p(x | z, c)`: a function of latents `(B, latent)` that returns distributions of states.

    A density is one of standardized states; probabilities of levels, with `discrete`, are of data
    as they are.
    """

    discrete: bool
    net: nn.Module
    family: type[Reparametrized]
    """What it returns."""

    @abstractmethod
    def forward(self, z: Tensor, c: Tensor | None = None) -> DiagonalNormal | Levels:
        """A batch of `B`, told labels or contexts if the network takes them."""

    def check(self, x: Tensor) -> None:
        """Raise `InputError` for states, in data units, to which the decoder gives no probability.

        A density takes all.
        """

    def narrowest(self) -> float | None:
        """The floor of the learned deviations of a density, if one is at it."""
        return None

    def _put_out(self, z: Tensor, c: Tensor | None) -> Tensor:
        h: Tensor = self.net(z) if c is None else self.net(z, c)
        return h


START = 0.2
"""The deviation that learning starts from. From that of the data themselves, the latents are easily
never found useful."""

PACE = 10.0
"""How many times as far as a weight the logarithm of a deviation goes in a step of Adam, whose
steps have one size: from 0.2 to 1 would be 1,600 steps of 1e-3.
"""


class Scale(nn.Module):
    """The deviation of a decoder's distributions, in its own units.

    Args:
        choice: a number; or `scalar`, one for all, `dimension`, one for each entry, both learned;
            or `network`, put out by the network, which then has twice the entries on the first
            axis of an event.
        event_shape: the shape of a data point, for `dimension`.
        start: the deviation that learning starts from.
    """

    def __init__(
        self, choice: float | str, event_shape: int | tuple[int, ...] | None, start: float
    ) -> None:
        super().__init__()
        self.raw: Tensor
        self.predicted = choice == "network"
        raw = torch.tensor(math.log(start) / PACE)
        if choice == "scalar":
            self.raw = nn.Parameter(raw)
        elif choice == "dimension":
            if event_shape is None:
                raise InputError("a deviation for each dimension needs event_shape=")
            shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
            self.raw = nn.Parameter(raw.repeat(shape))
        elif self.predicted:
            self.register_buffer("raw", raw, persistent=False)
        elif isinstance(choice, int | float) and LEAST < choice < math.inf:
            raw = torch.tensor(math.log(choice - LEAST) / PACE)
            self.register_buffer("raw", raw, persistent=False)
        else:
            raise InputError(
                f"a deviation is a number above {LEAST:g}, 'scalar', 'dimension' or 'network', "
                f"not {choice!r}"
            )

    @property
    def learned(self) -> bool:
        """Whether training changes it."""
        return self.predicted or isinstance(self.raw, nn.Parameter)

    def start(self, std: float) -> None:
        """Begin to learn from a deviation, in the place of another one."""
        self.raw.fill_(math.log(std - LEAST) / PACE)

    @property
    def log(self) -> Tensor:
        """The logarithm of the deviation above the floor."""
        return PACE * self.raw

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Locations and deviations from what a network put out."""
        if not self.predicted:
            return h, LEAST + self.log.exp()
        if h.shape[1] % 2:
            raise InputError(
                f"a network that puts out deviations has twice the entries of an event on its "
                f"first axis, not {tuple(h.shape[1:])}"
            )
        location, raw = h.chunk(2, 1)
        # Bounded above, since exp of a wild output would be infinite.
        return location, LEAST + (self.log + raw).clamp(max=6.0).exp()


@configurable
class GaussianDecoder(Decoder):
    """`N(g(z), sigma^2)`, of standardized states.

    Args:
        net: `net(z)` or `net(z, c)`, the shape of states.
        sigma: a number, in units of standardized data, or learned: `scalar` (Rybkin, Daniilidis &
            Levine 2021), `dimension` or `network`. With `network`, the net puts out twice the
            entries on the first axis: means and logarithms of deviations.
        event_shape: the shape of one data point, for `dimension`.

    Raises `InputError` for another sigma.

    >>> from pushforward.nn import Perceptron
    >>> GaussianDecoder(Perceptron(2, 3), sigma=0.1)(torch.zeros(5, 2)).mean.shape
    torch.Size([5, 3])
    """

    discrete = False
    family = DiagonalNormal

    def __init__(
        self,
        net: nn.Module,
        sigma: float | str = "scalar",
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.net = check_network(net)
        self.scale = Scale(sigma, event_shape, start=START)

    def forward(self, z: Tensor, c: Tensor | None = None) -> DiagonalNormal:
        """Gaussians with independent entries."""
        mean, std = self.scale(self._put_out(z, c))
        return DiagonalNormal(mean, std, mean.ndim - 1)

    def narrowest(self) -> float | None:
        """The floor, if what was learned is below."""
        learned = isinstance(self.scale.raw, nn.Parameter)
        return LEAST if learned and bool((self.scale.log.exp() < LEAST).any()) else None


class _LevelDecoder(Decoder):
    discrete = True
    family = Levels
    levels: int
    value_range: tuple[float, float]

    def check(self, x: Tensor) -> None:
        """Raise `InputError` unless all entries are levels."""
        check_levels(x, self.levels, self.value_range)

    @abstractmethod
    def forward(self, z: Tensor, c: Tensor | None = None) -> Levels:
        """Distributions of levels."""


@configurable
class BernoulliDecoder(_LevelDecoder):
    """Independent entries of two values, in data units.

    Args:
        net: `net(z)` or `net(z, c)`, the log-odds of the upper value, the shape of states.
        value_range: the two values.

    >>> from pushforward.nn import Perceptron
    >>> BernoulliDecoder(Perceptron(2, 3))(torch.zeros(5, 2)).probabilities().shape
    torch.Size([5, 3, 2])
    """

    def __init__(self, net: nn.Module, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.net, self.levels = check_network(net), 2
        self.value_range = _range(2, value_range)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Bernoulli:
        """Distributions of two values."""
        return Bernoulli(self._put_out(z, c), self.value_range)


@configurable
class LogisticDecoder(_LevelDecoder):
    """Independent entries that are `observations.Logistic`, in data units.

    The network's locations -1 and 1 are the ends of the range.

    Args:
        net: `net(z)` or `net(z, c)`.
        levels: how many equally spaced values an entry takes.
        value_range: the smallest and the largest.
        scale: a number, in units of half the range, or learned: `scalar`, `dimension`, or `network`
            (the net puts out twice the entries on the first axis).
        event_shape: the shape of one data point, for `dimension`.

    Raises `InputError` for another scale, or fewer than two levels.

    >>> from pushforward.nn import Perceptron
    >>> decoder = LogisticDecoder(Perceptron(2, 6), levels=17, value_range=(0.0, 16.0))
    >>> decoder(torch.zeros(5, 2)).probabilities().shape
    torch.Size([5, 3, 17])
    """

    def __init__(
        self,
        net: nn.Module,
        levels: int,
        value_range: tuple[float, float],
        scale: float | str = "network",
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.net, self.levels = check_network(net), levels
        self.value_range = _range(levels, value_range)
        self.scale = Scale(scale, event_shape, start=START)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Logistic:
        """Rounded logistic distributions."""
        low, high = self.value_range
        half = (high - low) / 2
        location, scale = self.scale(self._put_out(z, c))
        return Logistic(low + half * (1 + location), half * scale, self.levels, self.value_range)


def _range(levels: int, value_range: Any) -> tuple[float, float]:
    low, high = value_range
    if levels < 2 or not low < high:
        raise InputError(f"{levels} levels on {low:g}..{high:g}: there must be two, going up")
    return float(low), float(high)
