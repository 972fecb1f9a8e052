"""The singular value decomposition of a measurement operator, by its four maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._shapes import flatten

__all__ = ["SVD"]

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SVD:
    r"""`A = U diag(s) V^T` with orthonormal columns of `U` and `V`, as maps of batches.

    Args:
        values: `s`, `(r,)`, all above zero: the rank is their number.
        left: `U^T y` for measurements `(B, *observed)`, `(B, r)`.
        from_left: `U a` for `(B, r)`.
        right: `V^T x` for states `(B, *event)`, `(B, r)`.
        from_right: `V a` for `(B, r)`.

    Values below `1.2e-7 max(m, d)` of the largest, the rounding of single precision, count as zero.

    >>> found = SVD.of_matrix(torch.tensor([[3.0, 4.0]]), (2,), (1,))
    >>> found.values, found.pseudo_inverse(torch.tensor([[5.0]]))
    (tensor([5.]), tensor([[0.6000, 0.8000]]))
    """

    values: Tensor
    left: Map
    from_left: Map
    right: Map
    from_right: Map

    @classmethod
    def of_matrix(
        cls, matrix: Tensor, event_shape: tuple[int, ...], observed_shape: tuple[int, ...]
    ) -> SVD:
        """Of a matrix `(m, d)`, for states of `d` numbers and measurements of `m`."""
        u, s, vh = decomposed(matrix)
        return cls(
            values=s,
            left=lambda y: flatten(y) @ u.to(y),
            from_left=lambda a: (a @ u.to(a).mT).reshape(len(a), *observed_shape),
            right=lambda x: flatten(x) @ vh.to(x).mT,
            from_right=lambda a: (a @ vh.to(a)).reshape(len(a), *event_shape),
        )

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """`A^+ y = V diag(1 / s) U^T y`, `(B, *event)`."""
        return self.from_right(self.left(y) / self.values.to(y))

    def fitted(self, y: Tensor) -> Tensor:
        """`A A^+ y = U U^T y`: the part of the measurements that some state would give."""
        return self.from_left(self.left(y))


def decomposed(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`U (m, r)`, `s (r,)` and `V^T (r, d)` of a matrix, without the values that are zero."""
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    least = max(matrix.shape) * torch.finfo(torch.float32).eps * s.max()
    rank = int((s > least).sum())
    return u[:, :rank], s[:rank], vh[:rank]
