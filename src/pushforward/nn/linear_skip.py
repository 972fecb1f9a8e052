"""An affine map around a network without a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.nn.perceptron import encoded_condition

__all__ = ["LinearSkip"]


@configurable
class LinearSkip(nn.Module):
    """`net(x, c) + A x + C c + b`, with states seen as vectors; `A`, `C` and `b` are zero at first.

    Labels are indicators. The matrix `[A C]` is `linear.weight`.

    What a few numbers say exactly is not left to the network, and a closed form of the linear case,
    such as principal components, can be put in as a start.

    Args:
        net: a network `net(x)` or `net(x, c)`.
        inputs: the shape of what goes in, or its dimension.
        outputs: the shape of what comes out, or its dimension.

    >>> from pushforward.nn import Perceptron
    >>> LinearSkip(Perceptron(2, 3), 2, 3)(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self, net: nn.Module, inputs: int | tuple[int, ...], outputs: int | tuple[int, ...]
    ) -> None:
        super().__init__()
        self.net = net
        self.num_classes: int | None = getattr(net, "num_classes", None)
        self.context_size: int | None = getattr(net, "context_size", None)
        before, after = (
            size if isinstance(size, int) else math.prod(size) for size in (inputs, outputs)
        )
        self.linear = nn.Linear(before + (self.num_classes or self.context_size or 0), after)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """The output at states `(B, *inputs)`, with labels or contexts if the network has them."""
        h: Tensor = self.net(x) if c is None else self.net(x, c)
        return h + self.linear(self.seen(x, c)).reshape(h.shape)

    def seen(self, x: Tensor, c: Tensor | None) -> Tensor:
        """What the affine map is of: states as vectors, then labels or contexts, if it has any."""
        flat = x.flatten(1)
        given = encoded_condition(c, flat, self.num_classes, self.context_size)
        return flat if given is None else torch.cat([flat, given], 1)
