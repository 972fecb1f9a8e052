r"""Paths along annealed densities, whose temperatures and step sizes are learned.

Between the start `p = N(0, scale^2)` and the target lie the densities

    log pi_b = (1 - b) log p + b log gamma,    0 = b_0 <= b_1 <= ... <= b_K = 1,

and steps follow their gradients. Temperatures and step sizes are functions of the time of a path,
so that a sampler that was trained with some number of steps can be asked for another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.checks import positive, whole
from pushforward.learned_samplers.density import Density, clipped
from pushforward.learned_samplers.paths import ControlNetwork, Normals, PathPair, Step

__all__ = ["AnnealedPaths", "Ladder"]

_LEAST = 0.02
"""Added to the squared cosine, so that steps at the target are not empty."""

_LONGEST = 0.25
"""The mean step size that few steps start with, though they end before the horizon: explicit steps
across a law as wide as the start are not stable from 2 on.
"""


class Ladder(nn.Module):
    """Temperatures from 0 to 1, and the speed of time, piecewise linear in `s` from 0 to 1.

    Before they are learned the temperature is `s` itself, and the speed, whose mean is 1, falls as
    a power of a cosine: steps are short at the target, which may be narrow.

    Args:
        pieces: how many.
        power: of the cosine.

    >>> Ladder(4).temperature(torch.tensor([0.0, 0.1, 1.0]))
    tensor([0.0000, 0.1000, 1.0000], grad_fn=<AddcmulBackward0>)
    """

    def __init__(self, pieces: int, power: float = 2.0) -> None:
        super().__init__()
        self.pieces = whole("pieces", pieces)
        cosine = torch.cos(0.5 * math.pi * torch.linspace(0, 1, pieces + 1))
        speed = (cosine.square() + _LEAST) ** (power / 2)
        self.log_gains = nn.Parameter(torch.zeros(pieces))
        mean = 0.5 * (speed[1:] + speed[:-1]).mean()
        self.log_speeds = nn.Parameter((speed / mean).log())

    def temperature(self, s: Tensor) -> Tensor:
        """The inverse temperature at `s`, `()` or `(B,)`: it never falls."""
        gains = self.log_gains.softmax(0)
        return self._between(torch.cat([gains.new_zeros(1), gains.cumsum(0)]), s)

    def speed(self, s: Tensor) -> Tensor:
        """The speed of time at `s`, `()` or `(B,)`, positive."""
        return self._between(self.log_speeds, s).exp()

    def _between(self, values: Tensor, s: Tensor) -> Tensor:
        place = s * self.pieces
        left = place.detach().floor().clamp(0, self.pieces - 1)
        k = left.long()
        return torch.addcmul(values[k], place - left, values[k + 1] - values[k])


class AnnealedPaths(PathPair):
    """What methods have in common whose steps follow annealed densities.

    Args:
        scale: the deviation of the start, in the coordinates of the paths.
        horizon: the sum of all step sizes, before they are learned, of at least `4 horizon` steps;
            fewer do not get there.
        clip: of the target's gradient, for each number of a state, in the steps alone: both chains
            take the steps that it changes, and weights know of it.
        pieces: of the functions that say temperatures and step sizes.
    """

    _power = 2.0

    def __init__(
        self, scale: float = 1.0, horizon: float = 4.0, clip: float = 3.0, pieces: int = 16
    ) -> None:
        super().__init__()
        self.scale, self.horizon = positive("scale", scale), positive("horizon", horizon)
        self.clip, self.pieces = positive("clip", clip), whole("pieces", pieces)

    def _learned(self, network: ControlNetwork) -> None:
        self.ladder = Ladder(self.pieces, self._power)

    def start(self, n: int) -> Normals:
        """The normal law of the start."""
        like = self.ladder.log_gains
        return Normals(like.new_zeros(n, self.dim), like.new_tensor(self.scale))

    def temperature(self, k: Step) -> Tensor:
        """`b_k`, the inverse temperature before step `k`: `()`, or `(B, 1)`."""
        found = self.ladder.temperature(1 - self.time(k))
        return found if found.ndim == 0 else found[:, None]

    def length(self, k: Step) -> Tensor:
        """The size `h_k` of step `k`: `()`, or `(B, 1)`."""
        middle = 1 - self.time(k) + 0.5 / self.steps
        found = self.ladder.speed(middle) * min(self.horizon / self.steps, _LONGEST)
        return found if found.ndim == 0 else found[:, None]

    def target_gradient(self, x: Tensor, density: Density) -> Tensor:
        """`grad log gamma` at `x`, `(B, d)`, clipped; differentiable along paths that are."""
        through = x.requires_grad and torch.is_grad_enabled()
        return clipped(density.gradient(x, through=through), self.clip)

    def annealed(self, x: Tensor, gradient: Tensor, k: Step) -> Tensor:
        """`grad log pi_b` at the temperature before step `k`, given that of the target."""
        b = self.temperature(k)
        return b * gradient - (1 - b) / self.scale**2 * x

    def along(self, x: Tensor, gradient: Tensor) -> Tensor:
        """`grad log(gamma / p)`, the change of the annealed gradient with the temperature."""
        return gradient + x / self.scale**2
