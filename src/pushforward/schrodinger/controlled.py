r"""Controlled diffusions: a reference with a drift on top, learned for each direction of time.

The control of a direction says by how much the end ahead differs from where the reference would
lead: with `r` the time that remains until that end,

    E[end | x] = decay(r) x + r u.

Then `u = 0` is the reference itself, and the drift `-rate x + (r / S(r)) u` is finite at both ends
of time; over Brownian motion the control is the drift. The two drifts give the probability flow,
half of their difference, and the score, their sum over `sigma^2` (Nelson 1967; Anderson 1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import combine, like
from pushforward.distributions import Normal
from pushforward.dynamics import Flow
from pushforward.errors import InputError
from pushforward.processes import ControlledReference, GenerativeProcess, Reference
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import LinearSpace

__all__ = [
    "Control",
    "ControlledDiffusion",
    "Controls",
    "Step",
    "controlled",
    "drift_gain",
    "end_error",
    "expected_end",
    "time_left",
    "zero_control",
]

Control = Callable[[Tensor, Time], Tensor]
"""`u(x_t, t)` of one direction, `(B, *event)`."""

Pair = tuple[Tensor, Tensor]


def zero_control(x: Tensor, t: Time) -> Tensor:
    """The control of the reference itself."""
    return torch.zeros_like(x)


def time_left(t: Time, forward: bool) -> Time:
    """The time that remains until the end ahead: the target at `t = 0`, or the source at `t = 1`.

    >>> time_left(0.75, forward=True), time_left(0.75, forward=False)
    (0.75, 0.25)
    """
    return t if forward else 1 - t


def expected_end(reference: Reference, x: Tensor, u: Tensor, remaining: Time) -> Tensor:
    """`E[end | x]` from a control, `(B, *event)`.

    >>> from pushforward.processes import Bridge
    >>> expected_end(Bridge(), torch.ones(1, 1), torch.ones(1, 1), 0.5)
    tensor([[1.5000]])
    """
    return combine((reference.decay(remaining), remaining), (x, u))


@singledispatch
def end_error(reference: Any, u: Tensor, pair: Pair, x_t: Tensor, t: Time, forward: bool) -> Tensor:
    r"""The squared error of the end that a control expects, `(B,)`.

    Per dimension and in units of its variance under the reference, so that every time inside (0, 1)
    counts the same: `|end - E[end | x_t]|^2 / (d Var_ref(end | x_t))`. Its least value at a time is
    the variance of the end given the state over that of the reference. The divergence of the drifts
    themselves would weight it by one over the time that remains.

    Where states have no means, `ControlledReference.end_error`.
    """
    remaining = time_left(t, forward)
    error = pair[0 if forward else 1] - expected_end(reference, x_t, u, remaining)
    # A root, since the space has the square: of the means over cells by their weights, say.
    scale = reference.end_variance(remaining) ** 0.5
    found: Tensor = reference.space.squared_norm(x_t, error / like(scale, error))
    return found


@end_error.register
def _(
    reference: ControlledReference, u: Tensor, pair: Pair, x_t: Tensor, t: Time, forward: bool
) -> Tensor:
    return reference.end_error(u, x_t, pair[0 if forward else 1], time_left(t, forward))


@dataclass(frozen=True)
class Controls:
    """Both directions as the model of a `ControlledDiffusion`.

    Args:
        forward: the control towards the target, at `t = 0`.
        backward: the control towards the source, at `t = 1`.
    """

    forward: Control
    backward: Control

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> _OnDemand:
        """The two controls, forward first, each evaluated when it is asked for."""
        return _OnDemand(self, x_t, t)

    def of(self, forward: bool) -> Control:
        """The control of one direction."""
        return self.forward if forward else self.backward


@dataclass(frozen=True)
class _OnDemand:
    """A pair of tensors, each computed when it is asked for: a random step needs only one."""

    controls: Controls
    x: Tensor
    t: Time

    def __getitem__(self, k: int) -> Tensor:
        return self.controls.of(k == 0)(self.x, self.t)


class Step(NamedTuple):
    """A random step from `t` to `s`: the weights of state and expected end, and the noise.

    Floats, or tensors `(B,)` with a step for each state.
    """

    t: Any
    s: Any
    keep: Any
    gain: Any
    std: Any

    def mean(self, reference: Reference, x: Tensor, u: Tensor, forward: bool) -> Tensor:
        """The mean of the step, from states `(B, *event)` and the control of its direction."""
        end = expected_end(reference, x, u, time_left(self.t, forward))
        return combine((self.keep, self.gain), (x, end))


@dataclass(frozen=True)
class ControlledDiffusion(GenerativeProcess):
    """A reference under a control in each direction. Its prediction is the pair of the controls.

    Random steps are exact where everything is normal. Given its end, a path moves by the pinned
    step of the reference; the end itself is known up to its mean, which the control gives, and its
    variance `V`:

        x_s = keep x_t + gain E[end | x_t] + (std^2 + gain^2 V)^{1/2} noise.

    For normal distributions this is the exact transition of the Schrödinger bridge, whatever the
    length of the step. With the reference's own `V` it is the step of Euler and Maruyama; with
    `V = 0` no noise is left at the end, as where the data lie on few points. Where they are not
    normal, it matters most that the last steps are short: the grid is finer towards the end.

    Args:
        reference: the bridges of the reference.
        variance_ratios: for each direction, forward first, the variance of the end given the state
            over that of the reference, at equal steps of the remaining time from 0 to 1. One, the
            default, makes a random step that of Euler and Maruyama.
    """

    reference: Reference
    variance_ratios: Sequence[Sequence[float]] = field(default=((1.0, 1.0), (1.0, 1.0)))

    paired = True
    sampler = "pinned"
    grid = "quadratic"
    steps = 20
    supports = frozenset({"density"})

    learns_end_variance = True
    """Its steps are exact where the variance of the end ahead is known."""

    @property
    def space(self) -> LinearSpace:  # type: ignore[override]
        """That of the reference."""
        return self.reference.space

    @property
    def clock(self) -> Schedule:
        """Linear."""
        return _CLOCK

    @property
    def interval(self) -> tuple[float, float]:
        """All of it."""
        return 1.0, 0.0

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Normal:
        """Standard normal: the source, where no data are given for it."""
        return Normal(shape, space=self.space)

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """The reciprocal projection: a point of a bridge of the reference between coupled ends."""
        return self.reference.sample(z, t, generator)

    def loss(self, pred: Any, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The errors of both expected ends, `end_error`, `(B,)`."""
        k = self.reference
        first, second = (
            end_error(k, pred[0], z, x_t, t, True),
            end_error(k, pred[1], z, x_t, t, False),
        )
        return first + second

    def dynamics(self, pred: Any, x_t: Tensor, t: Time) -> Flow:
        """The probability flow and the score that both controls imply, at any `t` in [0, 1]."""
        k = self.reference
        ahead, back = (drift_gain(k, time_left(t, forward)) for forward in (True, False))
        one = t**0
        noise = k.sigma**2
        return Flow(
            self.space,
            basis=(x_t, pred[0], pred[1]),
            velocity_weights=(0.0 * one, -0.5 * ahead, 0.5 * back),
            score_weights=(-2 * k.rate / noise * one, ahead / noise, back / noise),
            g2=noise * one,
        )

    def step(self, t: float, s: float) -> Step:
        """The random step from `t` to `s`, in either direction."""
        forward = s < t
        remaining: Any = time_left(t, forward)
        # Rounding must not make the last step longer than what remains.
        pinned = self.reference.pinned(remaining, min(abs(s - t), remaining))
        variance = pinned.std**2 + pinned.gain**2 * self.end_variance(remaining, forward)
        return Step(t, s, pinned.keep, pinned.gain, math.sqrt(variance))

    def bridge(
        self,
        pred: Any,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A random step from `t` to `s`, in either direction: the sampler `pinned`.

        It evaluates one of the two controls. Raises `InputError` unless churn is 1.
        """
        if churn != 1:
            raise InputError(
                f"a random step of a Schrödinger bridge has churn=1, not {churn}: without noise "
                "take heun, with another amount of it Euler(churn)"
            )
        return self.move(x_t, pred[0 if s < t else 1], t, s, generator)

    def move(
        self, x: Tensor, u: Tensor, t: float, s: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """A random step from `t` to `s` under the control of that direction."""
        step = self.step(t, s)
        mean = step.mean(self.reference, x, u, s < t)
        return torch.add(mean, self.space.randn(mean, generator), alpha=step.std)

    def unsteered(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The end of the reference itself: one step of it is exact, and the same either way."""
        return self.move(x, zero_control(x, 1.0), 1.0, 0.0, generator)

    def end_variance(self, remaining: float, forward: bool) -> float:
        """The variance of the end ahead given the state, per dimension."""
        table = self.variance_ratios[0 if forward else 1]
        place = remaining * (len(table) - 1)
        k = min(int(place), len(table) - 2)
        ratio = table[k] + (place - k) * (table[k + 1] - table[k])
        found: float = ratio * self.reference.end_variance(remaining)
        return found

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: the coefficients of a reference are cheap."""


_CLOCK = Rectified()


@singledispatch
def controlled(
    reference: Any, variance_ratios: Sequence[Sequence[float]]
) -> ControlledDiffusion | ControlledReference:
    """A reference as the process that controls steer, with the variances of ends that were
    measured, where its steps take them."""
    return ControlledDiffusion(reference, variance_ratios)


@controlled.register
def _(
    reference: ControlledReference, variance_ratios: Sequence[Sequence[float]]
) -> ControlledDiffusion | ControlledReference:
    return reference


def drift_gain(reference: Reference | ControlledReference, remaining: Time) -> Any:
    """The weight of a control in its drift, `r / S(r)`: one at the end itself."""
    if isinstance(remaining, Tensor):
        safe = remaining.clamp(min=1e-12)
        return safe / reference.span(safe)
    return remaining / reference.span(remaining) if remaining > 0 else 1.0
