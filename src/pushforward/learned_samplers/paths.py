r"""Paths of a learned sampler, forward and back, and their log-weights.

With `f_k` the kernels forward, `b_k` those backward and `p` the law of the start,

    log w = log gamma(x_K) + sum_k [log b_k(x_k | x_(k+1)) - log f_k(x_(k+1) | x_k)] - log p(x_0).

Both chains are normalized, so `E_forward w = Z` and `E_target,backward 1/w = 1/Z` at any number of
steps (Doucet et al. 2022; Vargas et al. 2024): no limit of small steps is taken anywhere.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from pushforward._random import normal
from pushforward.checks import whole
from pushforward.errors import CapabilityError, InputError
from pushforward.learned_samplers.density import Density

__all__ = [
    "ControlNetwork",
    "Normals",
    "PathPair",
    "PinnedPoint",
    "SampledPaths",
    "StepKernel",
    "Step",
    "log_weights",
    "simulate",
    "simulate_back",
]

Step = int | Tensor
"""The number of a step: one for all rows, or `(B,)`."""

ControlNetwork = Callable[[], nn.Module]
"""Makes a network `net(x, t, g)` of states and features `(B, d)` and times `()` or `(B,)`."""

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class StepKernel(Protocol):
    """The law of the state at the other end of a step, one for each row."""

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw for each row, `(B, d)`, differentiable where the kernel is."""
        ...

    def log_prob(self, y: Tensor) -> Tensor:
        """The log-density of a state for each row, `(B,)`."""
        ...


class Normals(NamedTuple):
    """Normal laws of independent numbers.

    Args:
        mean: `(B, d)`.
        std: their standard deviations, `()`, `(B, 1)` or `(B, d)`.

    >>> Normals(torch.zeros(2, 3), torch.ones(())).log_prob(torch.zeros(2, 3))
    tensor([-2.7568, -2.7568])
    """

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw for each row, `(B, d)`."""
        noise = normal(
            tuple(self.mean.shape), generator, dtype=self.mean.dtype, device=self.mean.device
        )
        return self.mean + self.std * noise

    def log_prob(self, y: Tensor) -> Tensor:
        """The log-density of a state for each row, `(B,)`."""
        white = (y - self.mean) / self.std
        log_std = self.std.log().expand_as(white)
        return -(0.5 * white.square() + log_std + _HALF_LOG_2PI).sum(-1)


class PinnedPoint(NamedTuple):
    """All of the mass in one point; its density, with respect to itself, is one.

    Args:
        point: where, `(B, d)`.
    """

    point: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """The point."""
        return self.point

    def log_prob(self, y: Tensor) -> Tensor:
        """Zero for each row: paths are only weighed that are there."""
        return y.new_zeros(len(y))


class SampledPaths(NamedTuple):
    """Paths with their weights.

    Args:
        states: from the start to the target, `(K + 1, B, width)`.
        log_weights: `(B,)`.
    """

    states: Tensor
    log_weights: Tensor


class PathPair(nn.Module, ABC):
    """Two chains of `steps` kernels between a start and the target: a method.

    `build` gives it its size and its networks; before that it is only its settings. The grid is the
    method's own, and a pair can be put on another one, where nothing is learned step by step.
    """

    dim: int = 0
    """Numbers of a state of the target."""

    steps: int = 0

    def build(self, dim: int, steps: int, network: ControlNetwork) -> Self:
        """Take up the size of states and the number of steps, and make what is learned."""
        self.dim, self.steps = whole("dim", dim), whole("steps", steps)
        self._learned(network)
        self._tabulate()
        return self

    def on_grid(self, steps: int) -> Self:
        """The same pair with another number of steps; its networks are shared.

        Raises `CapabilityError` where something is learned for each step.
        """
        if steps == self.steps:
            return self
        if self.learns_steps:
            raise CapabilityError(
                f"a {type(self).__name__} learns something for each of its {self.steps} steps: "
                f"train one with steps={steps}"
            )
        found = copy.copy(self)
        found.steps = whole("steps", steps)
        found._tabulate()
        return found

    learns_steps: bool = False
    """Whether something is learned for each step, so that the number of steps is fixed."""

    fixed_paths: bool = True
    """Whether any path is possible, whatever is learned, as `log_variance` takes for granted."""

    @property
    def width(self) -> int:
        """Numbers of a state of a path: more than `dim` for states with momenta."""
        return self.dim

    def tabulated(self, steps: int) -> dict[str, Tensor]:
        """What is known of each step from its number alone, float64 `(steps,)`; see `at`."""
        return {}

    def at(self, name: str, k: Step) -> Tensor:
        """A number of step `k`: `()`, or `(B, 1)` for a tensor of steps."""
        found = self._tables[name][k]
        return found if isinstance(k, int) else found[:, None]

    def time(self, k: Step) -> Tensor:
        """The time `1 - k / steps` that networks are told, `()` or `(B,)`: 1 at the start."""
        like = next(self.parameters(), torch.empty(0))
        return 1 - torch.as_tensor(k, device=like.device).to(like.dtype) / self.steps

    def end_log_prob(self, x: Tensor, density: Density) -> Tensor:
        """The log-density, up to the constant, that paths end with, `(B,)`: that of the target."""
        return density(x)

    def position(self, x: Tensor) -> Tensor:
        """The state of the target `(B, dim)` in one of a path."""
        return x

    def lifted(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A state that a path ends with, `(B, width)`, at one of the target."""
        return x

    def _learned(self, network: ControlNetwork) -> None:
        """Make the networks and parameters of the method."""

    @abstractmethod
    def start(self, n: int) -> StepKernel:
        """The law of the start, for `n` rows."""

    @abstractmethod
    def forward(self, k: Step, x: Tensor, density: Density) -> StepKernel:
        """The law of `x_(k+1)` given `x_k`."""

    @abstractmethod
    def backward(self, k: Step, y: Tensor, density: Density) -> StepKernel:
        """The law of `x_k` given `x_(k+1)`."""

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        if self.steps:
            self._tabulate()
        return self

    def _tabulate(self) -> None:
        # Anew for every precision: what is rounded once does not telescope in a finer one.
        like = next(self.parameters(), torch.empty(0))
        tables = self.tabulated(self.steps)
        self._tables = {name: table.to(like) for name, table in tables.items()}


