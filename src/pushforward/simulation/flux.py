"""The velocity `b - D s` of the probability flow of an SDE, with its divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._autograd import divergence, hutchinson
from pushforward._random import probe_like
from pushforward.errors import InputError
from pushforward.simulation.diffusivity import Diffusivity

__all__ = ["Drift", "Flux", "check_derivative", "drift_at", "flux_at", "with_divergence"]

Drift = Callable[[Tensor, float], Tensor]
"""`b(x, t)` of states `(B, *event)` at a time, of the same shape; rows do not interact."""


class Flux(NamedTuple):
    """At states `(B, *event)`: drift, score and velocity; the divergence `(B,)` if asked for."""

    drift: Tensor
    score: Tensor
    velocity: Tensor
    divergence: Tensor | None


def drift_at(drift: Drift, x: Tensor, t: float) -> Tensor:
    """The drift, checked. Raises `InputError` for another shape."""
    value = drift(x, t)
    if not isinstance(value, Tensor) or value.shape != x.shape:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"the drift returned {what} for states {tuple(x.shape)}")
    return value


def check_derivative(drift: Drift, x: Tensor, t: float) -> None:
    """Raise `InputError` for a drift that changes with the state, and whose derivative is lost.

    >>> check_derivative(lambda x, t: -x.detach(), torch.eye(2), 0.0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: the drift changes with x and has no derivative: ...
    """
    size = 1e-3 * x.std()
    # The same at every call, and along no axis.
    direction = probe_like(x, 1, torch.Generator(x.device).manual_seed(0))

    def value(x: Tensor) -> Tensor:
        # A drift may be constant, and then knows nothing of x.
        return drift_at(drift, x, t) + 0 * x

    slope = hutchinson(value, x, direction)[1].abs().max()
    step = size * direction[0]
    change = (drift_at(drift, x + step, t) - drift_at(drift, x - step, t)).abs().max() / size
    if not slope and change > 1e-2 * drift_at(drift, x, t).abs().max() / (1e3 * size):
        raise InputError(
            "the drift changes with x and has no derivative: compute it from x by differentiable "
            "operations, without detach() or no_grad()"
        )


def flux_at(
    drift: Drift,
    diffusivity: Diffusivity,
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    t: float,
) -> Flux:
    """The flux without its divergence.

    >>> noise = Diffusivity(1.0, (1,))
    >>> flux_at(lambda x, t: -x, noise, lambda x: -x, torch.ones(1, 1), 0.0).velocity
    tensor([[0.]])
    """
    with torch.no_grad():
        b, s = drift_at(drift, x, t), score(x)
        return Flux(b, s, b - diffusivity.flux(s), None)


def with_divergence(
    drift: Drift,
    diffusivity: Diffusivity,
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    t: float,
    probes: int | None,
    generator: torch.Generator,
) -> Flux:
    """The flux with the divergence of its velocity, exact or by so many `probes` (Hutchinson 1989).

    The exact one costs a backward pass for each number of a state.

    >>> noise, ones = Diffusivity(1.0, (2,)), torch.ones(1, 2)
    >>> g = torch.Generator().manual_seed(0)
    >>> with_divergence(lambda x, t: -x, noise, lambda x: -2 * x, ones, 0.0, None, g).divergence
    tensor([2.])
    """
    flux = flux_at(drift, diffusivity, score, x, t)

    def velocity(x: Tensor) -> Tensor:
        return drift_at(drift, x, t) - diffusivity.flux(score(x))

    if probes is None:
        return flux._replace(divergence=divergence(velocity, x)[1])
    estimates = hutchinson(velocity, x, probe_like(x, probes, generator))[1]
    return flux._replace(divergence=estimates.mean(0))
