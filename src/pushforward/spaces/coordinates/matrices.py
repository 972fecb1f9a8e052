"""Coordinates of symmetric positive definite matrices: their entries on and above the diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates.system import Counted, Where

__all__ = ["UpperTriangle"]


@configurable
@dataclass(frozen=True)
class UpperTriangle(Counted):
    """The entries of a symmetric matrix on and above its diagonal, row by row: xx, xy, yy.

    Args:
        many: how many there are, `n (n + 1) / 2`.

    >>> UpperTriangle(3).states(torch.tensor([[2.0, 0.5, 1.0]]))
    tensor([[[2.0000, 0.5000],
             [0.5000, 1.0000]]])
    """

    many: int | None = None

    kind: ClassVar[str] = "upper-triangle"

    def __post_init__(self) -> None:
        if self.many is not None:
            _side(self.many)

    @property
    def short(self) -> str:
        """The kind."""
        return self.kind

    def sized(self, size: int) -> UpperTriangle:
        """So many numbers. Raises `InputError` unless they make a triangle."""
        return UpperTriangle(size)

    def words(self, names: tuple[str, ...]) -> str:
        """Names and kind."""
        return f"{', '.join(names)} (upper triangle)"

    def check(self, table: Tensor, where: Where) -> None:
        """Positive eigenvalues."""
        least = torch.linalg.eigvalsh(self.states(table).double())[:, 0]
        bad = ~(least > 0)
        if bool(bad.any()):
            i = int(bad.nonzero()[0])
            raise InputError(
                f"{where.row(i)} is a matrix with the eigenvalue {float(least[i]):.3g}, which is "
                f"not positive; {int(bad.sum()):,} of {len(table):,} rows are no positive definite "
                "matrices: leave them out, add a small number to the diagonal, or say the columns "
                "in the order of rows, columns=xx,xy,xz,yy,yz,zz"
            )

    def states(self, table: Tensor) -> Tensor:
        """Symmetric matrices."""
        n = _side(table.shape[1])
        i, j = torch.triu_indices(n, n, device=table.device)
        x = table.new_zeros(len(table), n, n)
        x[:, i, j] = table
        x[:, j, i] = table
        return x

    def numbers(self, x: Tensor) -> Tensor:
        """The entries."""
        x = x.double()
        i, j = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device)
        return x[:, i, j]


def _side(many: int) -> int:
    """`n` of `n (n + 1) / 2`. Raises `InputError` for another number."""
    n = (math.isqrt(8 * many + 1) - 1) // 2
    if n < 1 or n * (n + 1) // 2 != many:
        raise InputError(
            f"{many} columns are no upper triangle: 1, 3, 6 or 10 are those of matrices of 1 to 4 "
            "rows"
        )
    return n
