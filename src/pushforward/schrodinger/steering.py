r"""Steering: what the two networks of a Schrödinger bridge say, and the process that follows it.

A network of one direction says by how much the end ahead differs from where the reference would
lead: with `r` the time that remains,

    E[end | x] = decay(r) x + r u.

Then `u = 0` is the reference itself, and the drift `-rate x + (r / S(r)) u` is finite at both ends
of time; over Brownian motion it is `u`. The two drifts give the probability flow, half of their
difference, and the score, their sum over `sigma^2` (Nelson 1967; Anderson 1982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._shapes import combine
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError
from pushforward.processes import Reference
from pushforward.protocols import Time
from pushforward.spaces import Euclidean

__all__ = ["Heading", "Headings", "Steered", "expected_end", "reference_heading"]

Heading = Callable[[Tensor, Time], Tensor]
"""`u(x_t, t)` of one direction, `(B, *event)`."""


def reference_heading(x: Tensor, t: Time) -> Tensor:
    """The heading of the reference: straight on."""
    return torch.zeros_like(x)


def expected_end(reference: Reference, x: Tensor, u: Tensor, remaining: Time) -> Tensor:
    """`E[end | x]` from a heading, `(B, *event)`.

    >>> from pushforward.processes import Bridge
    >>> expected_end(Bridge(), torch.ones(1, 1), torch.ones(1, 1), 0.5)
    tensor([[1.5000]])
    """
    return combine((reference.decay(remaining), remaining), (x, u))


@dataclass(frozen=True)
class Headings:
    """Both directions as the model of a `Steered` process: called, it gives both.

    Args:
        forward: the heading towards the end `t = 1`.
        backward: the heading towards the end `t = 0`.
    """

    forward: Heading
    backward: Heading

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> tuple[Tensor, Tensor]:
        """The headings of both directions."""
        return self.forward(x_t, t), self.backward(x_t, t)

    def towards(self, forward: bool) -> Heading:
        """The heading of one direction, which is all that a random path needs."""
        return self.forward if forward else self.backward


@dataclass(frozen=True)
class Steered:
    """A reference steered in both directions.

    Args:
        reference: the bridges of the reference.
        spread: for each direction, forward first, the variance of the end given the state over that
            of the reference, at equal steps of the remaining time from 0 to 1. One, the
            default, makes a random step that of Euler and Maruyama.
    """

    reference: Reference
    spread: Sequence[Sequence[float]] = field(default=((1.0, 1.0), (1.0, 1.0)))

    def prior(self, shape: tuple[int, ...]) -> Any:
        """Raises `CapabilityError`: a bridge starts from samples, not from a prior."""
        raise CapabilityError("a bridge has no prior: start it from samples of either end")

    def dynamics(self, pred: tuple[Tensor, Tensor], x_t: Tensor, t: Time) -> Flow:
        """The probability flow and the score that both headings imply, at any `t` in [0, 1]."""
        k = self.reference
        ahead, back = _gain(k, 1 - t), _gain(k, t)
        one = t**0
        noise = k.sigma**2
        return Flow(
            Euclidean(),
            basis=(x_t, *pred),
            velocity_weights=(0.0 * one, 0.5 * ahead, -0.5 * back),
            score_weights=(-2 * k.rate / noise * one, ahead / noise, back / noise),
            g2=noise * one,
        )

    def end_variance(self, remaining: float, forward: bool) -> float:
        """The variance of the end ahead given the state, per dimension."""
        table = self.spread[0 if forward else 1]
        place = remaining * (len(table) - 1)
        k = min(int(place), len(table) - 2)
        ratio = table[k] + (place - k) * (table[k + 1] - table[k])
        return ratio * self.reference.end_variance(remaining)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: the coefficients of a reference are cheap."""


def _gain(reference: Reference, remaining: Time) -> Any:
    """The weight of a heading in its drift, `r / S(r)`: one at the end itself."""
    if isinstance(remaining, Tensor):
        safe = remaining.clamp(min=1e-12)
        return safe / reference.span(safe)
    return remaining / reference.span(remaining) if remaining > 0 else 1.0
