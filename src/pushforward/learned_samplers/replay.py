r"""Ends of paths to learn from again, drawn by their importance weights.

A sampler that learns from its own paths alone never hears of a mode that they do not reach. Ends
that are kept with their weights stand for the target: drawn in proportion to truncated weights,
and carried back to the start, they are paths that the target would have made. Half of the buffer
are particles of tempered sequential Monte Carlo, which are there before the first step and stay;
the other half are the latest ends of the sampler's own paths.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.errors import ConvergenceError
from pushforward.evidence import NormalStart, temper
from pushforward.learned_samplers.density import Density

__all__ = ["ReplayBuffer", "explored"]

_WIDE = 1.5
"""The deviations of the law that particles start from, in the coordinates of the paths."""

_ISLANDS, _LENGTH = 4, 8
"""Independent runs, and the states of a chain that all go on."""


class ReplayBuffer(nn.Module):
    """States of the target with log-weights whose mean weight is `Z`: particles, and latest ends.

    Args:
        size: of each half.
        dim: numbers of a state.

    >>> buffer = ReplayBuffer(4, 1)
    >>> buffer.add(torch.arange(6.0)[:, None], torch.zeros(6))
    >>> sorted(buffer.states[buffer.log_weights.isfinite()].flatten().tolist())
    [2.0, 3.0, 4.0, 5.0]
    """

    states: Tensor
    log_weights: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.size = whole("size", size)
        self.register_buffer("states", torch.zeros(2 * size, dim))
        self.register_buffer("log_weights", torch.full((2 * size,), -math.inf))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @property
    def filled(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.log_weights.isfinite().any())

    def keep(self, x: Tensor, log_weights: Tensor) -> None:
        """Take particles `(N, d)` that stay, as many as there is room for."""
        count = min(self.size, len(x))
        self.states[:count] = x[:count].to(self.states)
        self.log_weights[:count] = log_weights[:count].to(self.log_weights)

    def add(self, x: Tensor, log_weights: Tensor) -> None:
        """Take ends of paths `(B, d)` in the place of the oldest ones."""
        x, log_weights = x[-self.size :], log_weights[-self.size :]
        rows = self.size + (self.place + torch.arange(len(x), device=x.device)) % self.size
        self.states[rows] = x.to(self.states)
        # A path that is not a number tells nothing.
        self.log_weights[rows] = log_weights.nan_to_num(nan=-math.inf, neginf=-math.inf).to(
            self.log_weights
        )
        self.place.copy_((self.place + len(x)) % self.size)

    def shares(self) -> Tensor:
        r"""How often each state is drawn, `(2 size,)`: weights of both halves, each truncated.

        A weight counts at most `sqrt(n)` times the mean of the `n` of its half (Ionides 2008), so
        that one path that was very unlikely is not all that is learned from.
        """
        halves = self.log_weights.view(2, self.size)
        count = halves.isfinite().sum(1, keepdim=True)
        mean = halves.logsumexp(1, keepdim=True) - count.clamp(min=1).log()
        weight = torch.minimum(halves - mean, 0.5 * count.clamp(min=1).log()).exp()
        return torch.where(halves.isfinite(), weight, 0.0).flatten()

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` states `(n, d)`, with replacement."""
        rows = torch.multinomial(self.shares(), n, replacement=True, generator=generator)
        return self.states[rows]


@torch.no_grad()
def explored(density: Density, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Particles `(N, d)`, at least `n`, of tempered sequential Monte Carlo, and their log-weights.

    From a normal law that is wider than the coordinates of the paths; mean weights are `Z`. Raises
    `ConvergenceError` where no temperature leads on.
    """
    dim = len(density.center)
    eye = torch.eye(dim, dtype=density.center.dtype, device=density.center.device)
    start = NormalStart(torch.zeros_like(density.center), _WIDE * eye)
    particles = _LENGTH * -(-n // (_ISLANDS * _LENGTH))
    runs = temper(density, start, _ISLANDS, particles, length=_LENGTH, generator=generator)
    weights = runs.log_weights + runs.log_z[:, None] + math.log(runs.x.shape[1])
    x, weights = runs.x.flatten(0, 1), weights.flatten()
    if not bool(weights.isfinite().any()):
        raise ConvergenceError("no particle has a finite weight")
    # Islands stand next to each other: any part of all is as good as the whole.
    order = torch.randperm(len(x), generator=generator, device=generator.device)
    return x[order], weights[order]
