"""Controlled Monte Carlo diffusion: Langevin steps with a learned drift that keeps up."""

from __future__ import annotations

from torch import Tensor

from pushforward.config import configurable
from pushforward.learned_samplers.annealing import AnnealedPaths
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import ControlNetwork, Normals, Step

__all__ = ["ControlledMonteCarlo"]


@configurable
class ControlledMonteCarlo(AnnealedPaths):
    r"""Controlled Monte Carlo diffusions, CMCD (Vargas et al. 2024).

    A control `u` carries the law of a path along the annealed densities, so that it need not lag
    behind them, with one sign forward and the other backward:

        f_k(y | x) = N(x + h_k (grad log pi_k(x) + u(x, t_k)), 2 h_k),
        b_k(x | y) = N(y + h_k (grad log pi_(k+1)(y) - u(y, t_(k+1))), 2 h_k).

    Each end of a step is taken at its own temperature and time. The best control moves `pi` by the
    continuity equation, `d pi / dt = -div(pi u)`; then the weights' deviation goes to zero with the
    step size. The network sees `grad log(gamma / p)`, clipped, and `u` is zero without training.

    Args:
        scale: see `AnnealedPaths`.
        horizon: see there.
        clip: see there.
        pieces: see there.
    """

    def _learned(self, network: ControlNetwork) -> None:
        super()._learned(network)
        self.control = network()

    def forward(self, k: Step, x: Tensor, density: Density) -> Normals:
        """A controlled step."""
        own, control = self._drift(k, x, density)
        h = self.length(k)
        return Normals(x + h * (own + control), (2 * h).sqrt())

    def backward(self, k: Step, y: Tensor, density: Density) -> Normals:
        """The step back, with the control against it."""
        own, control = self._drift(k + 1, y, density)
        h = self.length(k)
        return Normals(y + h * (own - control), (2 * h).sqrt())

    def _drift(self, k: Step, x: Tensor, density: Density) -> tuple[Tensor, Tensor]:
        """The annealed gradient before step `k`, and the control."""
        gradient = self.target_gradient(x, density)
        feature = self.along(x, gradient)
        control = self.control(x / self.scale, self.time(k), feature) - feature
        return self.annealed(x, gradient, k), control
