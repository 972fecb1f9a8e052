r"""Local characteristics of Markov processes, and their first-order step.

A step has two parts. One transports the distribution and is signed by the direction of time; the
other leaves the distribution at time `t` invariant and is blind to it. For continuous states, with
`g^2` the squared diffusion,

    dx = h v + (churn g^2 |h| / 2) s + sqrt(churn g^2 |h|) xi,

so that `churn = 0` is the probability-flow ODE, `churn = 1` with `h < 0` Anderson's reverse SDE and
with `h > 0` the forward SDE. For jumps the equilibrium part fires both reactions at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward._random import fine_uniform, normal_like, uniform_like
from pushforward._shapes import Weight, accumulate, combine
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import Dynamics
from pushforward.spaces import ContinuousSpace, JumpSpace

__all__ = [
    "Firing",
    "Flow",
    "FlowWeights",
    "Jump",
    "Parallel",
    "Reaction",
    "ReversibleFlow",
    "Split",
    "double_jumps",
    "fired_by",
]


class FlowWeights(NamedTuple):
    """What a linear `Flow` needs of the time: its weights on the basis, and `g^2`."""

    velocity: tuple[Weight, ...]
    score: tuple[Weight, ...] | None
    g2: Weight


@dataclass(frozen=True)
class Flow:
    """Velocity, score and squared diffusion of a continuous process at one `(x_t, t)`.

    Velocity and score are linear in what is at hand, the state and the predictions: each is a
    tuple of weights on `basis`. A step therefore costs one pass over each tensor of the basis.

    Args:
        space: how to move and what noise is.
        basis: tensors `(B, *event)`.
        velocity_weights: one per tensor, floats or `(B,)`.
        score_weights: likewise; `None` if the score is not known.
        g2: the squared diffusion, which scales the equilibrium part.
    """

    space: ContinuousSpace
    basis: tuple[Tensor, ...]
    velocity_weights: tuple[Weight, ...]
    score_weights: tuple[Weight, ...] | None
    g2: Weight

    @property
    def velocity(self) -> Tensor:
        """The velocity of the probability flow, `(B, *event)`."""
        return combine(self.velocity_weights, self.basis)

    @property
    def score(self) -> Tensor:
        """The score `grad log p_t`, `(B, *event)`. Raises `CapabilityError` if it is not known."""
        return combine(self._score_weights(), self.basis)

    def advance(
        self, x: Tensor, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One Euler (churn = 0) or Euler-Maruyama step of signed size `h`."""
        if churn == 0:
            weights = [h * w for w in self.velocity_weights]
            return self._move(x, weights, self.basis)
        variance = churn * self.g2 * abs(h)
        if isinstance(variance, float) and not math.isfinite(variance):
            raise InputError(
                "the diffusion is infinite at the start of the grid, where no signal is left: "
                "start it earlier (start=), use churn=0, or a pinned sampler"
            )
        weights = [
            h * v + 0.5 * variance * s
            for v, s in zip(self.velocity_weights, self._score_weights(), strict=True)
        ]
        std = variance.sqrt() if isinstance(variance, Tensor) else math.sqrt(variance)
        noise = self.space.randn(x, generator)
        return self._move(x, (*weights, std), (*self.basis, noise))

    def _move(self, x: Tensor, weights: Sequence[Weight], tensors: tuple[Tensor, ...]) -> Tensor:
        """The state moved by a combination of tensors."""
        # Where moving is adding, the displacement need not be formed first: a pass less.
        if self.space.linear:
            return accumulate(x, weights, tensors)
        return self.space.exp(x, combine(weights, tensors))

    def _score_weights(self) -> tuple[Weight, ...]:
        if self.score_weights is None:
            raise CapabilityError(
                "this process has no score, so churn must be 0; the score comes with Gaussian, "
                "Brownian and Bridge processes"
            )
        return self.score_weights


