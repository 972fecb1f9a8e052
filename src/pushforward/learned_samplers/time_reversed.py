"""The time-reversed diffusion sampler: Euler steps of a reversed diffusion, from a learned law."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.checks import flag, positive
from pushforward.config import configurable
from pushforward.learned_samplers.density import Density, clipped
from pushforward.learned_samplers.paths import ControlNetwork, Normals, PathPair, Step
from pushforward.learned_samplers.step_sizes import cosine_shares

__all__ = ["TimeReversed"]


@configurable
class TimeReversed(PathPair):
    r"""The time-reversed diffusion sampler, DIS (Berner, Richter & Ullrich 2024).

    The diffusion `dX = -X ds + sqrt(2) sigma dB` starts at the target; its reversal is
    `dY = (Y + 2 sigma u(Y, t)) ds + sqrt(2) sigma dB`, with `u` near `sigma` times the score. Both
    are taken by the steps of Euler and Maruyama, of length `h`,

        b(x | y) = N((1 - h) y, 2 h sigma^2),
        f(y | x) = N((1 + h) x + 2 h sigma u(x, t), 2 h sigma^2),

    and weights are those of these steps, so that they are exact as well. Between the start's score
    and that of the target the feature is interpolated. The law of the start is learned (Blessing,
    Jia & Neumann 2025): a mean and a deviation for each number.

    Args:
        scale: `sigma`, in the coordinates of the paths.
        horizon: how long the diffusion runs.
        clip: of the feature, for each number of a state.
        learned_start: whether the law of the start is learned.
    """

    def __init__(
        self, scale: float = 1.0, horizon: float = 3.0, clip: float = 10.0,
        learned_start: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.horizon = positive("scale", scale), positive("horizon", horizon)
        self.clip = positive("clip", clip)
        self.learned_start = flag("learned_start", learned_start)

    def _learned(self, network: ControlNetwork) -> None:
        self.control = network()
        free = self.learned_start
        self.mean = nn.Parameter(torch.zeros(self.dim), requires_grad=free)
        self.log_std = nn.Parameter(torch.zeros(self.dim), requires_grad=free)

    def tabulated(self, steps: int) -> dict[str, Tensor]:
        """The length of each step, and how much of the target is left before it."""
        length = self.horizon * cosine_shares(steps)
        left = length.flip(0).cumsum(0).flip(0)
        # Explicit steps of more than one would change the sign.
        return {"length": length.clamp(max=0.5), "signal": (-2 * left).exp()}

    def start(self, n: int) -> Normals:
        """The normal law that is learned."""
        return Normals(self.mean.expand(n, -1), self.scale * self.log_std.exp())

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """A step of the reversed diffusion."""
        length, signal = self.at("length", k), self.at("signal", k)
        own = self.scale * clipped(density.gradient(x), self.clip)
        feature = signal * own - (1 - signal) * x.detach() / self.scale
        drift = x + 2 * self.scale * self.control(x / self.scale, self.time(k), feature)
        return Normals(x + length * drift, self.scale * (2 * length).sqrt())

    def backward(self, k: Step, y: Tensor, density: Density) -> Normals:
        """A step of the diffusion."""
        length = self.at("length", k)
        return Normals((1 - length) * y, self.scale * (2 * length).sqrt())
