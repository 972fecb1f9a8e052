"""A perceptron whose outputs see only the inputs before them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.perceptron import told

__all__ = ["MaskedPerceptron"]


class _MaskedLinear(nn.Linear):
    mask: Tensor

    def __init__(self, before: Tensor, after: Tensor, strict: bool = False) -> None:
        super().__init__(len(before), len(after))
        seen = (
            before.unsqueeze(0) < after.unsqueeze(1)
            if strict
            else (before.unsqueeze(0) <= after.unsqueeze(1))
        )
        self.register_buffer("mask", seen.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.mask, self.bias)


@configurable
class MaskedPerceptron(nn.Module):
    """MADE (Germain et al. 2015): the outputs of entry `i` depend on the entries before it.

    Args:
        features: how many entries.
        parameters: outputs per entry.
        width: hidden units per layer.
        depth: hidden layers.
        order: the place of each entry in the order; 0, 1, 2, ... by default.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        shown: how many numbers of each entry go in.

    Hidden units are rectified: flows learn faster by them than by smooth ones, and go on in
    straight lines where there are no data. The last layer starts at zero. Raises `InputError` for
    sizes below one, or an order that is no permutation.

    >>> net = MaskedPerceptron(3, 2)
    >>> net(torch.zeros(5, 3)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        features: int,
        parameters: int,
        width: int = 64,
        depth: int = 2,
        order: Sequence[int] | None = None,
        num_classes: int | None = None,
        context: int | None = None,
        shown: int = 1,
    ) -> None:
        super().__init__()
        if min(features, parameters, width, depth) < 1:
            raise InputError(
                f"features {features}, parameters {parameters}, width {width} and depth {depth} "
                "must be positive"
            )
        places = list(range(features)) if order is None else list(order)
        if sorted(places) != list(range(features)):
            raise InputError(f"an order of {features} entries is a permutation, not {places}")
        self.num_classes, self.context_size = num_classes, context
        inputs = torch.tensor(places)
        # A unit of degree k sees entries up to place k; the last entry is seen by none.
        degrees = torch.arange(width) % max(1, features - 1)
        self.first = _MaskedLinear(inputs.repeat_interleave(shown), degrees)
        size = num_classes or context
        self.context = nn.Linear(size, width, bias=False) if size else None
        self.hidden = nn.ModuleList(_MaskedLinear(degrees, degrees) for _ in range(depth - 1))
        self.last = _MaskedLinear(degrees, inputs.repeat_interleave(parameters), strict=True)
        # What every entry may see: the context reaches even the first, which no unit does.
        self.direct = nn.Linear(size, features * parameters, bias=False) if size else None
        for layer in (self.last, self.direct):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """The parameters `(B, features * parameters)` at `x`, `(B, features * shown)`."""
        h = self.first(x)
        given = told(c, x, self.num_classes, self.context_size)
        if given is not None and self.context is not None:
            h = h + self.context(given)
        h = self.activation(h)
        for layer in self.hidden:
            h = h + self.activation(layer(h))
        out: Tensor = self.last(h)
        if given is not None and self.direct is not None:
            out = out + self.direct(given)
        return out
