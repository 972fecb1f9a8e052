"""Which numbers single precision cannot carry, and which devices have no double precision.

A float32 number `a` is right to `2^-24 |a|`. Where a column varies little about a large offset, or
far below the smallest float32 number, that is too much: the column *loses its resolution* if
rounding to float32 moves one of its values by more than 1/4000 of its standard deviation.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

__all__ = [
    "NOISE",
    "RESOLUTION",
    "DataBuffers",
    "has_double",
    "in_double",
    "in_rounding_of",
    "narrowed",
    "times_in_double",
    "widest",
]

RESOLUTION = 4000
"""Rounding errors that fit into a standard deviation, at the least."""

NOISE = {torch.float32: 2.0**-23, torch.float64: 2.0**-46}
"""The share of a value below which a spread is what arithmetic leaves of a constant."""

_NUMBERS = 1 << 16  # looked at together, in the cache


def has_double(device: torch.device | str) -> bool:
    """Whether a device computes in double precision: Apple's GPUs do not.

    >>> has_double("cpu"), has_double("mps")
    (True, False)
    """
    return torch.device(device).type != "mps"


def in_double(x: Tensor) -> Tensor:
    """Numbers in double precision, on the CPU if their device has none.

    >>> in_double(torch.ones(1)).dtype
    torch.float64
    """
    return x.to(x.device if has_double(x.device) else "cpu").double()


def times_in_double(t: Any, x: Tensor) -> Tensor:
    """Times `()` or `(B,)` in double precision, where states on the device of `x` have theirs.

    >>> times_in_double(0.5, torch.zeros(3)).dtype
    torch.float64
    """
    if isinstance(t, Tensor):
        return in_double(t)
    home = x.device if has_double(x.device) else "cpu"
    return torch.as_tensor(t, dtype=torch.float64, device=home)


def widest(device: torch.device | str) -> torch.dtype:
    """The type with the most digits that a device has.

    >>> widest("cpu"), widest("mps")
    (torch.float64, torch.float32)
    """
    return torch.float64 if has_double(device) else torch.float32


def in_rounding_of(dtype: torch.dtype, tolerance: float) -> float:
    """A relative tolerance that was chosen for float32, as near to the rounding of another type.

    >>> in_rounding_of(torch.float32, 1e-6), round(1e15 * in_rounding_of(torch.float64, 1e-6), 2)
    (1e-06, 1.86)
    """
    return tolerance * (torch.finfo(dtype).eps / torch.finfo(torch.float32).eps)


def narrowed(x: Tensor) -> Tensor:
    """Numbers `(N, ...)` in single precision, or as they are if a column would lose its resolution.

    A column is one entry of all rows, and one channel of pictures `(N, C, H, W)`. Only what is
    float64 stays as it is, without a copy.

    >>> x = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    >>> narrowed(x + 1e3).dtype, narrowed(x + 1e9).dtype, narrowed(x * 1e9).dtype
    (torch.float32, torch.float64, torch.float32)
    """
    if x.dtype != torch.float64:
        return x.float()
    return x if len(x) and _loses(x.detach()) else x.float()


def _loses(x: Tensor) -> bool:
    """Whether float32 would blur one of the columns, or has no number as large."""
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    first = x[:1].mean(axes[1:], keepdim=True) if axes[1:] else x[:1]
    total = square = torch.zeros_like(first)
    rounding = largest = torch.zeros_like(first)
    for part in x.split(max(1, _NUMBERS // max(1, x[0].numel()))):
        # Deviations from a value of the column keep the digits that the offset would swallow.
        away = part - first
        total = total + away.sum(axes, keepdim=True)
        square = square + away.square().sum(axes, keepdim=True)
        moved = (part.float().double() - part).abs()
        rounding = torch.maximum(rounding, moved.amax(axes, keepdim=True))
        largest = torch.maximum(largest, part.abs().amax(axes, keepdim=True))
    count = x.numel() // first.numel()
    variance = (square - total.square() / count) / max(1, count - 1)
    spread = variance.clamp(min=0).sqrt()
    varies = spread > NOISE[torch.float64] * largest
    return bool((rounding.isinf() | (varies & (RESOLUTION * rounding > spread))).any())


class DataBuffers(nn.Module):
    """A module with buffers in the units of the data, whatever the precision of its model.

    Once a subclass sets `_precise`, since float32 cannot carry the data, float64 buffers remain so
    when the model changes its precision. On a device without double precision they stay on the CPU.
    """

    _precise: bool = False

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        if not self._precise:
            return super()._apply(fn, recurse)
        for name, buffer in self._buffers.items():
            if buffer is None or buffer.dtype != torch.float64:
                self._buffers[name] = None if buffer is None else fn(buffer)
                continue
            device = fn(torch.empty(0, device=buffer.device)).device
            self._buffers[name] = buffer.to(device) if has_double(device) else buffer.cpu()
        return self

    def _load_from_state_dict(self, tensors: Any, prefix: str, *rest: Any) -> None:
        for name, buffer in self._buffers.items():
            found = tensors.get(prefix + name)
            if buffer is None or found is None or not found.dtype == torch.float64 != buffer.dtype:
                continue
            home = buffer.device if has_double(buffer.device) else torch.device("cpu")
            self._buffers[name] = buffer.to(home, found.dtype)
            self._precise = True
        super()._load_from_state_dict(tensors, prefix, *rest)
