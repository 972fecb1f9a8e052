r"""Functions seen on a grid, with noise of a trace-class covariance.

White noise has no limit as a grid is refined; noise `N(0, C)` with a trace-class `C` has, and so do
the process and its time reversal (Lim et al. 2023; Pidstrigach et al. 2023). A function is an event
`(n,)` of its values at `n` grid points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward._shapes import per_event_mean, per_event_sum
from pushforward.errors import InputError

__all__ = ["Hilbert"]


class Hilbert:
    r"""Function values on a grid; unit noise is `N(0, C)` with `C` the given `(n, n)` covariance.

    The score of this space is preconditioned, `C grad log p`, as in the Cameron-Martin geometry:
    with it every formula of R^d holds as it stands, on any grid. Raises `InputError` unless `C` is
    a symmetric positive definite matrix.

    >>> space = Hilbert.from_kernel(lambda d: torch.exp(-d.abs()), torch.linspace(0, 1, 5))
    >>> space.randn(torch.zeros(2, 5), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 5])
    """

    linear = True
    white = False

    def __init__(self, covariance: Tensor) -> None:
        if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
            raise InputError(f"a covariance is a square matrix, not {tuple(covariance.shape)}")
        if not torch.allclose(covariance, covariance.mT, rtol=1e-4, atol=1e-6):
            raise InputError("the noise covariance is not symmetric")
        factor, info = torch.linalg.cholesky_ex(covariance.double())
        if info:
            raise InputError(
                f"the noise covariance is not positive definite at row {int(info)}: "
                "add a small multiple of the identity, or use fewer grid points"
            )
        self.covariance = covariance
        self.factor = factor.to(covariance.dtype)

    @classmethod
    def from_kernel(cls, kernel: Callable[[Tensor], Tensor], points: Tensor) -> Hilbert:
        """The covariance `kernel(s - t)` at grid points `(n,)`, with a relative jitter of 1e-6."""
        gram = kernel(points[:, None] - points[None, :])
        return cls(gram + 1e-6 * gram.diagonal().mean() * torch.eye(len(points)).to(gram))

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`x + v`."""
        return x + v

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise `N(0, C)` along the last axis, shaped like `x`."""
        if x.shape[-1] != len(self.factor):
            raise InputError(
                f"the state has {x.shape[-1]} grid points, the noise covariance {len(self.factor)}"
            )
        return normal_like(x, generator) @ self.factor.to(x).mT

    def squared_norm(self, v: Tensor) -> Tensor:
        """The mean square over the grid, the discretized L2 norm; `(B,)`."""
        return per_event_mean(v.square())

    def noise_log_prob(self, x: Tensor) -> Tensor:
        """The log-density of `N(0, C)` with respect to the grid values, `(B,)`."""
        factor = self.factor.to(x)
        white = torch.linalg.solve_triangular(factor, x.unsqueeze(-1), upper=False).squeeze(-1)
        curves = x[0].numel() // len(factor)
        log_det = curves * factor.diagonal().log().sum()
        return -0.5 * per_event_sum(white.square() + math.log(2 * math.pi)) - log_det
