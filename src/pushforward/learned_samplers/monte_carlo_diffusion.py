"""Monte Carlo diffusion: annealed importance sampling with learned scores on the way back."""

from __future__ import annotations

from torch import Tensor

from pushforward.config import configurable
from pushforward.learned_samplers.annealing import AnnealedPaths
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import ControlNetwork, Normals, Step

__all__ = ["MonteCarloDiffusion"]


@configurable
class MonteCarloDiffusion(AnnealedPaths):
    r"""Score-based annealed importance sampling, MCD (Doucet et al. 2022).

    Forward are Langevin steps along annealed densities, which lag behind these; backward is the
    reversal of the process that lags, with the learned score `s` of its law:

        f_k(y | x) = N(x + h_k g_k(x), 2 h_k),                 g_k = grad log pi_(k+1),
        b_k(x | y) = N(y - h_k g_k(y) + 2 h_k s(y, t), 2 h_k).

    The network learns `s - g`, and sees `g`. With `s = g`, untrained, it is `LangevinBridge`: draws
    improve with the number of steps and the temperatures alone, estimates of `log Z` with training.

    Args:
        scale: see `AnnealedPaths`.
        horizon: see there.
        clip: see there.
        pieces: see there.
    """

    def _learned(self, network: ControlNetwork) -> None:
        super()._learned(network)
        self.score = network()

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """A Langevin step at the next temperature."""
        h = self.length(k)
        own = self.annealed(x, self.target_gradient(x, density), k + 1)
        return Normals(x + h * own, (2 * h).sqrt())

    def backward(self, k: Step, y: Tensor, density: Density) -> Normals:
        """A step of the reversal."""
        h = self.length(k)
        own = self.annealed(y, self.target_gradient(y, density), k + 1)
        lag = self.score(y / self.scale, self.time(k + 1), own) - own
        return Normals(y + h * (own + 2 * lag), (2 * h).sqrt())
