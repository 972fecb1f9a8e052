"""The noise of a part of a batch, as if it had been cut out of that of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["PartNoise"]

if TYPE_CHECKING:
    _Generator = torch.Generator
else:
    # What torch itself draws would be noise of the part alone: it refuses what is no generator.
    _Generator = object


class PartNoise(_Generator):
    """Random numbers of some rows of a batch: a stream's numbers for the whole batch, cut.

    A loss that draws through the functions of `_random` (`normal_like`, `uniform_like`, ...), for
    one row after the other, gives a part of a batch the noise that it has in the whole. Torch's
    own functions refuse it.

    Args:
        generator: the stream; torch's global one if it is `None`.
        n: how many rows the whole batch has.
        rows: the part.
        device: where the states are.

    >>> whole = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    >>> part = PartNoise(torch.Generator().manual_seed(0), 5, slice(2, 4), "cpu")
    >>> torch.equal(part.draw((2, 2), True, torch.float32), whole[2:4])
    True
    """

    device: torch.device

    def __init__(
        self,
        generator: torch.Generator | None,
        n: int,
        rows: slice,
        device: torch.device | str,
    ) -> None:
        self.stream, self.device = generator, torch.device(device)
        self._n, self._rows = n, rows
        self._size = len(range(*rows.indices(n)))

    def __len__(self) -> int:
        return self._size

    def draw(self, shape: tuple[int, ...], normal: bool, dtype: torch.dtype) -> Tensor:
        """Numbers `(B, *event)`, normal or uniform on [0, 1), the next of the stream.

        Raises `InputError` unless `B` is the number of rows of the part.
        """
        out = torch.empty(self.whole(shape), dtype=dtype, device=self.device)
        if normal:
            out.normal_(generator=self.stream)
        else:
            out.uniform_(generator=self.stream)
        return self.cut(out)

    def whole(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the whole batch, from that of the part.

        Raises `InputError` unless the first number is that of the rows of the part.
        """
        if not shape or shape[0] != len(self):
            raise InputError(f"noise of {len(self)} rows cannot be shaped like {tuple(shape)}")
        return (self._n, *shape[1:])

    def cut(self, x: Tensor) -> Tensor:
        """The part of something of the whole batch."""
        return x[self._rows]
