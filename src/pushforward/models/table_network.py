"""The network of a table: numbers, symbols, and which numbers are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward import nn as nets
from pushforward import state
from pushforward.config import configurable
from pushforward.spaces import Space

__all__ = ["TableNetwork", "table_network"]


@configurable
class TableNetwork(nn.Module):
    """A network of plain numbers as one of the rows of a table, any entries of which are known.

    Args:
        space: whose `embed` turns states into numbers.
        net: a network from these, and a flag for each number of a state, to as many numbers as
            `output_shape` has.
        output_shape: the shape of the output for one state, or a tuple of shapes.
        numbers: how many flags there are: a symbol that is visible is known without one.

    >>> from pushforward.spaces import Categories, Euclidean, Product
    >>> space = Product(Euclidean(2), Categories((2, 3)))
    >>> net = TableNetwork(space, nets.MLP(11, width=8, out=8), ((2,), (2, 3)), 2)
    >>> x = torch.zeros(5, 2), torch.zeros(5, 2, dtype=torch.long)
    >>> [tuple(part.shape) for part in net(x, torch.zeros(5))]
    [(5, 2), (5, 2, 3)]
    """

    def __init__(
        self, space: Space, net: nn.Module, output_shape: state.EventShape, numbers: int
    ) -> None:
        super().__init__()
        self.space, self.net, self.numbers = space, net, numbers
        self.output_shape = state.shape_from(output_shape)
        self.shares_time = getattr(net, "shares_time", False)

    def forward(self, x: Any, t: Tensor, c: Any = None, known: Tensor | None = None) -> Any:
        """The output at states and times; `known` are flags `(B, numbers)`, none of them set by
        default."""
        seen = self.space.embed(x).to(t.dtype)
        flags = seen.new_zeros(len(seen), self.numbers) if known is None else known.to(seen)
        flat = self.net(torch.cat([seen, flags], 1), t, c).flatten(1)
        return state.unflatten(flat, self.output_shape)


def table_network(
    space: Space, event_shape: state.EventShape, output_shape: state.EventShape
) -> TableNetwork:
    """The default network for the rows of a table: a perceptron that grows with them."""
    one = state.of_shape(event_shape, 1)
    shapes = event_shape if isinstance(event_shape[0], tuple) else (event_shape,)
    outputs = output_shape if isinstance(output_shape[0], tuple) else (output_shape,)
    # Numbers come out as they go in, symbols as logits, which have an axis more.
    numbers = sum(own[0] for own, out in zip(shapes, outputs, strict=True) if len(out) == 1)
    parts = one if isinstance(one, tuple) else (one,)
    cast = [
        part if len(out) == 1 else part.long() for part, out in zip(parts, outputs, strict=True)
    ]
    seen = space.embed(tuple(cast) if isinstance(one, tuple) else cast[0]).shape[1] + numbers
    width = min(512, max(128, 4 * seen))
    inner = nets.MLP(seen, width=width, depth=3, out=(state.numel(output_shape),))
    return TableNetwork(space, inner, output_shape, numbers)
