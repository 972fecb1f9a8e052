"""The path integral sampler: a Brownian motion from a point, steered to the target."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.learned_samplers.density import Density, relative_gradient
from pushforward.learned_samplers.paths import (
    ControlNetwork,
    Normals,
    PathPair,
    PinnedPoint,
    Step,
    StepKernel,
)
from pushforward.learned_samplers.step_sizes import cosine_shares

__all__ = ["PathIntegral"]


@configurable
class PathIntegral(PathPair):
    r"""The path integral sampler, PIS (Zhang & Chen 2022).

    Paths start at the origin and follow `dX = sigma u(X, t) dt + sigma dB` over a unit of time;
    without control they end at `N(0, sigma^2)`. Backward is the Brownian bridge to the origin,

        f(y | x) = N(x + h sigma u(x, t), h sigma^2),
        b(x | y) = N(y s / (s + h), sigma^2 h s / (s + h)),

    with `s` the time before the step. The start is a point, so it has no density: the first step
    back is certain. The best control for small steps tends to `sigma grad log(gamma / N(0,
    sigma^2))` at the target, which, clipped, is a feature of the network.

    Args:
        scale: `sigma`, in the coordinates of the paths.
        clip: of the feature, for each number of a state.
    """

    def __init__(self, scale: float = 1.0, clip: float = 10.0) -> None:
        super().__init__()
        self.scale, self.clip = positive("scale", scale), positive("clip", clip)

    def _learned(self, network: ControlNetwork) -> None:
        self.control = network()

    def tabulated(self, steps: int) -> dict[str, Tensor]:
        """The length of each step, and the time before it."""
        length = cosine_shares(steps)
        after = length.cumsum(0)
        before = torch.cat([length.new_zeros(1), after[:-1]])
        return {
            "length": length, "before": before, "left": before / (before + length),
            "signal": after,
        }  # fmt: skip

    def start(self, n: int) -> PinnedPoint:
        """The origin."""
        return PinnedPoint(self._tables["length"].new_zeros(n, self.dim))

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """A step of the controlled motion."""
        length = self.at("length", k)
        drift = self.scale * self.steering(k, x, density)
        return Normals(x + length * drift, self.scale * length.sqrt())

    def steering(self, k: Step, x: Tensor, density: Density) -> Tensor:
        """The control of a step."""
        feature = self.at("signal", k) * relative_gradient(density, x, self.scale, self.clip)
        found: Tensor = self.control(x / self.scale, self.time(k), feature)
        return found

    def bridged(self, k: Step, end: Tensor) -> Normals:
        """The law of a state before its end, on a bridge from the origin."""
        before = self.at("before", k)
        return Normals(before * end, self.scale * (before * (1 - before)).sqrt())

    def pull(self, k: Step, end: Tensor, density: Density) -> Tensor:
        """`sigma grad log(gamma / N(0, sigma^2))` at the end, clipped, whatever the step."""
        return relative_gradient(density, end, self.scale, self.clip)

    def backward(self, k: Step, y: Tensor, density: Density) -> StepKernel:
        """A step of the bridge; the first one ends at the origin."""
        left, length = self.at("left", k), self.at("length", k)
        if isinstance(k, int):
            if k == 0:
                return PinnedPoint(torch.zeros_like(y))
            return Normals(left * y, self.scale * (length * left).sqrt())
        return _BridgeSteps(left * y, self.scale * (length * left).sqrt(), k > 0)


class _BridgeSteps:
    """Steps of the bridge, some of them the first, whose end is certain."""

    def __init__(self, mean: Tensor, std: Tensor, free: Tensor) -> None:
        self.free = free
        self.normals = Normals(mean, torch.where(free[:, None], std, torch.ones_like(std)))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw for each row; the origin for a first step."""
        return torch.where(self.free[:, None], self.normals.sample(generator), 0.0)

    def log_prob(self, y: Tensor) -> Tensor:
        """The log-density of a state for each row; zero for a first step."""
        return torch.where(self.free, self.normals.log_prob(y), 0.0)
