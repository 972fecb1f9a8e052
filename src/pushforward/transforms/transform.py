"""Bijections that are learned: both directions, with their log-determinants."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.transforms.condition import TransformCondition

__all__ = ["Composed", "Inverse", "Transform"]


class Transform(nn.Module):
    """A bijection of states `(B, *event)`, in a condition `c` if it takes one.

    `forward` goes from the base to the data, `x = f(z)`; `inverse` from the data to the base. A
    transform is written in the direction that it computes in closed form; `Inverse` turns it round.

    A kind of transform defines `_push` and `_inverse`, and its `condition`; the public methods
    check `c` by it first, and repeat one label `()` or one context `(k,)` or `(1, k)` for all
    states. They raise `InputError` for a condition that is missing, or not taken.
    """

    condition = TransformCondition(declared=False)

    @abstractmethod
    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The image `x` of `z` and `log |det dx/dz|`, `(B,)`."""

    @abstractmethod
    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The preimage `z` of `x` and `log |det dz/dx|`, `(B,)`."""

    def push(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The image `x` of `z` and `log |det dx/dz|`, `(B,)`."""
        return self._push(z, self.condition.checked(c, len(z)))

    def inverse(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The preimage `z` of `x` and `log |det dz/dx|`, `(B,)`."""
        return self._inverse(x, self.condition.checked(c, len(x)))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The image of `z`, without its log-determinant."""
        return self.push(z, c)[0]

    def is_estimate(self, features: int) -> bool:
        """Whether log-determinants of events of so many numbers are random estimates."""
        return any(
            part.is_estimate(features)
            for part in self.modules()
            if isinstance(part, Transform) and part is not self
        )

    def prepare(self, x: Tensor, c: Tensor | None = None, *, turned: bool = False) -> Tensor:
        """Take what a data-dependent start needs from a batch of data; what becomes of the batch.

        Data go in at `inverse`, or where a transform is used turned round, at `push`. Most
        transforms start from nothing.
        """
        return self.push(x, c)[0] if turned else self.inverse(x, c)[0]


@configurable
class Composed(Transform):
    """One transform after another: `f = f_n ( ... f_2(f_1(z)))`.

    >>> import torch
    >>> Composed([])(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, parts: Sequence[Transform]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.condition = TransformCondition.of(*parts)

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._through("push", z, c)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._through("inverse", x, c)

    def _through(self, method: str, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for part in self._in_order(method == "push"):
            x, log_det = getattr(part, method)(x, part.condition.passed(c))
            total = total + log_det
        return x, total

    def _in_order(self, outward: bool) -> list[Any]:
        return list(self.parts) if outward else list(self.parts)[::-1]

    def prepare(self, x: Tensor, c: Tensor | None = None, *, turned: bool = False) -> Tensor:
        """Each part sees what the ones before it on the way of the data have made of them."""
        c = self.condition.checked(c, len(x))
        for part in self._in_order(turned):
            x = part.prepare(x, part.condition.passed(c), turned=turned)
        return x


@configurable
class Inverse(Transform):
    """A transform turned round: its inverse takes the base to the data."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.condition = transform.condition

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(z, c)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform.push(x, c)

    def prepare(self, x: Tensor, c: Tensor | None = None, *, turned: bool = False) -> Tensor:
        """The transform inside takes its start the other way."""
        return self.transform.prepare(x, c, turned=not turned)
