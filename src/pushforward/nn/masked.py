"""A perceptron whose outputs see some of the inputs: those before them, or any without a cycle."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from pushforward.checks import layers, whole
from pushforward.config import amend, configurable
from pushforward.errors import InputError
from pushforward.nn.perceptron import encoded_condition

__all__ = ["MaskedPerceptron"]


class _MaskedLinear(nn.Linear):
    """A linear map of as many weights as `mask`, `(outputs, inputs)`, has places that are true."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.mask, self.bias)


@configurable
class MaskedPerceptron(nn.Module):
    """MADE (Germain et al. 2015): the outputs of entry `i` depend on the entries before it.

    Every hidden unit depends on a set of entries, and is seen by the units and outputs whose own
    entries include these. The sets are those of the outputs, spread evenly over the units: from
    `features - 1` units on, one more with labels or a context, all dependencies exist. A narrower
    network misses those within a gap between two sets, and warns with the width that has all.

    Args:
        features: how many entries.
        parameters: outputs per entry.
        width: hidden units per layer.
        depth: hidden layers.
        order: the place of each entry in the order; 0, 1, 2, ... by default.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        shown: how many numbers of each entry go in.
        adjacency: in the place of an order, `(features, features)` booleans: whether entry `i`, a
            row, depends on entry `j`, a column. There must be no cycle.

    Hidden units are rectified: flows learn faster by them than by smooth ones, and go on in
    straight lines where there are no data. The last layer starts at zero. Raises `InputError` for
    sizes below one, an order that is no permutation, or an adjacency with a cycle.

    >>> net = MaskedPerceptron(3, 2)
    >>> net(torch.zeros(5, 3)).shape
    torch.Size([5, 6])
    >>> chain = MaskedPerceptron(3, 2, adjacency=[[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    >>> chain.connections().int().tolist()
    [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
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
        adjacency: Sequence[Sequence[bool]] | Tensor | None = None,
    ) -> None:
        super().__init__()
        features, parameters = whole("features", features), whole("parameters", parameters)
        width, depth, shown = whole("width", width), layers("depth", depth), whole("shown", shown)
        if adjacency is None:
            allowed = _before(features, order)
        elif order is None:
            allowed = _acyclic(features, adjacency)
            amend(self, adjacency=allowed.int().tolist())
        else:
            raise InputError("an adjacency has its own order: give adjacency or order, not both")
        self.num_classes, self.context_size = num_classes, context
        size = num_classes or context
        sets = _sets(allowed, nothing=size is not None)
        seen = sets[_spread(len(sets), width)]
        within = _subsets(seen, seen)
        self.first = _MaskedLinear(seen.repeat_interleave(shown, 1))
        self.context = nn.Linear(size, width, bias=False) if size else None
        self.hidden = nn.ModuleList(_MaskedLinear(within) for _ in range(depth - 1))
        self.last = _MaskedLinear(_subsets(seen, allowed).repeat_interleave(parameters, 0))
        # What every entry may see: the context reaches all, also past the units.
        self.direct = nn.Linear(size, features * parameters, bias=False) if size else None
        for layer in (self.last, self.direct):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.activation = nn.ReLU()
        self._sizes = features, parameters, shown
        if width < len(sets):
            self._warn(allowed, width, len(sets))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """The parameters `(B, features * parameters)` at `x`, `(B, features * shown)`.

        Labels `(B,)`, or contexts `(B, context)`; one `()` or `(context,)` is that of all states.
        """
        h = self.first(x)
        given = encoded_condition(c, x, self.num_classes, self.context_size)
        if given is not None and self.context is not None:
            h = h + self.context(given)
        h = self.activation(h)
        for layer in self.hidden:
            h = h + self.activation(layer(h))
        out: Tensor = self.last(h)
        if given is not None and self.direct is not None:
            out = out + self.direct(given)
        return out

    def connections(self) -> Tensor:
        """Which entry, a row, can depend on which, a column, by the product of the masks."""
        masks: list[Any] = [self.first, *self.hidden, self.last]
        reach = masks[0].mask
        for layer in masks[1:]:
            # Residual layers: the identity stands beside the mask, which holds it.
            reach = (layer.mask @ reach > 0).to(reach)
        features, parameters, shown = self._sizes
        return reach.reshape(features, parameters, features, shown).amax((1, 3)) > 0

    def _warn(self, allowed: Tensor, width: int, wanted: int) -> None:
        found, all_ = int(self.connections().sum()), int(allowed.sum())
        if found < all_:
            warnings.warn(
                f"a masked perceptron of width {width} has {found / all_:.1%} of the {all_} "
                f"dependencies that its {len(allowed)} entries may have: width={wanted} has all",
                stacklevel=4,
            )


def _before(features: int, order: Sequence[int] | None) -> Tensor:
    """Whether an entry, a row, comes after another one, a column."""
    places = list(range(features)) if order is None else list(order)
    if sorted(places) != list(range(features)):
        raise InputError(f"an order of {features} entries is a permutation, not {places}")
    place = torch.tensor(places)
    return place.unsqueeze(1) > place


def _acyclic(features: int, adjacency: Sequence[Sequence[bool]] | Tensor) -> Tensor:
    """The adjacency as booleans; raises `InputError` for another shape, or a cycle."""
    try:
        table = torch.as_tensor(adjacency).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"an adjacency is a table of booleans, not {adjacency!r}") from None
    if tuple(table.shape) != (features, features):
        raise InputError(
            f"the adjacency of {features} entries has shape {(features, features)}, not "
            f"{tuple(table.shape)}"
        )
    allowed = table.bool()
    if not torch.equal(allowed.to(table.dtype), table):
        raise InputError("an adjacency holds true or false, or 1 or 0, and nothing else")
    left = torch.ones(features, dtype=torch.bool)
    while left.any():
        # Entries that depend on none of those left come next.
        free = left & ~(allowed & left).any(1)
        if not free.any():
            cycle = left.nonzero().flatten().tolist()
            raise InputError(
                f"the adjacency has a cycle among the entries {cycle}: each must depend on entries "
                "that come before it in some order"
            )
        left &= ~free
    return allowed


def _sets(allowed: Tensor, nothing: bool) -> Tensor:
    """The different sets of entries that outputs depend on, small ones first.

    The empty one only if units that see no entry have something to see: `nothing` asks for it.
    """
    rows = {row.numpy().tobytes(): row for row in allowed}
    found = [rows[name] for name in sorted(rows) if nothing or rows[name].any()]
    found = found or [torch.zeros_like(allowed[0])]
    return torch.stack(sorted(found, key=lambda row: int(row.sum())))


def _spread(sets: int, width: int) -> Tensor:
    """Which set each of `width` units has: all alike often, or those at equal distances."""
    k = torch.arange(width)
    if width >= sets:
        return k * sets // width
    return (k + 1) * (sets + 1) // (width + 1) - 1


def _subsets(inner: Tensor, outer: Tensor) -> Tensor:
    """Whether each set of `inner`, a column, lies within each of `outer`, a row."""
    return (~outer).float() @ inner.float().mT == 0
