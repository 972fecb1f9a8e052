"""Denoising diffusion: the reversal of an Ornstein-Uhlenbeck process that starts at the target."""

from __future__ import annotations

from torch import Tensor

from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.learned_samplers.density import Density, relative_gradient
from pushforward.learned_samplers.paths import ControlNetwork, Normals, PathPair, Step
from pushforward.learned_samplers.step_sizes import cosine_shares

__all__ = ["DenoisingDiffusion"]


@configurable
class DenoisingDiffusion(PathPair):
    r"""The denoising diffusion sampler, DDS (Vargas, Grathwohl & Doucet 2023).

    Backward runs `dX = -X ds + sqrt(2) sigma dB` from the target to its stationary law
    `N(0, sigma^2)`, which forward starts from. Both are integrated exactly over a step of length
    `h`: with `a = 1 - exp(-2 h)`,

        b(x | y) = N(sqrt(1 - a) y, a sigma^2),
        f(y | x) = N(sqrt(1 - a) x + a sigma u(x, t), a sigma^2),

    and `u = 0` makes both chains those of the stationary process. The best control for small steps
    is `sigma grad log(p_s / N(0, sigma^2))`, so that this gradient for the target itself, clipped,
    is a feature of the network.

    Args:
        scale: `sigma`, in the coordinates of the paths.
        horizon: how long the process runs; `exp(-horizon)` of the target's mean is left at its end.
        clip: of the feature, for each number of a state.
    """

    def __init__(self, scale: float = 1.0, horizon: float = 4.0, clip: float = 10.0) -> None:
        super().__init__()
        self.scale, self.horizon = positive("scale", scale), positive("horizon", horizon)
        self.clip = positive("clip", clip)

    def _learned(self, network: ControlNetwork) -> None:
        self.control = network()

    def tabulated(self, steps: int) -> dict[str, Tensor]:
        """What is kept and what is new in each step, what is kept of a push after it until the
        end, and how much of the target is left before.
        """
        length = self.horizon * cosine_shares(steps)
        left = length.flip(0).cumsum(0).flip(0)
        return {
            "keep": (-length).exp(), "new": -(-2 * length).expm1(), "signal": (-2 * left).exp(),
            "kept": (length - left).exp(),
        }  # fmt: skip

    def start(self, n: int) -> Normals:
        """The stationary law."""
        keep = self._tables["keep"]
        return Normals(keep.new_zeros(n, self.dim), keep.new_tensor(self.scale))

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """The exact step of the process, and the control."""
        new = self.at("new", k)
        drift = self.scale * self.steering(k, x, density)
        return Normals(self.at("keep", k) * x + new * drift, self.scale * new.sqrt())

    def steering(self, k: Step, x: Tensor, density: Density) -> Tensor:
        """The control of a step."""
        feature = self.at("signal", k) * relative_gradient(density, x, self.scale, self.clip)
        found: Tensor = self.control(x / self.scale, self.time(k), feature)
        return found

    def bridged(self, k: Step, end: Tensor) -> Normals:
        """The law of a state before its end, which hardly depends on the start (`horizon`)."""
        kept = self.at("kept", k) * self.at("keep", k)
        return Normals(kept * end, self.scale * (1 - kept.square()).sqrt())

    def pull(self, k: Step, end: Tensor, density: Density) -> Tensor:
        """What is left at the end of `sigma grad log(gamma / N(0, sigma^2))`, clipped."""
        return self.at("kept", k) * relative_gradient(density, end, self.scale, self.clip)

    def backward(self, k: Step, y: Tensor, density: Density) -> Normals:
        """The exact step of the process."""
        return Normals(self.at("keep", k) * y, self.scale * self.at("new", k).sqrt())
