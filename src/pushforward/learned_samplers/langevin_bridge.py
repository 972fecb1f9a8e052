"""Annealed importance sampling by unadjusted Langevin steps, both ways."""

from __future__ import annotations

from torch import Tensor

from pushforward.config import configurable
from pushforward.learned_samplers.annealing import AnnealedPaths
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import Normals, Step

__all__ = ["LangevinBridge"]


@configurable
class LangevinBridge(AnnealedPaths):
    r"""Langevin steps along annealed densities, without a network (Thin et al. 2021).

        f_k(y | x) = N(x + h_k grad log pi_(k+1)(x), 2 h_k),
        b_k(x | y) = N(y + h_k grad log pi_(k+1)(y), 2 h_k).

    Were the steps reversible, this would be annealed importance sampling (Neal 2001); that they are
    not costs their Metropolis ratios, which stay in the weights. Temperatures and step sizes are
    all that is learned.

    Args:
        scale: see `AnnealedPaths`.
        horizon: see there.
        clip: see there.
        pieces: see there.
    """

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """A Langevin step at the next temperature."""
        return self._stepped(k, x, density)

    def backward(self, k: Step, y: Tensor, density: Density) -> Normals:
        """The same step from the other end."""
        return self._stepped(k, y, density)

    def _stepped(self, k: Step, x: Tensor, density: Density) -> Normals:
        h = self.length(k)
        own = self.annealed(x, self.target_gradient(x, density), k + 1)
        return Normals(x + h * own, (2 * h).sqrt())
