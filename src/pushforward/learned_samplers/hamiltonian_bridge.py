"""Annealed importance sampling by underdamped Langevin steps that nothing corrects."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward._random import normal_like
from pushforward.config import configurable
from pushforward.learned_samplers.annealing import AnnealedPaths
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import ControlNetwork, Normals, Step, StepKernel

__all__ = ["HamiltonianBridge"]


@configurable
class HamiltonianBridge(AnnealedPaths):
    r"""Uncorrected Hamiltonian annealing, UHA (Geffner & Domke 2021; Zhang et al. 2021).

    States have momenta, standard normal at both ends. A step forward renews the momentum in part
    and then moves, without a change of volume, by the annealed gradient at the middle `m`,

        p' = a p + sqrt(1 - a^2) n,    a = exp(-c h_k),
        m = x + h_k/2 p',    q = p' + h_k grad log pi_(k+1)(m),    y = m + h_k/2 q;

    a step back undoes the move and renews the momentum likewise. The weight of a step is
    `N(p) / N(p')`. Along moves that keep their energy this is annealed importance sampling; what
    the others gain or lose stays in the weights. Temperatures, step sizes and `c` are learned.

    A move ends where its step size says, so that paths that are kept fixed are impossible under
    another one: only `reverse_kl` can train it.

    Args:
        scale: see `AnnealedPaths`.
        horizon: see there.
        clip: see there.
        pieces: see there.
    """

    fixed_paths = False
    _power = 1.0

    def _learned(self, network: ControlNetwork) -> None:
        super()._learned(network)
        self.log_friction = nn.Parameter(torch.zeros(()))

    @property
    def width(self) -> int:
        """Positions, and their momenta."""
        return 2 * self.dim

    def start(self, n: int) -> Normals:
        """Normal positions and momenta."""
        std = torch.ones_like(self.log_friction).detach().repeat(self.width)
        std[: self.dim] = self.scale
        return Normals(std.new_zeros(n, self.width), std)

    def end_log_prob(self, x: Tensor, density: Density) -> Tensor:
        """The log-density of the target, and that of normal momenta."""
        momentum = x[:, self.dim :]
        normal = Normals(torch.zeros_like(momentum), torch.ones_like(self.log_friction))
        return density(self.position(x)) + normal.log_prob(momentum)

    def position(self, x: Tensor) -> Tensor:
        """Without momenta."""
        return x[:, : self.dim]

    def lifted(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """With momenta."""
        return torch.cat([x, normal_like(x, generator)], 1)

    def forward(self, k: Step, x: Tensor, density: Density) -> StepKernel:
        """A momentum that is renewed in part, and a move."""
        return _Ahead(x, *self._move(k, density))

    def backward(self, k: Step, y: Tensor, density: Density) -> StepKernel:
        """The move undone, and a momentum that is renewed in part."""
        return _Behind(y, *self._move(k, density))

    def _move(self, k: Step, density: Density) -> tuple[Tensor, Tensor, _Gradient]:
        h = self.length(k)

        def gradient(x: Tensor) -> Tensor:
            return self.annealed(x, self.target_gradient(x, density), k + 1)

        return h, (-h * self.log_friction.exp()).exp(), gradient


_Gradient = Callable[[Tensor], Tensor]


class _Ahead:
    """States after a step; given one, the momentum in between is known from the positions."""

    def __init__(self, state: Tensor, h: Tensor, kept: Tensor, gradient: _Gradient) -> None:
        self.x, self.p = state.chunk(2, 1)
        self.h, self.gradient = h, gradient
        self.renewed = Normals(kept * self.p, (1 - kept.square()).sqrt())

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw for each row."""
        p = self.renewed.sample(generator)
        middle = self.x + self.h / 2 * p
        q = p + self.h * self.gradient(middle)
        return torch.cat([middle + self.h / 2 * q, q], 1)

    def log_prob(self, y: Tensor) -> Tensor:
        """The log-density of the momentum in between, for states that a move leads to."""
        to, q = y.chunk(2, 1)
        return self.renewed.log_prob(2 / self.h * (to - self.x) - q)


class _Behind:
    """States before a step."""

    def __init__(self, state: Tensor, h: Tensor, kept: Tensor, gradient: _Gradient) -> None:
        self.y, self.q = state.chunk(2, 1)
        self.h, self.kept, self.gradient = h, kept, gradient

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw for each row."""
        middle = self.y - self.h / 2 * self.q
        p = self.q - self.h * self.gradient(middle)
        return torch.cat([middle - self.h / 2 * p, self._renewed(p).sample(generator)], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of the momentum, for states that a move leads from."""
        start, momentum = x.chunk(2, 1)
        return self._renewed(2 / self.h * (self.y - start) - self.q).log_prob(momentum)

    def _renewed(self, p: Tensor) -> Normals:
        return Normals(self.kept * p, (1 - self.kept.square()).sqrt())
