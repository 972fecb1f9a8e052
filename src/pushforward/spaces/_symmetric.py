r"""Functions of symmetric matrices, `f(U diag(w) U^T) = U diag(f(w)) U^T`, with their derivative.

The derivative in a direction `G` is `U (D * (U^T G U)) U^T` with the divided differences
`D_ij = (f(w_i) - f(w_j)) / (w_i - w_j)` (Daleckii & Krein 1965). That of the eigenvectors alone,
which is infinite where eigenvalues meet, is not needed: gradients are finite at the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["exponential", "inverse_root", "logarithm", "root"]

Scalar = Callable[[Tensor], Tensor]

_FUNCTIONS: dict[str, tuple[Scalar, Scalar]] = {
    "exp": (torch.exp, torch.exp),
    "log": (torch.log, torch.reciprocal),
    "sqrt": (torch.sqrt, lambda w: 0.5 / torch.sqrt(w)),
    "rsqrt": (torch.rsqrt, lambda w: -0.5 * torch.rsqrt(w) / w),
}


class _SymmetricFunction(torch.autograd.Function):
    """One of `_FUNCTIONS` of symmetric matrices `(..., n, n)`."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, name: str) -> Tensor:
        value, slope = _FUNCTIONS[name]
        w, u = torch.linalg.eigh(0.5 * (a + a.mT))
        f = value(w)
        gap = w.unsqueeze(-1) - w.unsqueeze(-2)
        middle = slope(0.5 * (w.unsqueeze(-1) + w.unsqueeze(-2)))
        # Nearer than this the difference of values loses more digits than the midpoint does.
        scale = torch.finfo(a.dtype).eps ** (1 / 3) * (
            w.abs().unsqueeze(-1) + w.abs().unsqueeze(-2)
        )
        near = gap.abs() <= scale
        quotient = (f.unsqueeze(-1) - f.unsqueeze(-2)) / torch.where(near, 1.0, gap)
        ctx.save_for_backward(u, torch.where(near, middle, quotient))
        return (u * f.unsqueeze(-2)) @ u.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        u, differences = ctx.saved_tensors
        symmetric = 0.5 * (gradient + gradient.mT)
        return u @ (differences * (u.mT @ symmetric @ u)) @ u.mT, None


def exponential(a: Tensor) -> Tensor:
    """The matrix exponential.

    >>> exponential(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _SymmetricFunction.apply(a, "exp")


def logarithm(a: Tensor) -> Tensor:
    """The logarithm of positive definite matrices."""
    return _SymmetricFunction.apply(a, "log")


def root(a: Tensor) -> Tensor:
    """The positive definite root."""
    return _SymmetricFunction.apply(a, "sqrt")


def inverse_root(a: Tensor) -> Tensor:
    """The inverse of the positive definite root."""
    return _SymmetricFunction.apply(a, "rsqrt")
