r"""Named interpolants `a_t x_0 + b_t x_1` from a target `x_0` to a source `x_1`, with latent noise
or without.

The latent noise of all of them is that of a Brownian bridge, `gamma_t = sigma sqrt(t (1 - t))`;
`sigma = sqrt(2)` is the `sqrt(2 t (1 - t))` of Albergo, Boffi & Vanden-Eijnden (2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.processes.path import Ends, Path
from pushforward.protocols import Time
from pushforward.schedules import VP, Schedule
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["Interpolant", "Linear", "OneSided", "Scheduled", "Trigonometric"]


def _check(sigma: float) -> None:
    if not 0 <= sigma < math.inf:
        raise InputError(f"latent noise has sigma >= 0, not {sigma}")


def _noise(t: Time, sigma: float) -> tuple[Any, Any]:
    """The standard deviation of the latent noise, and its slope."""
    if sigma == 0:
        return 0.0 * t, 0.0 * t
    root = (t * (1 - t)) ** 0.5
    # At the very ends the slope is infinite; there the noise is zero and no dynamics exist.
    if not isinstance(root, Tensor) and root == 0:
        return root, 0.0
    return sigma * root, sigma * (1 - 2 * t) / (2 * root)


@configurable
@dataclass(frozen=True)
class Linear(Path):
    r"""`x_t = (1 - t) x_0 + t x_1`: straight lines (Liu, Gong & Liu 2023; Lipman et al. 2023).

    With `sigma` it is the Brownian bridge. The `space` says what noise is, and where the lines are:
    between positions about their center, `spaces.Centered()`, say.

    >>> Linear().ends(0.25)[:2]
    (0.75, 0.25)
    """

    sigma: float = 0.0
    space: LinearSpace = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        _check(self.sigma)

    def in_units(self, length: float) -> Self:
        """The same with `sigma / length`."""
        return replace(self, sigma=self.sigma / length)

    def ends(self, t: Time) -> Ends:
        """The line at time `t`."""
        one = t**0
        gamma, slope = _noise(t, self.sigma)
        return Ends(1 - t, t, gamma, -one, one, slope, one * self.sigma**2)


@configurable
@dataclass(frozen=True)
class Trigonometric(Path):
    r"""`a = cos(pi t / 2)`, `b = sin(pi t / 2)`: the variance stays that of uncorrelated ends
    (Albergo & Vanden-Eijnden 2023).

    >>> [round(w, 3) for w in Trigonometric().ends(0.5)[:2]]
    [0.707, 0.707]
    """

    sigma: float = 0.0

    def __post_init__(self) -> None:
        _check(self.sigma)

    def in_units(self, length: float) -> Self:
        """The same with `sigma / length`."""
        return replace(self, sigma=self.sigma / length)

    def ends(self, t: Time) -> Ends:
        """The arc at time `t`."""
        turn = 0.5 * math.pi
        angle = turn * t
        a: Any = angle.cos() if isinstance(angle, Tensor) else math.cos(angle)
        b: Any = angle.sin() if isinstance(angle, Tensor) else math.sin(angle)
        gamma, slope = _noise(t, self.sigma)
        return Ends(a, b, gamma, -turn * b, turn * a, slope, t**0 * self.sigma**2)


@configurable
@dataclass(frozen=True)
class Scheduled(Path):
    r"""The path of a diffusion with the source in the place of its noise: `a_t = alpha_t`,
    `b_t = sigma_t` of a `schedule`, by default a variance preserving one.

    A schedule that leaves a little of the data at its end leaves as much of the target at `t = 1`:
    `VP()` has `a_1 = 0.007`.

    >>> [round(w, 3) for w in Scheduled().ends(0.5)[:2]]
    [0.281, 0.96]
    """

    schedule: Schedule = field(default_factory=VP)
    sigma: float = 0.0

    def __post_init__(self) -> None:
        _check(self.sigma)

    def in_units(self, length: float) -> Self:
        """The same with `sigma / length`."""
        return replace(self, sigma=self.sigma / length)

    def ends(self, t: Time) -> Ends:
        """The schedule at time `t`."""
        k = self.schedule.at(t)
        gamma, slope = _noise(t, self.sigma)
        return Ends(k.alpha, k.sigma, gamma, k.d_alpha, k.d_sigma, slope, t**0 * self.sigma**2)


@configurable
@dataclass(frozen=True)
class OneSided(Path):
    r"""`x_t = (1 - t) x_0 + t noise`, whose source is the latent noise itself, standard normal.

    The one-sided interpolant (Albergo, Boffi & Vanden-Eijnden 2023, section 3.2): unlike a line
    from a source it has a score, and so any level of diffusion. There is no `x_1` in it.

    Args:
        epsilon: the squared diffusion that `churn = 1` adds is `2 epsilon t`.

    >>> OneSided().ends(0.25)[:3]
    (0.75, 0.0, 0.25)
    """

    epsilon: float = 1.0

    takes_source = False

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < math.inf:
            raise InputError(f"epsilon is at least zero, not {self.epsilon}")

    def ends(self, t: Time) -> Ends:
        """The path at time `t`."""
        one = t**0
        return Ends(1 - t, one * 0.0, t, -one, one * 0.0, one, 2 * self.epsilon * t)


@configurable
class Interpolant(Path):
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

    def in_units(self, length: float) -> Interpolant:
        """The same with the noise over `length`."""

        def weights(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            a, b, gamma = self.weights(t)
            return a, b, gamma / length

        return Interpolant(weights, self.epsilon / length**2)

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
