"""A mask: the numbers of a state that were observed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.inverse.operator import Shape
from pushforward.inverse.selection import Selection

__all__ = ["Mask"]


class Mask(Selection):
    """The numbers of a state where a mask is `True`, `(k,)`: inpainting, and gaps in data.

    `True`, or 1, is observed and `False`, or 0, is missing, as in DPS and deepinv; the inpainting
    pipelines of diffusers have it the other way round: give them `~mask`. A mask of pixels `(H, W)`
    holds for all channels.

    Args:
        observed: booleans, or zeros and ones, of the shape of a state or broadcast to it.

    Raises `InputError` for other values, and for a mask that observes nothing.

    >>> mask = Mask(torch.tensor([True, False, True]))
    >>> mask(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 3.]])
    >>> gaps = torch.tensor([1.0, torch.nan, 3.0])
    >>> Mask.missing(gaps).observed
    tensor([ True, False,  True])
    """

    def __init__(self, observed: Tensor) -> None:
        if not isinstance(observed, Tensor) or observed.ndim == 0:
            raise InputError(f"a mask is a tensor of the shape of a state, not {observed!r}")
        if not bool(((observed == 0) | (observed == 1)).all()):
            raise InputError(
                "a mask is 1 (True) where a number was observed and 0 (False) where it is missing, "
                "and this one has other values: compare them with a threshold first"
            )
        if not bool(observed.any()):
            raise InputError("the mask observes nothing: 1 (True) stands for what was observed")
        self.observed = observed.bool()

    @classmethod
    def missing(cls, x: Tensor) -> Mask:
        """The mask of a state `(*event)` whose gaps are NaN; `mask(x[None])[0]` are the numbers."""
        if not isinstance(x, Tensor):
            raise InputError(f"a state with gaps is a tensor with NaN in them, not {x!r}")
        return cls(~x.isnan())

    def places(self, event_shape: Shape) -> Tensor:
        """Those of the observed numbers, `(k,)`, in their order in the flat state."""
        try:
            full = self.observed.expand(event_shape)
        except RuntimeError:
            raise InputError(
                f"a mask of shape {tuple(self.observed.shape)} does not fit states of shape "
                f"{event_shape}"
            ) from None
        return torch.arange(math.prod(event_shape), device=full.device)[full.flatten()]
