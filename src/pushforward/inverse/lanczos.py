"""Systems of a covariance and white noise, for a covariance that need not be one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._shapes import flatten
from pushforward.inverse.conjugate_gradients import LinearSolution

__all__ = ["positive_part_solve"]


def positive_part_solve(
    apply: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float = 1e-6
) -> LinearSolution:
    r"""`(S_+ + I)^{-1} b` for symmetric `S`, whose negative part is left out, one for each row.

    Lanczos iteration (Lanczos 1950): `T = Q^T S Q` on orthonormal `b, S b, S^2 b, ...`, and

        x = |b| Q (T_+ + I)^{-1} e_1.

    Where `S` is positive these are the iterates of conjugate gradients. Where it is not, as that of
    the derivative of a network, they may divide by an eigenvalue of `S + I` near zero, and diverge;
    here `|x| <= |b|` whatever `S` is. A row stops where its residual has come down to `tolerance`,
    or where `S` leads nowhere new: what the other rows do does not matter to it.

    Args:
        apply: `S p` for `p` shaped like `b`; rows do not interact.
        b: `(B, *)`.
        iterations: products with `S`, at most.
        tolerance: of the relative residual.

    The residual is that of the system without the part of `S` that was left out. A row that is not
    finite comes out as NaN.

    >>> b, s = torch.tensor([[3.0, 8.0]]), torch.tensor([1.0, -0.999])
    >>> positive_part_solve(lambda p: s * p, b, 2).x  # 3 / (1 + 1) and 8 / (0 + 1)
    tensor([[1.5000, 8.0000]])
    """
    rows, flat = len(b), flatten(b)
    length = flat.norm(dim=1)
    q = flat / torch.where(length == 0, 1.0, length).unsqueeze(1)
    basis = flat.new_zeros(rows, iterations, flat.shape[1])
    t = flat.new_zeros(rows, iterations, iterations)
    left = flat.new_zeros(rows, iterations)
    """What the last direction of a row leads to, where it stopped."""
    going, positive = length > 0, torch.ones_like(length, dtype=torch.bool)
    link = torch.zeros_like(length)
    pivot, residual = torch.ones_like(length), torch.ones_like(length)
    eps = torch.finfo(b.dtype).eps
    for k in range(iterations):
        if not bool(going.any()):
            break
        basis[:, k] = q
        image = flatten(apply(q.view(b.shape))) * going.unsqueeze(1)
        own = (q * image).sum(1)
        t[:, k, k] = own
        for _ in range(2):  # Once leaves rounding along the directions before.
            image = image - torch.einsum(
                "bkd,bk->bd", basis, torch.einsum("bkd,bd->bk", basis, image)
            )
        before, link = link, image.norm(dim=1)
        # Of T + I = L D L^T; while all pivots are positive these are residuals.
        pivot = own + 1 - before.square() / torch.where(positive, pivot, 1.0)
        positive = positive & (pivot > 0)
        residual = residual * link / torch.where(positive, pivot, 1.0)
        nowhere = link <= 16 * eps * (own.abs() + before + 1)
        stops = nowhere | (positive & (residual <= tolerance)) | (k == iterations - 1)
        left[:, k] = torch.where(going & stops & ~nowhere, link, 0.0)
        going = going & ~stops
        link = torch.where(going, link, 0.0)
        q = image / torch.where(going, link, 1.0).unsqueeze(1) * going.unsqueeze(1)
        if k + 1 < iterations:
            t[:, k, k + 1] = t[:, k + 1, k] = link
    finite = t.isfinite().flatten(1).all(1) & length.isfinite()
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], t, 0.0))
    weights = vectors[:, 0] / (values.clamp(min=0) + 1)
    found = torch.einsum("bik,bk->bi", vectors, weights)
    found = torch.where(finite.unsqueeze(1), found, torch.nan)
    x = length.unsqueeze(1) * torch.einsum("bk,bkd->bd", found, basis)
    return LinearSolution(x.view(b.shape), (left * found.abs()).sum(1))
