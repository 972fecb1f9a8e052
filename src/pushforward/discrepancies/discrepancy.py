"""The game of a generator and a critic, as one object."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

__all__ = ["Critic", "Discrepancy"]


class Critic(Protocol):
    """A function of states, in a context if it takes one."""

    def __call__(self, x: Tensor, c: Any = None) -> Tensor:
        """Numbers `(B, k)` at states `(B, *event)`; most discrepancies take `k = 1`."""


class Discrepancy(Protocol):
    """A distance of two distributions from below: its best critic makes it large.

    The critic's loss is minus the estimate, and the generator's loss makes it small; both return
    one number per state, whose mean counts.
    """

    @property
    def outputs(self) -> int:
        """How many numbers the critic gives for a state; 0 if there is no critic."""

    @property
    def pointwise(self) -> bool:
        """Whether the losses of a state do not depend on the others of a batch."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the critic minimizes, from its values `(B, k)` at both samples: `(B,)`."""

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the generator minimizes, `(B,)`."""

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The function `(B,)` of a state whose means are compared, from the critic's values there.

        Its slope is what a penalty bounds: that of a critic of one output, or of what a kernel
        makes of features.
        """
