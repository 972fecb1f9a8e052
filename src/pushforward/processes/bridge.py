"""Bridges: paths between two laws, pinned at both ends."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import combine, per_event_mean
from pushforward.config import configurable
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import Time
from pushforward.spaces import Euclidean

__all__ = ["Bridge", "Ends", "Interpolant"]

Pair = tuple[Tensor, Tensor]


class Ends(NamedTuple):
    """Weights of the two ends and of the noise at one time, their slopes, and the diffusion."""

    a: Any
    b: Any
    gamma: Any
    d_a: Any
    d_b: Any
    d_gamma: Any
    g2: Any


class _Path(ABC):
    r"""`x_t = a_t x_0 + b_t x_1 + gamma_t noise` for a coupled pair `(x_0, x_1)`.

    The prediction is the pair of conditional expectations `(E[x_0 | x_t], E[x_1 | x_t])`, from
    which velocity and score follow (Albergo, Boffi & Vanden-Eijnden 2023):

        velocity = a' x_0 + b' x_1 + (gamma'/gamma) (x - a x_0 - b x_1),
        score    = -(x - a x_0 - b x_1) / gamma^2.
    """

    @abstractmethod
    def ends(self, t: Time) -> Ends:
        """The path's coefficients at time `t`, floats for a float, tensors for a tensor."""

    def prior(self, shape: tuple[int, ...]) -> Any:
        """Raises `CapabilityError`: a bridge starts from samples, not from a prior."""
        raise CapabilityError(
            "a bridge has no prior: start it from samples of the source (t = 0) or target (t = 1)"
        )

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A point of the path through the pair."""
        k = self.ends(t)
        return combine((k.a, k.b, k.gamma), (*z, normal_like(z[0], generator)))

    def loss(self, pred: Pair, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The squared errors of both ends, per dimension, `(B,)`."""
        return per_event_mean((pred[0] - z[0]).square() + (pred[1] - z[1]).square())

    def dynamics(self, pred: Pair, x_t: Tensor, t: Time) -> Flow:
        """The flow and score that the two predictions imply.

        Raises `InputError` at a float time without noise, where the score does not exist.
        """
        k = self.ends(t)
        if isinstance(k.gamma, float) and k.gamma == 0:
            raise InputError(f"the path has no noise at t = {t}: keep the grid inside (0, 1)")
        ratio, precision = k.d_gamma / k.gamma, 1 / k.gamma**2
        return Flow(
            Euclidean(),
            basis=(x_t, *pred),
            velocity_weights=(ratio, k.d_a - ratio * k.a, k.d_b - ratio * k.b),
            score_weights=(-precision, k.a * precision, k.b * precision),
            g2=k.g2,
        )

    def tabulate(self, grid: Sequence[float]) -> None:  # noqa: B027
        """Nothing: the coefficients of a path are cheap."""


@configurable
@dataclass(frozen=True)
class Bridge(_Path):
    r"""The Brownian bridge with diffusion `sigma`: `a = 1 - t`, `b = t`,
    `gamma^2 = sigma^2 t (1 - t)`.

    With `churn = 1` the forward drift is `(E[x_1 | x_t] - x) / (1 - t)` and the backward drift
    `(x - E[x_0 | x_t]) / t`: the Markovian projection of the mixture of bridges (Peluchetti 2023;
    Shi et al. 2023). Iterated with the coupling that it induces, it becomes the Schrödinger bridge.

    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> Bridge(sigma=1e-6).sample(pair, 0.25, torch.Generator().manual_seed(0)).round(decimals=3)
    tensor([[0.2500]])
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise InputError(f"a Brownian bridge needs sigma > 0, not {self.sigma}")

    def ends(self, t: Time) -> Ends:
        """The Brownian bridge at time `t`."""
        spread = t * (1 - t)
        gamma = self.sigma * spread**0.5
        one = t**0
        # At the very ends the slope is infinite; there gamma is zero and no dynamics exist.
        slope = self.sigma * (1 - 2 * t) / (2 * spread**0.5) if _inside(spread) else one * 0
        return Ends(1 - t, t, gamma, -one, one, slope, one * self.sigma**2)


class Interpolant(_Path):
    """A stochastic interpolant with any three functions of time.

    Args:
        weights: a function from a tensor of times to `(a_t, b_t, gamma_t)`, in torch operations.
        epsilon: the squared diffusion that `churn = 1` adds.

    >>> path = Interpolant(lambda t: (1 - t, t, (2 * t * (1 - t)).sqrt()))
    >>> [round(w, 3) for w in path.ends(0.5)[:3]]
    [0.5, 0.5, 0.707]
    """

    def __init__(
        self,
        weights: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]],
        epsilon: float = 1.0,
    ) -> None:
        self.weights, self.epsilon = weights, epsilon

    def ends(self, t: Time) -> Ends:
        """The interpolant and, by automatic differentiation, its slopes."""
        times = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
        with torch.inference_mode(False), torch.enable_grad():
            times = times.detach().clone().requires_grad_()
            values = self.weights(times)
            slopes = [
                torch.autograd.grad(v.sum(), times, retain_graph=True, materialize_grads=True)[0]
                if v.requires_grad
                else torch.zeros_like(times)
                for v in values
            ]
        parts = [v.detach() for v in values] + slopes + [torch.full_like(times, self.epsilon)]
        parts = [part.detach() for part in parts]
        return Ends(*parts) if isinstance(t, Tensor) else Ends(*(p.item() for p in parts))


def _inside(spread: Time) -> bool:
    return isinstance(spread, Tensor) or spread > 0