@dataclass(frozen=True)
class ReversibleFlow(Flow):
    r"""A diffusion `dx = g^2 f dt + g sqrt(D(x)) dW` that is reversible under its stationary `pi`.

    Its noise depends on the state. With the relative score `r = grad log(p_t / pi)` its probability
    flow is `-g^2 D r / 2`, and what leaves `p_t` invariant has the drift `g^2 (D r / 2 + f)`. The
    one tensor of the basis is `D r`.

    Args:
        drift: `f`, the forward drift over `g^2`, `(B, *event)`.
        root: from standard normal numbers shaped like the state to noise of covariance `D(x)`.
    """

    drift: Tensor
    root: Callable[[Tensor], Tensor]

    def advance(
        self, x: Tensor, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One Euler or Euler-Maruyama step of signed size `h`."""
        if churn == 0:
            return super().advance(x, h)
        spread = torch.as_tensor(churn * self.g2 * abs(h)).to(x)
        weights = [h * w + 0.5 * spread for w in self.velocity_weights]
        noise = self.root(normal_like(x, generator))
        return self._move(x, (*weights, spread, spread.sqrt()), (*self.basis, self.drift, noise))


Firing = Literal["exponential", "single", "linear"]
"""When a site with the mean number `m` of jumps fires in a step.

`exponential`: if it jumps at all, `1 - exp(-m)`; `single`: if it jumps exactly once, `m exp(-m)`,
so that several jumps of one site are rejected; `linear`: with the chance `m`, surely beyond one.
"""


class Reaction(NamedTuple):
    """Jumps at rate `(B, sites)` to states drawn, all sites at once, by `draw(generator)`."""

    rate: Tensor
    draw: Callable[[torch.Generator | None], Any]


@dataclass(frozen=True)
class Jump:
    """Reactions that restore data and reactions that destroy it, at one `(x_t, t)`.

    Tokens are unmasked and masked, points are born and die: the same step on either space. In a
    step each site fires at most once, by default with the chance `1 - exp(-rate |h|)` that it does
    so at all while its rate stays as it is.

    Args:
        space: what puts new states in the places of old ones.
        restore: towards the data.
        destroy: towards the noise.
        firing: when a site fires.
        chained: whether a site gets to where it goes by several jumps, so that a step which makes
            one of them falls short (`double_jumps`); else one jump is all that it takes.
    """

    space: JumpSpace
    restore: Reaction
    destroy: Reaction
    firing: Firing = "exponential"
    chained: bool = False

    def advance(
        self, x: Any, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Any:
        """One tau-leap of signed size `h`; churn fires both reactions, that much of their rate."""
        restore, destroy = self._rates(h, churn)
        total = restore + destroy
        if churn and not bool(torch.isfinite(total).all()):
            raise InputError(
                "a rate is infinite where nothing of the data is left: start the grid earlier "
                "(start=), use churn=0, or a pinned sampler"
            )
        # Chances may be as small as the steps: 24 bits would lose some.
        u = fine_uniform(total.shape, generator, device=total.device)
        fired = (u < _chance(self.firing, in_double(total) * abs(h))).to(total.device)
        # Which of the two fired is independent of whether one did.
        restored = uniform_like(total, generator) * total < restore
        if h < 0 or churn:
            x = self.space.where(fired & restored, self.restore.draw(generator), x)
        if h > 0 or churn:
            x = self.space.where(fired & ~restored, self.destroy.draw(generator), x)
        return x

    def double_jumps(self, h: float, churn: float = 0.0) -> Tensor:
        """The mean chance of a site to jump twice or more in a step at its rates, `()`."""
        restore, destroy = self._rates(h, churn)
        mean = in_double(restore + destroy) * abs(h)
        return (1 - (1 + mean) * torch.exp(-mean)).mean()

    def _rates(self, h: float, churn: float) -> tuple[Tensor, Tensor]:
        """Of what restores and of what destroys, as far as they take part in a step."""
        restore = _scaled((h < 0) + churn, self.restore.rate)
        return restore, _scaled((h > 0) + churn, self.destroy.rate)


def _chance(firing: Firing, mean: Tensor) -> Tensor:
    """The chance that a site fires, from the mean number of times that it would."""
    if firing == "single":
        return mean * torch.exp(-mean)
    return mean.clamp_max(1) if firing == "linear" else -torch.expm1(-mean)


def fired_by(dynamics: Any, firing: Firing) -> Any:
    """Dynamics whose jumps fire by another rule, also those inside of products."""
    if isinstance(dynamics, Jump):
        return replace(dynamics, firing=firing)
    if isinstance(dynamics, Split):
        return Split(tuple(fired_by(part, firing) for part in dynamics.parts))
    if isinstance(dynamics, Parallel):
        return Parallel(tuple(fired_by(part, firing) for part in dynamics.factors))
    return dynamics


def double_jumps(dynamics: Any, h: float, churn: float = 0.0) -> Tensor | None:
    """`Jump.double_jumps` where jumps are chained, the largest inside of products, else `None`."""
    if isinstance(dynamics, Jump):
        return dynamics.double_jumps(h, churn) if dynamics.chained else None
    parts: tuple[Any, ...] = ()
    if isinstance(dynamics, Split | Parallel):
        parts = dynamics.parts if isinstance(dynamics, Split) else dynamics.factors
    found = [share for part in parts if (share := double_jumps(part, h, churn)) is not None]
    return torch.stack(found).max() if found else None


def _scaled(factor: float, rate: Tensor) -> Tensor:
    """A factor times rates; a reaction that does not take part may have an infinite rate."""
    return factor * rate if factor else torch.zeros_like(rate)


@dataclass(frozen=True)
class Split:
    """Several dynamics of one state, advanced one after the other: motion, then jumps.

    Args:
        parts: dynamics of different aspects of the state, evaluated at the same `(x_t, t)`.
    """

    parts: tuple[Dynamics, ...]

    def advance(
        self, x: Any, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> Any:
        """One step of each part, in order (first-order splitting)."""
        for part in self.parts:
            x = part.advance(x, h, churn, generator)
        return x


@dataclass(frozen=True)
class Parallel:
    """Independent dynamics, one per factor of a product state."""

    factors: tuple[Dynamics, ...]

    def advance(
        self,
        x: tuple[Any, ...],
        h: float,
        churn: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, ...]:
        """One step of each factor on its own part of the state."""
        return tuple(
            dynamics.advance(part, h, churn, generator)
            for dynamics, part in zip(self.factors, x, strict=True)
        )
