"""A multilayer perceptron for vectors, or for small events seen as vectors."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["MLP"]


@configurable
class MLP(nn.Module):
    """Residual layers of equal width, each shifted by features of time and label.

    Args:
        event: the dimension of a state, or its shape.
        out: the shape of the output, or its dimension; that of a state by default.
        width: hidden units per layer.
        depth: hidden layers.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    Raises `InputError` for sizes below one, or states of another shape.

    >>> import torch
    >>> MLP(2)(torch.zeros(5, 2), torch.rand(5)).shape
    torch.Size([5, 2])
    """

    shares_time = True
    """Takes a time `()` for all states, besides one for each."""

    def __init__(
        self,
        event: int | tuple[int, ...],
        width: int = 128,
        depth: int = 3,
        num_classes: int | None = None,
        context: int | None = None,
        out: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = (event,) if isinstance(event, int) else tuple(event)
        out = self.event_shape if out is None else out
        self.out_shape = (out,) if isinstance(out, int) else tuple(out)
        before, after = math.prod(self.event_shape), math.prod(self.out_shape)
        if before < 1 or after < 1:
            raise InputError(f"event {event} and out {out} must have an entry")
        width, depth = whole("width", width), layers("depth", depth)
        self.num_classes = num_classes
        self.context_size = context
        self.conditioning = Conditioning(width, num_classes, context)
        self.first = nn.Linear(before, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, after)
        # Zero at first: an untrained model predicts the mean, and early gradients are calm.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output `(B, *out)` at states `(B, *event)`, times `(B,)` or `()`, labels or none."""
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(f"states have shape {self.event_shape}, not {tuple(x.shape[1:])}")
        embedding = self.conditioning(t, c, len(x))
        h = self.activation(self.first(x.flatten(1)) + embedding)
        for layer in self.hidden:
            h = h + self.activation(layer(h) + embedding)
        return self.last(h).reshape(len(x), *self.out_shape)
