"""References of Schrödinger bridges on spaces where states have no means."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule

__all__ = ["ControlledReference", "Pair"]

Pair = tuple[Tensor, Tensor]

_CLOCK = Rectified()


class ControlledReference(GenerativeProcess[Tensor, Pair, Any]):
    r"""A reversible motion between two given points, which a control in each direction steers.

    The prediction is a pair of controls, that towards the target, at `t = 0`, and that towards the
    source, at `t = 1`. The control of a direction says what is known of the end ahead, given `x_t`:
    a drift on a manifold, logits of tokens. As the reference is reversible, all formulas are blind
    to the direction of time.
    """

    paired = True
    sampler = "pinned"
    grid = "quadratic"
    steps = 50

    learns_end_variance = False
    """Its steps do not depend on how much of the end is open."""

    @property
    def clock(self) -> Schedule:
        """Linear."""
        return _CLOCK

    @property
    def interval(self) -> tuple[float, float]:
        """All of it."""
        return 1.0, 0.0

    @property
    def reference(self) -> Self:
        """What is controlled: the process itself, whose steps take any control."""
        return self

    @abstractmethod
    def reading(self, predict: Any = None) -> Reading:
        """One control."""

    def in_units(self, length: Any) -> Self:
        """The same: states have no other units."""
        return self

    def span(self, remaining: Time) -> Any:
        """The time itself, as of Brownian motion on `R^d`."""
        return remaining

    @abstractmethod
    def log_kernel(self, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The log-density of the reference at `end` after a time, from `x`, with respect to its
        stationary measure, `(B,)`: the same with both exchanged."""

    @abstractmethod
    def expected_control(self, x: Tensor, ends: Tensor, chances: Tensor, remaining: Time) -> Tensor:
        """The control at states `(B, *event)` from which the end is one of `ends` `(m, *event)`
        with some `chances` `(B, m)`."""

    @abstractmethod
    def end_error(self, control: Tensor, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """A proper score of a control, `(B,)`, least in expectation at the expected one."""

    @abstractmethod
    def move(
        self,
        x: Tensor,
        control: Tensor,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A random step from `t` to `s` under the control of that direction."""

    @abstractmethod
    def unsteered(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The end of the reference itself, from one end of time to the other."""

    def loss(self, pred: Any, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The errors of both controls, `(B,)`."""
        there = self.end_error(pred[0], x_t, z[0], t)
        return there + self.end_error(pred[1], x_t, z[1], 1 - t)

    def bridge(
        self,
        pred: Any,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A random step from `t` to `s`: the sampler `pinned`. Raises `InputError` unless churn is
        1."""
        if churn != 1:
            raise InputError(
                f"a random step of a Schrödinger bridge has churn=1, not {churn}: without noise "
                "take heun, with another amount of it Euler(churn)"
            )
        return self.move(x_t, pred[0 if s < t else 1], t, s, generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: there are no coefficients."""
