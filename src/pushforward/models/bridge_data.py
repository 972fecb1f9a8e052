"""What a Schrödinger bridge is trained on: states of both ends, in contexts that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import even_rows
from pushforward.condition import Condition
from pushforward.models.bridge_reference import BridgeReference

__all__ = ["BridgeData", "BothEnds", "drawing"]


class BothEnds(NamedTuple):
    """States of both distributions, independent given the context of their row.

    Args:
        source: at `t = 1`, `(rows, *event)`.
        target: at `t = 0`, as many.
        context: the labels or contexts of the target's rows, which hold for the source too; or
            `None`.
    """

    source: Tensor
    target: Tensor
    context: Tensor | None


Draw = Callable[[int, torch.Generator], BothEnds]
"""So many rows in random order, with a generator of the CPU."""


class BridgeData(NamedTuple):
    """What a bridge is trained on, in the units of the model.

    Args:
        reference: the bridges of the reference.
        draw: states of both ends: rows of data, each as often as any other, or draws of a prior.
        source_rows: how many rows of the source there are; `None` if there are always more.
        target_rows: how many of the target.
        numel: how many numbers a state has.
        initial: draws couplings `(target, source)` to begin with, if there are some in the place of
            the method's own.
    """

    reference: BridgeReference
    draw: Draw
    source_rows: int | None
    target_rows: int
    numel: int
    initial: Callable[[int, torch.Generator], tuple[Tensor, Tensor]] | None = None


def drawing(
    target: Tensor,
    c: Tensor | None,
    condition: Condition,
    inward: Callable[[Tensor], Tensor],
    start: Callable[[Tensor | None, int, torch.Generator], Tensor],
) -> Draw:
    """Draws rows of the target `(N, *event)` with their contexts, and a state of the source each.

    Args:
        target: the data, in data units.
        c: their labels or contexts.
        condition: what the networks are told of these.
        inward: from data units to those of the model.
        start: states of the source in given contexts, so many, in the units of the model.
    """

    def draw(n: int, order: torch.Generator) -> BothEnds:
        # A small set starts several paths from each row; no path from some would bend the
        # distribution.
        rows = even_rows(n, len(target), order)
        b, context = inward(state.take(target, rows)), None
        if c is not None:
            context = condition.rows(state.take(c, rows), n, b.device)
        a = start(context, n, order)
        if context is not None:
            context = condition.hidden(context.cpu(), order).to(b.device)
        return BothEnds(a, b, context)

    return draw
