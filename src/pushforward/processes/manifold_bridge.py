"""The Brownian bridge of a manifold: the reference of Schrödinger bridges there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import combine, like
from pushforward.config import configurable
from pushforward.distributions import ManifoldUniform
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.controlled_reference import ControlledReference, Pair
from pushforward.processes.reading import TangentReading
from pushforward.protocols import Time
from pushforward.spaces import Manifold

__all__ = ["ManifoldBridge"]


@configurable
@dataclass(frozen=True)
class ManifoldBridge(ControlledReference):
    r"""Brownian motion `sigma B` on a compact manifold between two given points.

    Pinned to an end that is a time `r` away it has the drift `sigma^2 grad log k(x, end)`, with the
    heat kernel `k` of variance `sigma^2 r` (Doob's transform; De Bortoli et al. 2021 on `R^d`,
    Thornton et al. 2022 on manifolds). The prediction is a pair of drifts: the mean of that towards
    the target, at `t = 0`, given `x_t`, and the mean of that towards the source, at `t = 1`. Half
    of their difference is the velocity of the probability flow, and their sum over `sigma^2` the
    score, as on `R^d`.

    Bridges are drawn as the space does it (`Manifold.pinned`): exactly on a torus, else by a walk.
    Random steps are geodesic ones, of weak order 1.

    Args:
        space: a compact manifold with a heat kernel.
        sigma: the diffusion: how far Brownian motion goes in each direction from `t = 1` to 0, a
            length of the space.

    Raises `InputError` for a space that is not bounded, or another sigma, `CapabilityError` for a
    space whose Brownian motion is not known.

    >>> from pushforward.spaces import Torus
    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> ManifoldBridge(Torus(), sigma=1e-6).sample(pair, 0.25).round(decimals=3)
    tensor([[0.2500]])
    """

    space: Manifold
    sigma: float = 1.0

    supports = frozenset({"density"})

    def __post_init__(self) -> None:
        if not self.space.compact:
            raise InputError(
                f"{self.space} is not bounded: there is no uniform distribution to start a bridge "
                "from, and no heat kernel beyond small variances; FlowMatching on geodesics joins "
                "two distributions there"
            )
        if self.space.no_heat:
            raise CapabilityError(self.space.no_heat)
        if not 0 < self.sigma < math.inf:
            raise InputError(f"a Brownian bridge needs sigma > 0, not {self.sigma}")

    def reading(self, predict: Any = None) -> TangentReading:
        """One drift, a tangent vector."""
        return TangentReading(self.space)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> ManifoldUniform:
        """Uniform: the source, where no data are given for it."""
        return ManifoldUniform(self.space, shape)

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A point of a bridge between coupled ends `(x_0, x_1)`."""
        target, source = z
        before = self.sigma**2 * self._times(t, target)
        after = self.sigma**2 * self._times(1 - t, target)
        return self.space.pinned(target, source, before, after, generator)

    def pull(self, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The drift towards an end that is a time `remaining` away, `sigma^2 grad log k`."""
        variance = self.sigma**2 * self._times(remaining, x)
        return self.sigma**2 * self.space.heat_score(x, end, variance)

    def log_kernel(self, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The log heat kernel, `(B,)`."""
        return self.space.heat_log_kernel(x, end, self.sigma**2 * self._times(remaining, x))

    def expected_control(self, x: Tensor, ends: Tensor, chances: Tensor, remaining: Time) -> Tensor:
        """The mean drift. Raises `InputError` where no time is left, in which it has no limit."""
        if not bool((torch.as_tensor(remaining) > 0).all()):
            raise InputError("a path is at its end: no time is left, so ask for its drift before")
        many, m = x.repeat_interleave(len(ends), 0), len(ends)
        times = self._times(remaining, x).repeat_interleave(m)
        pulls = self.pull(many, ends.to(x).repeat(len(x), *(1,) * (x.ndim - 1)), times)
        shares = like(chances.to(x).flatten(), pulls)
        return (shares * pulls).reshape(len(x), m, *x.shape[1:]).sum(1)

    def end_error(self, control: Tensor, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The squared error of a drift, `(B,)`: per dimension, times the time that remains over
        `sigma^2`, so that every time counts about the same."""
        error = control - self.pull(x, end, remaining)
        size = self.space.dimension(tuple(x.shape[1:])) * self.sigma**2
        return self._times(remaining, x) / size * self.space.squared_norm(x, error)

    def dynamics(self, pred: Any, x_t: Tensor, t: Time) -> Flow:
        """The probability flow and the score that both drifts imply."""
        noise = self.sigma**2
        return Flow(
            self.space,
            basis=(pred[0], pred[1]),
            velocity_weights=(-0.5, 0.5),
            score_weights=(1 / noise, 1 / noise),
            g2=noise,
        )

    def move(
        self,
        x: Tensor,
        control: Tensor,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A random step from `t` to `s` along a drift, in either direction."""
        h = abs(s - t)
        noise = self.space.randn(x, generator)
        return self.space.exp(x, combine((h, self.sigma * math.sqrt(h)), (control, noise)))

    def unsteered(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The end of the reference itself, from one end of time to the other."""
        return self.space.diffuse(x, x.new_full((len(x),), self.sigma**2), generator)

    @staticmethod
    def _times(t: Time, x: Tensor) -> Tensor:
        """Times `(B,)` in the precision of the states."""
        return torch.as_tensor(t, dtype=x.dtype, device=x.device).expand(len(x))
