"""How a network is told the time and the label."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = ["Conditioning"]


class Conditioning(nn.Module):
    """Features of time and label, `(B, width)`.

    Time enters through sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017),
    the label through a learned vector, with one more for "no label".

    Args:
        width: the number of features.
        num_classes: the number of labels, or `None`.
        frequencies: the number of frequencies, from half a turn over [0, 1] to `highest` turns.
        highest: the highest frequency; higher tells nearer times apart.

    Raises `InputError` for fewer than one label.

    >>> Conditioning(16, num_classes=3)(torch.rand(2), torch.tensor([0, -1]), batch=2).shape
    torch.Size([2, 16])
    """

    frequencies: Tensor

    def __init__(
        self,
        width: int,
        num_classes: int | None = None,
        frequencies: int = 32,
        highest: float = 64.0,
    ) -> None:
        super().__init__()
        if num_classes is not None and num_classes < 1:
            raise InputError(f"num_classes must be positive, or None, not {num_classes}")
        turns = torch.logspace(math.log10(0.5), math.log10(highest), frequencies)
        self.register_buffer("frequencies", 2 * math.pi * turns, persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU())
        self.mix = nn.Linear(width, width)
        self.num_classes = num_classes
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, width)

    def forward(self, t: Tensor, c: Tensor | None, batch: int) -> Tensor:
        """Features for times `(B,)` or `()` and labels `(B,)` in -1..num_classes-1, or `None`.

        One row of features, `(1, width)`, if all states share their time and have no label. Raises
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
        elif c is not None:
            raise InputError("this network takes no labels: make it with num_classes=")
        return self.mix(features)

    def _label(self, table: nn.Embedding, c: Tensor | None, batch: int) -> Tensor:
        """The learned vectors of labels; the first row of the table stands for no label."""
        if c is None:
            return table.weight[:1]
        if c.shape != (batch,) or c.is_floating_point():
            raise InputError(
                f"labels are integers of shape ({batch},), not {c.dtype} of shape {tuple(c.shape)}"
            )
        try:
            return table(c + 1)
        # On a GPU a check would have to wait for the device; there the lookup itself fails.
        except IndexError:
            highest, found = table.num_embeddings - 2, f"{int(c.min())}..{int(c.max())}"
            raise InputError(
                f"labels lie in 0..{highest} (or -1 for none), not in {found}"
            ) from None
