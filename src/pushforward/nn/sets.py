"""A network of sets: vectors that do not depend on the order of the elements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.perceptron import Perceptron

__all__ = ["SetEncoder", "elements"]


@configurable
class SetEncoder(nn.Module):
    r"""`rho(mean_i phi(x_i), log(1 + n))` of a set `x_1 .. x_n` (Zaheer et al. 2017).

    Both maps are perceptrons. The number of elements enters by itself: more observations of the
    same kind mean a narrower posterior, which their mean does not tell. An empty set has a vector,
    too.

    Args:
        inputs: numbers of an element.
        outputs: the length of the vector.
        width: hidden units.
        depth: hidden layers of each perceptron.

    Raises `InputError` for sizes below one, and for what are no sets of such elements.

    >>> encoder = SetEncoder(2, 4, width=8)
    >>> x, mask = torch.randn(5, 3, 2), torch.tensor([True, True, False]).expand(5, 3)
    >>> encoder((x, mask)).shape
    torch.Size([5, 4])
    """

    def __init__(self, inputs: int, outputs: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.inputs = whole("inputs", inputs)
        width, depth = whole("width", width), layers("depth", depth)
        self.each = Perceptron(inputs, width, width, depth)
        self.together = Perceptron(
            width + 1, whole("outputs", outputs), width, depth, normalize=True
        )
        # Vectors of unit entries that differ between sets, as those that a network is told
        # otherwise: layers as they come would let the differences die away.
        nn.init.normal_(self.together.last.weight, std=width**-0.5)
        nn.init.zeros_(self.together.last.bias)

    def forward(self, c: Any) -> Tensor:
        """The vectors `(B, outputs)` of sets: `(x, mask)`, elements `(B, slots, inputs)` and which
        slots are filled, or elements alone if all are."""
        x, mask = elements(c, self.inputs)
        seen = self.each(x.flatten(0, 1)).unflatten(0, mask.shape)
        present = mask.unsqueeze(-1).to(x)
        count = present.sum(1)
        # Not a product: what is in empty slots need not be a number.
        total = torch.where(mask.unsqueeze(-1), seen, 0.0).sum(1)
        return self.together(torch.cat([total / count.clamp(min=1), count.log1p()], 1))


def elements(c: Any, numbers: int) -> tuple[Tensor, Tensor]:
    """Elements `(B, slots, numbers)` and which slots are filled `(B, slots)`, of sets or sequences.

    Raises `InputError` for anything else.
    """
    x, mask = c if isinstance(c, tuple) and len(c) == 2 else (c, None)
    if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[2] != numbers:
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"sets and sequences have shape (B, slots, {numbers}), not {found}")
    if mask is None:
        return x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != x.shape[:2]:
        raise InputError(
            f"a mask is boolean of shape {tuple(x.shape[:2])}, one entry for each slot"
        )
    return x, mask