def simulate(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None
) -> SampledPaths:
    """`n` paths from the start, with their log-weights; differentiable along the paths.

    Args:
        pair: what to simulate.
        density: the target, in the coordinates of the paths.
        n: how many paths.
        generator: for the noise.
    """
    start = pair.start(n)
    x = start.sample(generator)
    states, weights = [x], -start.log_prob(x)
    for k in range(pair.steps):
        ahead = pair.forward(k, x, density)
        y = ahead.sample(generator)
        weights = weights + pair.backward(k, y, density).log_prob(x) - ahead.log_prob(y)
        x = y
        states.append(x)
    return SampledPaths(torch.stack(states), weights + pair.end_log_prob(x, density))


def simulate_back(
    pair: PathPair, density: Density, x: Tensor, *, generator: torch.Generator | None = None
) -> SampledPaths:
    """Paths back from states of the target `(B, dim)`, from the start on, with their log-weights.

    From exact draws `E 1/w = 1/Z`, and the mean of `log w` is an upper bound of `log Z`.
    """
    y = pair.lifted(x, generator)
    states, weights = [y], pair.end_log_prob(y, density)
    for k in reversed(range(pair.steps)):
        behind = pair.backward(k, y, density)
        x = behind.sample(generator)
        weights = weights + behind.log_prob(x) - pair.forward(k, x, density).log_prob(y)
        y = x
        states.append(y)
    return SampledPaths(torch.stack(states[::-1]), weights - pair.start(len(y)).log_prob(y))


def log_weights(pair: PathPair, density: Density, states: Tensor) -> Tensor:
    """The log-weights of paths that are given, `(B,)`; all steps at once.

    They are differentiable in what is learned, and not along the path if the states are detached.
    Raises `InputError` for paths of another length.
    """
    if states.ndim != 3 or len(states) != pair.steps + 1 or states.shape[2] != pair.width:
        raise InputError(
            f"paths are states ({pair.steps + 1}, B, {pair.width}), not {tuple(states.shape)}"
        )
    count, rows = pair.steps, states.shape[1]
    k = torch.arange(count, device=states.device).repeat_interleave(rows)
    x, y = states[:-1].flatten(0, 1), states[1:].flatten(0, 1)
    ratio = pair.backward(k, y, density).log_prob(x) - pair.forward(k, x, density).log_prob(y)
    ends = pair.end_log_prob(states[-1], density) - pair.start(rows).log_prob(states[0])
    return ratio.view(count, rows).sum(0) + ends
