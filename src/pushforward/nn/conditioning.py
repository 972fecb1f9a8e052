"""How a network is told the time and, if it takes one, a label or a context."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.errors import InputError

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """Features of time and label or context, `(B, width)`.

    Time enters through sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017),
    a label through a learned vector, with one more for "no label"; a context, a vector of numbers
    such as a measurement, through a linear map, with a learned vector for "no context".

    Args:
        width: the number of features.
        num_classes: the number of labels, or `None`.
        context: the length of a context, or `None`.
        frequencies: the number of frequencies, from half a turn over [0, 1] to `highest` turns.
        highest: the highest frequency; higher tells nearer times apart.

    Raises `InputError` for fewer than one label or number, or for both.

    >>> Conditioning(16, num_classes=3)(torch.rand(2), torch.tensor([0, -1]), batch=2).shape
    torch.Size([2, 16])
    >>> Conditioning(16, context=5)(torch.rand(2), torch.randn(2, 5), batch=2).shape
    torch.Size([2, 16])
    """

    frequencies: Tensor

    def __init__(
        self,
        width: int,
        num_classes: int | None = None,
        context: int | None = None,
        frequencies: int = 32,
        highest: float = 64.0,
    ) -> None:
        super().__init__()
        if num_classes is not None and context is not None:
            raise InputError(
                f"a network takes labels or a context, not both (num_classes={num_classes}, "
                f"context={context}): put the label into the context"
            )
        for name, value in (("num_classes", num_classes), ("context", context)):
            if value is not None:
                whole(name, value)
        turns = torch.logspace(math.log10(0.5), math.log10(highest), frequencies)
        self.register_buffer("frequencies", 2 * math.pi * turns, persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU())
        self.mix = nn.Linear(width, width)
        self.num_classes = num_classes
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, width)
        self.context = None if context is None else _Context(context, width)

    def forward(self, t: Tensor, c: Tensor | None, batch: int) -> Tensor:
        """Features for times `(B,)` or `()` and labels `(B,)` in -1..num_classes-1, or contexts
        `(B, context)`, a row of NaN for none, or `None` for all; one label `()` or one context
        `(context,)` is that of all states.

        One row of features, `(1, width)`, if all states share their time and their label. Raises
        `InputError` for other shapes, for labels out of range or where none are taken.
        """
        if t.shape not in ((), (batch,)):
            raise InputError(f"times have shape () or ({batch},), not {tuple(t.shape)}")
        # A time that was expanded to the batch, as samplers do, is looked at once.
        rows = t[:1] if t.ndim and t.stride(0) == 0 else t.reshape(-1)
        angle = rows.unsqueeze(-1) * self.frequencies
        features = self.time(torch.cat([angle.sin(), angle.cos()], -1))
        if self.label is not None:
            features = features + self._label(self.label, c, batch)
        elif self.context is not None:
            features = features + self.context(c, batch)
        elif c is not None:
            raise InputError("this network takes no labels: make it with num_classes= or context=")
        return self.mix(features)

    def _label(self, table: nn.Embedding, c: Tensor | None, batch: int) -> Tensor:
        """The learned vectors of labels; the first row of the table stands for no label."""
        if c is None:
            return table.weight[:1]
        if c.shape not in ((batch,), (1,), ()) or c.is_floating_point():
            raise InputError(
                f"labels are integers of shape ({batch},), not {c.dtype} of shape {tuple(c.shape)}"
            )
        try:
            return table(c.reshape(-1) + 1)
        # On a GPU a check would have to wait for the device; there the lookup itself fails.
        except IndexError:
            highest, found = table.num_embeddings - 2, f"{int(c.min())}..{int(c.max())}"
            raise InputError(
                f"labels lie in 0..{highest} (or -1 for none), not in {found}"
            ) from None


class _Context(nn.Module):
    """A linear map of vectors, and a learned vector in the place of those with a NaN."""

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.map = nn.Linear(numbers, width)
        self.nothing = nn.Parameter(torch.zeros(1, width))

    def forward(self, c: Tensor | None, batch: int) -> Tensor:
        if c is None:
            return self.nothing
        c = c.unsqueeze(0) if c.ndim == 1 else c
        if c.shape not in ((batch, self.numbers), (1, self.numbers)) or not c.is_floating_point():
            raise InputError(
                f"a context is floating-point of shape ({batch}, {self.numbers}), not {c.dtype} of "
                f"shape {tuple(c.shape)}"
            )
        missing = c.isnan().any(-1, keepdim=True)
        return torch.where(missing, self.nothing, self.map(c.nan_to_num()))
